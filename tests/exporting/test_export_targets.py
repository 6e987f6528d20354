"""What an export writes to, and what its file says: names of every kind, pairs of files, the size of the images."""

from __future__ import annotations

import ast
import json
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.compile import Backbone, build
from archdsl.errors import SpecError, WrongUse
from archdsl.exporting.python_source import write_python
from archdsl.files import replace_together
from archdsl.load.specs import spec_of
from archdsl.runtimes.export_job import check_target, checked_job
from archdsl.runtimes.exported import export
from archdsl.runtimes.readers import READERS
from archdsl.weights import load_model, read_facts, save_model
from archdsl.weights.facts import Accuracy, DataFacts, Measured, ModelFacts, Preprocessing, Resize
from tests.support.commands import Run, command_line
from tests.support.exported_source import reader_of_this_process
from tests.support.small_networks import QUICK, equal, shaken

run = pytest.fixture(command_line)

FACTS = ModelFacts(
    preprocessing=Preprocessing(
        size=(32, 32),
        channels="RGB",
        range=(0, 1),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        resize=Resize(filter="bilinear", antialias=True),
        crop=None,
    ),
    accuracy=Accuracy(
        validation=Measured(accuracy=0.5, images=10, standard_error=0.1, per_class={}),
        held_out=None,
        data=DataFacts(name="digits", fingerprint="0"),
    ),
)


@pytest.fixture
def network() -> Backbone:
    return shaken("quick")


def test_a_name_may_be_as_long_as_the_file_system_allows(network: Backbone, tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 243}.safetensors"
    assert export(network, path).file == path
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", [".onnx", ".pt2", ".py", ".safetensors"])
def test_a_name_that_is_too_long_is_one_line_before_the_work(run: Run, tmp_path: Path, ending: str) -> None:
    name = "n" * 256 + ending
    ended = run("export", "lit_s", "-o", tmp_path / name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith(f"{name} cannot be written: File name too long\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_said_before_the_work() -> None:
    with pytest.raises(WrongUse, match=r"/proc/net\.onnx cannot be written: "):
        check_target(Path("/proc/net.onnx"), "onnx")


def test_files_that_belong_together_are_of_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second writer begins while the first is between its two files."""
    named = [tmp_path / "net.pt", tmp_path / "net.py"]

    def write(whose: str) -> None:
        folder = tmp_path / whose
        folder.mkdir()
        for path in named:
            (folder / path.name).write_text(whose)
        replace_together((folder / path.name, path) for path in named)

    second = threading.Thread(target=write, args=("second",))
    replace = Path.replace

    def slow(path: Path, target: Path) -> Path:
        named_as = replace(path, target)
        if path.parent.name == "first" and target.suffix == ".pt":
            second.start()
            second.join(0.2)  # it ends here where nothing holds it
        return named_as

    monkeypatch.setattr(Path, "replace", slow)
    write("first")
    second.join()
    assert [path.read_text() for path in named] == ["second", "second"]


def test_spec_and_preprocessing_of_a_file_are_for_its_size(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "python", reader_of_this_process)
    job, _ = checked_job(network, tmp_path / "net.onnx", None, (64, 48), 1, False, "float32", 20, FACTS)
    assert json.loads(job.metadata["spec"])["image"] == [64, 48]
    assert json.loads(job.metadata["preprocessing"])["size"] == [64, 48]
    assert "accuracy" not in job.metadata
    assert network.spec.image == 32
    with pytest.raises(SpecError, match="image"):
        checked_job(network, tmp_path / "net.onnx", None, 8, 1, False, "float32", 20, None)
    export(network, tmp_path / "net.py", image=(64, 48), facts=FACTS)
    source = (tmp_path / "net.py").read_text()
    assert source.count("1, 3, 64, 48") == 2
    assert "(B, 3, 64, 48)" in source
    assert '"size": [64, 48]' in source


@pytest.mark.parametrize("name", ["quick", "datpp_t"])
def test_a_model_file_for_another_size_is_a_network_of_that_size(name: str, tmp_path: Path) -> None:
    """Of DAT++ too, whose sampled tables read at another size are not the resized ones."""
    network = shaken(name, most=1)
    done = export(network, tmp_path / "net.safetensors", image=(96, 64), facts=FACTS)
    facts, loaded = read_facts(done.file), load_model(done.file)
    assert (done.image, loaded.spec.image, done.largest_error) == ((3, 96, 64), (96, 64), 0.0)
    assert facts.preprocessing is not None
    assert (facts.preprocessing.size, facts.accuracy) == ((96, 64), None)
    assert network.spec.image in (32, 64), "it is left as it is"


def test_the_accuracy_of_another_network_is_not_stated(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(shaken("quick"), "mine.safetensors", facts=FACTS)
    for assignments, states in (([], True), (["--set", "stage2.window=4"], False)):
        assert run("export", "mine.safetensors", *assignments, "--force", "-o", "other.safetensors").code == 0
        facts = read_facts("other.safetensors")
        assert (facts.accuracy is not None, facts.preprocessing) == (states, FACTS.preprocessing)


def test_weights_that_do_not_fit_name_the_command_that_has_the_option(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.json").write_text(json.dumps(QUICK))
    torch.save(build(spec_of({**QUICK, "classes": 4})).state_dict(), "four.pth")
    ended = run("export", "net.json", "--weights", "four.pth", "-o", "net.onnx")
    assert ended.code == 1
    assert "set classes=4 to keep its classifier, or ask for a new one (new_head=True, archdsl import --cl" in ended.err
    assert run("export", "net.json", "--set", "classes=4", "--weights", "four.pth", "-o", "a.safetensors").code == 0


@pytest.mark.parametrize("module", ["my-net.v2", "class", "2nd", "net_of_a_test"])
def test_the_example_in_source_runs_whatever_its_file_is_called(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = shaken("quick")
    network.spec = network.spec.model_copy(update={"name": "a-b.c_2"})
    write_python(network, tmp_path / f"{module}.py", {})
    source = (tmp_path / f"{module}.py").read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""
    example = textwrap.dedent("\n".join(line for line in docstring.splitlines() if line.startswith("    ")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    values: dict[str, Any] = {}
    exec(compile(example, "example", "exec"), values)
    assert type(values["model"]).__name__ == "ABC2"
    with torch.inference_mode():
        assert equal(values["logits"], network(torch.zeros(1, 3, 32, 32)))

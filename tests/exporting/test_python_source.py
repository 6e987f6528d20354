"""A network as Python source: it needs torch alone, reads as one would write it, and gives the very same numbers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archdsl.compile import Backbone, build
from archdsl.errors import ExportError, WeightsError
from archdsl.exporting.python_source import python_source, write_python
from archdsl.load.specs import load_spec, override, spec_of
from archdsl.runtimes import exported
from archdsl.runtimes.export_job import Dtype
from archdsl.runtimes.exported import export
from archdsl.runtimes.readers import READERS
from tests.support.every_part import sample, spec
from tests.support.exported_source import REFUSE, reader_of_this_process, run
from tests.support.forked import run_forked
from tests.support.places import SPECS
from tests.support.small_networks import FAMILIES, equal, images, shaken, small

NETWORKS = (*FAMILIES, "mixed")


def check(model: Backbone, file: Path) -> None:
    """The outputs and the state of the file's network, after `run`, are the model's."""
    model.requires_grad_(True)  # as in the file: by this too torch chooses how it multiplies matrices
    with torch.inference_mode():
        assert equal(torch.load(file.with_suffix(".output")), model(torch.load(file.with_suffix(".images"))))
    state, ours = torch.load(file.with_suffix(".state")), model.state_dict()
    assert list(state) == list(ours)
    assert all(torch.equal(tensor, ours[name]) for name, tensor in state.items())


def test_a_file_gives_the_same_numbers_without_archdsl_for_every_family_and_a_hybrid(tmp_path: Path) -> None:
    models = {
        f"{name}_{form}": shaken(name, form == "maps", most=1) for name in NETWORKS for form in ("logits", "maps")
    }
    for name, model in models.items():
        assert write_python(model, tmp_path / f"{name}.py", {}) == (tmp_path / f"{name}.py", tmp_path / f"{name}.pt")
        torch.save(images(), tmp_path / f"{name}.images")
    run(tmp_path)
    for name, model in models.items():
        check(model, tmp_path / f"{name}.py")


def test_a_file_is_for_the_image_and_the_graph_of_its_document(tmp_path: Path) -> None:
    documents = {name: load_spec(SPECS / f"{name}.json") for name in ("early_feature", "two_branches")}
    documents["wide"] = override(small("dat_t", most=1), ["image=[64,96]"])
    models = {name: shaken_of(build(spec)) for name, spec in documents.items()}
    for name, model in models.items():
        write_python(model, tmp_path / f"{name}.py", {})
        torch.save(images(2, *documents[name].image_size), tmp_path / f"{name}.images")
    run(tmp_path)
    for name, model in models.items():
        check(model, tmp_path / f"{name}.py")


def test_nodes_may_have_names_that_python_and_torch_use(tmp_path: Path) -> None:
    names = {"stem": "lambda", "stage1": "training", "merge1": "forward", "stage2": "images", "head": "self"}
    spec = small("litv2_s", most=1).to_json()
    spec["nodes"] = [{**node, "id": names.get(node["id"], node["id"])} for node in spec["nodes"]]
    model = shaken_of(build(spec_of(spec)))
    write_python(model, tmp_path / "named.py", {})
    torch.save(images(), tmp_path / "named.images")
    run(tmp_path)
    check(model, tmp_path / "named.py")


def test_what_is_set_after_the_network_is_built_is_in_the_file(tmp_path: Path) -> None:
    headless, mapped, other = (shaken("lit_s", most=1) for _ in range(3))
    headless.reset_classifier(0)
    mapped.reset_classifier(0, "")
    other.reset_classifier(7)
    drop_path: Any = other.get_submodule("stage2.blocks.0.drop_path")
    drop_path.rate = 0.25
    models = {"headless": headless, "mapped": mapped, "other": other.eval()}
    for name, model in models.items():
        write_python(model, tmp_path / f"{name}.py", {})
        torch.save(images(), tmp_path / f"{name}.images")
    run(tmp_path)
    for name, model in models.items():
        check(model, tmp_path / f"{name}.py")
    assert ".drop_path.rate = 0.25" in (tmp_path / "other.py").read_text()


def test_a_submodule_that_was_put_in_the_place_of_another_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FCViT's channel attention is put around an MLP after the block is made."""
    monkeypatch.setitem(READERS, "python", reader_of_this_process)
    model = build(spec({**sample("fcvit_conv"), "channel_attention": True})).eval()
    assert export(model, tmp_path / "net.py").largest_error < 1e-6
    lines = (tmp_path / "net.py").read_text().splitlines()
    assert [line for line in lines if "].mlp = " in line] == [
        f"        self.part.blocks[{number}].mlp = nn.Sequential(" for number in (0, 1)
    ]


def test_half_precision_is_kept(tmp_path: Path) -> None:
    model = shaken("lit_s", most=1).to(torch.bfloat16)
    write_python(model, tmp_path / "half.py", {})
    torch.save(images().to(torch.bfloat16), tmp_path / "half.images")
    run(tmp_path)
    check(model, tmp_path / "half.py")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_export_is_source_and_weights_held_against_the_network(
    dtype: Dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "python", reader_of_this_process)
    done = export(shaken("dat_t", most=1), tmp_path / "net.py", dtype=dtype)
    assert (done.format, done.batch, done.checked_batches) == ("python", None, (1, 3))
    assert done.largest_error <= {"float32": 0.0, "float16": 1e-2}[dtype]
    assert done.files == (tmp_path / "net.py", tmp_path / "net.pt")
    assert sorted(tmp_path.iterdir()) == sorted(done.files)


def test_an_export_may_be_named_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(shaken("plain"), "net.py").files == (Path("net.py"), Path("net.pt"))


def test_source_that_gives_other_numbers_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(model: Backbone, file: Path, *facts: Any) -> tuple[Path, ...]:
        written = write_python(model, file, *facts)
        file.write_text(file.read_text().replace("F.gelu(x)", "F.relu(x)"))
        return written

    monkeypatch.setattr(exported, "write_python", spoiled)
    monkeypatch.setitem(READERS, "python", reader_of_this_process)
    with pytest.raises(ExportError, match="the file is wrong: 'logits' differs by"):
        export(shaken("lit_s", most=1), tmp_path / "net.py")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("features_only", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_source_passes_a_linter_and_imports_torch_and_the_standard_library_alone(
    name: str, features_only: bool, tmp_path: Path
) -> None:
    source = python_source(build(small(name, most=1), features_only), "net", FACTS)
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert {module.split(".")[0] for module in modules} <= {"torch", *sys.stdlib_module_names}
    (tmp_path / "net.py").write_text(source)
    rules = ["--isolated", "--line-length", "120", "--select", "E,F,I,W"]
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run([ruff, "check", "--no-cache", *rules, "net.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


FACTS = {
    "classes": '["tench", "a \\"quoted\\" one", "Bär"]',
    "preprocessing": '{"size": [64, 64], "mean": [0.5, 0.25, 0.125], "channels": "RGB", "crop": null}',
}


def test_classes_and_preprocessing_are_constants_of_the_file(tmp_path: Path) -> None:
    write_python(build(small("lit_s", most=1)), tmp_path / "net.py", FACTS)
    code = REFUSE + "import net; print(net.CLASSES[1:], net.PREPROCESSING['mean'], net.PREPROCESSING['crop'])"
    done = run_forked("-c", code, folder=tmp_path)
    assert done.stdout == "('a \"quoted\" one', 'Bär') [0.5, 0.25, 0.125] None\n"


def test_the_file_run_as_a_script_prints_the_shape_of_its_output(tmp_path: Path) -> None:
    write_python(build(small("lit_s", most=1)), tmp_path / "net.py", {})
    done = run_forked("net.py", folder=tmp_path)
    assert done.stdout == "(1, 10)\n"


def test_the_weights_are_tensors_alone_under_our_names(tmp_path: Path) -> None:
    model = shaken("dat_t", most=1)
    _, weights = write_python(model, tmp_path / "net.py", {})
    state = torch.load(weights, weights_only=True)
    model.load_state_dict(state)
    assert type(state) is dict
    assert all(type(tensor) is torch.Tensor for tensor in state.values())


def test_the_copied_network_trains_with_the_same_drop_rates(tmp_path: Path) -> None:
    model = shaken("litv2_s")
    write_python(model, tmp_path / "net.py", {})
    loaded: dict[str, Any] = {"__name__": "net", "__file__": str(tmp_path / "net.py")}
    exec(compile((tmp_path / "net.py").read_text(), "net.py", "exec"), loaded)
    copy: nn.Module = loaded["build"]()
    rates = [[part.rate for name, part in net.named_modules() if name.endswith("drop_path")] for net in (model, copy)]
    assert rates[0] == rates[1]
    assert rates[0][-1] == 0.2
    outputs = []
    for net in (model.requires_grad_(True), copy):
        torch.manual_seed(5)
        outputs.append(net.train()(images()))
    assert equal(*outputs)
    outputs[1].sum().backward()
    assert all(parameter.grad is not None for parameter in copy.parameters())


def test_repeated_blocks_are_a_comprehension_and_the_forward_is_a_line_a_part() -> None:
    source = python_source(build(small("dualvit_s")), "net", {})
    assert "x, semantics = self.stage1(x, semantics)  # (B, 32, 16, 16), (B, 4, 32)" in source
    assert "semantics = self.semantic_merge1(semantics)  # (B, 4, 64)" in source
    assert source.count("for _ in range(2)") == 3
    turns = python_source(build(override(load_spec("dat_t"), ["image=64", "stage3.depth=5"])), "net", {})
    assert "for _ in range(2)\n                    for block in (" in turns


def test_two_classes_of_one_name_are_told_apart_by_their_packages() -> None:
    source = python_source(build(small("datpp_t")), "net", {})
    assert "class DatOffsetNetwork(nn.Module):" in source
    assert "class DatppOffsetNetwork(DatOffsetNetwork):" in source


def test_a_title_cannot_end_the_docstring() -> None:
    paper = {"title": 'An """ import os \\', "arxiv": "2105.14217"}
    spec = spec_of({**small("lit_s", most=1).to_json(), "paper": paper})
    docstring = ast.get_docstring(ast.parse(python_source(build(spec), "net", {})))
    assert docstring is not None
    assert docstring.startswith("lit_s: An ''' import os \\ (arXiv:2105.14217)")


def test_a_replaced_module_is_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    model = build(small("lit_s", most=1))
    block: Any = model.get_submodule("stage2.blocks.0")
    block.scale2 = nn.Tanh()
    with pytest.raises(ExportError, match=r"stage2\.blocks\.0\.scale2 was replaced by a Tanh"):
        write_python(model, tmp_path / "net.py", {})
    model = build(small("lit_s", most=1))
    model.get_submodule("stem").proj = nn.Conv2d(3, 5, 4)
    with pytest.raises(WeightsError, match=r"stem\.proj"):
        write_python(model, tmp_path / "net.py", {})
    assert list(tmp_path.iterdir()) == []


def shaken_of(model: Backbone) -> Backbone:
    """A model in eval mode, no tensor of it at its initial value."""
    source = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            moved = 0.05 * torch.randn(tensor.shape, generator=source)
            tensor.add_(moved.abs() if name.endswith("running_var") else moved)
    return model.eval().requires_grad_(False)

"""A public function that is handed something else raises a TypeError that says what it takes and how to get it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.json_types import JsonObject
from archdsl.latency import Comparison, Latency, compare

SPEC = archdsl.load_spec("litv2_s")
SPACE = archdsl.load_space("lit-dat-64")
SMALL = archdsl.override(SPEC, ["image=32"])


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(TypeError) as caught:
        function(*arguments, **named)
    return str(caught.value)


@pytest.mark.parametrize("name", ["build", "count", "graph", "Backbone", "measure", "override"])
def test_what_takes_a_spec_says_so(name: str) -> None:
    def message_of(value: Any) -> str:
        more = [["image=64"]] if name == "override" else []
        return refusal(getattr(archdsl, name), value, *more)

    takes = f"{name} takes a Spec" + ", an nn.Module or the Path of an .onnx file" * (name == "measure")
    assert message_of("litv2_s") == f"{takes}; got the str \"litv2_s\"; use archdsl.load_spec('litv2_s')"
    assert message_of(Path("a.json")).endswith("use archdsl.load_spec('a.json')")
    assert message_of({"kind": "arch"}) == f"{takes}; got a dict; call archdsl.load_spec on it"
    assert message_of(None) == f"{takes}; got None"
    assert message_of([SPEC]) == f"{takes}; got a list"
    assert message_of(3) == f"{takes}; got the int 3"
    assert message_of(SPACE).startswith(f"{takes}; got the Space 'lit-dat-64'; draw a backbone from it")


def test_a_model_has_its_spec() -> None:
    model = archdsl.build(SMALL)
    assert refusal(archdsl.count, model) == "count takes a Spec; got a Backbone; use its .spec"
    assert refusal(archdsl.build, model) == "build takes a Spec; got a Backbone; use its .spec"


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ("image=64", "a list of assignments; got the str \"image=64\"; write ['image=64']"),
        ({"image": 64, "stage3.mlp": "plain"}, "a list of assignments; got a dict; write ['image=64', "),
        ([("image", 64)], "assignments that are texts, such as 'image=256'; got a tuple"),
        (["image=64", 3], "assignments that are texts, such as 'image=256'; got the int 3"),
        (None, "a list of assignments such as 'image=256'; got None"),
        (b"image=64", "a list of assignments such as 'image=256'; got a bytes"),
        (64, "a list of assignments such as 'image=256'; got the int 64"),
    ],
    ids=str,
)
def test_override_takes_a_list_of_texts(assignments: Any, message: str) -> None:
    assert refusal(archdsl.override, SPEC, assignments).startswith(f"override takes {message}")


@pytest.mark.parametrize(
    ("function", "kind", "same", "other"),
    [(archdsl.load_spec, "backbone", SPEC, SPACE), (archdsl.load_space, "space", SPACE, SPEC)],
    ids=["load_spec", "load_space"],
)
def test_loading_takes_a_name_a_path_or_a_dict(function: Any, kind: str, same: Any, other: Any) -> None:
    takes = f"{function.__name__} takes the name of a {kind}, a path, or a dict such as json.load returns; got "
    assert refusal(function, same).startswith(takes)
    assert refusal(function, same).endswith("it is loaded already")
    assert refusal(function, other).endswith(f"it is no {kind}")
    assert refusal(function, b"{}") == f"{takes}a bytes; call json.loads on it"
    with Path(__file__).open() as file:
        assert refusal(function, file) == f"{takes}a TextIOWrapper; call json.load on it"
    others: list[Any] = [None, [], 3, torch.nn.Flatten()]
    for value in others:
        assert refusal(function, value).startswith(takes)


def test_what_takes_a_model_says_so(tmp_path: Path) -> None:
    model = archdsl.build(SMALL)
    file = tmp_path / "a.safetensors"
    functions: dict[str, Callable[[Any], Any]] = {
        "export_weights": archdsl.export_weights,
        "import_weights": lambda value: archdsl.import_weights(value, {}),
        "save_model": lambda value: archdsl.save_model(value, file),
    }
    for name, function in functions.items():
        takes = f"{name} takes a model that archdsl.build made; got "
        assert refusal(function, "litv2_s").endswith("use archdsl.build(archdsl.load_spec('litv2_s'))")
        assert refusal(function, "a.safetensors").endswith("use archdsl.load_model('a.safetensors')")
        assert refusal(function, SPEC) == f"{takes}the Spec 'litv2_s'; call archdsl.build on it"
        assert refusal(function, torch.nn.DataParallel(model)) == f"{takes}a DataParallel; use its .module"
        assert refusal(function, torch.nn.Flatten()) == f"{takes}a Flatten"
        assert refusal(function, None) == f"{takes}None"
    assert not file.exists()


def test_files_and_checkpoints_are_named() -> None:
    model = archdsl.build(SMALL)
    assert refusal(archdsl.save_model, model, None) == "save_model takes the path of a file; got None"
    assert refusal(archdsl.load_model, model) == "load_model takes the path of a file; got a Backbone"
    assert refusal(archdsl.load_model, {}).endswith("use archdsl.import_weights(model, ...) for tensors by name")
    takes = "import_weights takes what torch.load returns, or the path of a checkpoint; got "
    assert refusal(archdsl.import_weights, model, model) == f"{takes}a Backbone; use its state_dict()"
    assert refusal(archdsl.import_weights, model, None) == f"{takes}None"


def test_what_is_measured_is_named_with_its_device() -> None:
    assert refusal(compare, [SPEC]) == 'compare takes specs or modules by name, as {"a": spec}; got a list'
    assert "load_spec('litv2_s')" in refusal(compare, {"a": "litv2_s"})
    assert "as 'cpu' or 'cuda:0'; got 0" in refusal(archdsl.measure, SPEC, device=0)
    found = archdsl.measure(SMALL, device=torch.device("cpu"), rounds=1, threads=1)  # type: ignore[arg-type]  # it has a name
    assert found.provenance["device"] == "cpu"


@pytest.mark.parametrize("image", ["224x320", (224, 320), "224, 320"])
def test_the_image_of_a_module_has_channels_too(image: Any) -> None:
    with pytest.raises(archdsl.ArchError, match=r"image must be \(channels, height, width\), .*; use \(3, 224, 320\)"):
        archdsl.measure(torch.nn.Flatten(), device="cpu", image=image, rounds=1, threads=1)


# ------------------------------------------------------------------------------------------- what is shown and listed


def test_values_are_shown_on_one_line() -> None:
    facts: JsonObject = {"device": "cpu", "cpu_share": 1.0}
    items = {"a": Latency("a", (10.0,) * 20, facts), "b": Latency("b", (5.0,) * 20, facts)}
    shown = [
        (items["a"], "Latency('a', p50 10 ms, p10 10 ms, p90 10 ms, 20 rounds, cpu)"),
        (Latency("a", (10.0,) * 5, {}), "Latency('a', p50 10 ms, p10 10 ms, p90 10 ms, 5 rounds, unstable)"),
        (Latency("a", (), {}), "Latency('a', 0 rounds)"),
        (Comparison("p10", items, items["a"]), "Comparison(p10: a 10 ms, b 5 ms; A/A 1.000, 20 rounds, cpu)"),
        (SPEC, "Spec('litv2_s', image 224x224, 9 nodes)"),
        (archdsl.override(SPEC, ["image=[224, 320]"]), "Spec('litv2_s', image 224x320, 9 nodes)"),
        (SPACE, "Space('lit-dat-64', image 64x64, 9 nodes, 2 constraints, 2 budgets)"),
        (archdsl.count(SPEC), "Count(27.84 M params, 3.724 G MACs, 13.85 MB peak activations in float32, 9 nodes)"),
    ]
    for value, text in shown:
        assert repr(value) == str(value) == text


def test_names_are_listed_before_they_are_loaded() -> None:
    import archdsl.search

    assert set(dir(archdsl)) == {*archdsl.__all__, "__version__"}
    assert dir(archdsl.search) == ["Result", "Scores", "run", "score"]
    assert archdsl.search.run is not None
    with pytest.raises(AttributeError, match="has no attribute 'walk'"):
        _ = archdsl.search.walk


def test_the_version_is_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    assert archdsl.__version__ == metadata.version("archdsl")

    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", missing)
    assert archdsl.__version__ == "unknown"

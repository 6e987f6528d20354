"""Documents, networks and results go through pickle, into files, into other processes, and come out equal."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl import zoo
from archdsl.errors import Problem, SpecError
from archdsl.language.document import Spec
from archdsl.load.spaces import load_space
from archdsl.load.specs import load_spec
from archdsl.weights import save_model
from tests.support.installed import acme, python, python_with_torch
from tests.support.small_networks import FAMILIES, equal, images, shaken, small

NAMES = (*FAMILIES, "mixed")

site = pytest.fixture(acme)


def again(value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_published_spec_comes_out_equal(protocol: int) -> None:
    for name in zoo.names():
        spec = load_spec(name)
        found: Spec = again(spec, protocol)
        assert (found, type(found), hash(found)) == (spec, type(spec), hash(spec))
        assert found.to_json() == spec.to_json()
        assert found.model_fields_set == spec.model_fields_set


def test_spaces_nodes_counts_graphs_and_errors_come_out_equal() -> None:
    for name in zoo.spaces():
        assert again(load_space(name)) == load_space(name)
    spec = small("mixed")
    assert [again(node) for node in spec.nodes] == list(spec.nodes)
    assert copy.deepcopy(spec) == copy.copy(spec) == spec
    assert again(archdsl.count(spec)) == archdsl.count(spec)
    assert again(archdsl.graph(spec)).nodes["stage2"]["node"] == spec.node("stage2")
    error = again(SpecError([Problem(("nodes", 2), "a rule", "a value")]))
    assert (error.problems, str(error)) == (
        (Problem(("nodes", 2), "a rule", "a value"),),
        "nodes[2]: a rule; got a value",
    )


@pytest.mark.parametrize("features_only", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_network_gives_equal_outputs(name: str, features_only: bool) -> None:
    built, file = shaken(name, features_only), io.BytesIO()
    torch.save(built, file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    assert found.spec == built.spec
    assert equal(found(images()), built(images()))
    assert equal(copy.deepcopy(built)(images()), built(images()))


def test_a_network_with_another_classifier_too(tmp_path: Path) -> None:
    built = shaken("dualvit_s")
    built.reset_classifier(3)
    found = again(built)
    assert torch.equal(found(images()), built(images()))
    save_model(found, tmp_path / "a.safetensors")
    found.reset_classifier(0)
    assert torch.equal(again(found)(images()), found(images()))


def outputs(spec: Spec, built: torch.nn.Module, queue: Any) -> None:
    """In another process: what came there."""
    with torch.no_grad():
        queue.put((spec, built(images()).tolist()))


def test_another_process_gets_a_spec_and_a_network() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    built = shaken("mixed")
    process = context.Process(target=outputs, args=(built.spec, built, queue))
    process.start()
    spec, logits = queue.get()
    process.join()
    assert spec == built.spec
    assert torch.allclose(torch.tensor(logits), built(images()))


def test_an_installed_type_is_pickled_as_our_own(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "whole.pt"
    write = f"""
import torch
from archdsl.load.specs import spec_of
built = archdsl.build(spec_of(SPEC)).eval()
built.reset_classifier(5)
torch.save(built, {str(file)!r})
print(built(torch.ones(1, 3, 32, 32)).tolist())
"""
    read = f"""
import torch
built = torch.load({str(file)!r}, weights_only=False)
assert built.spec.node("stage1").window == 5 and built.spec.classes == 5
print(built(torch.ones(1, 3, 32, 32)).tolist())
"""
    assert python_with_torch(site, write) == python_with_torch(site, read)


def test_a_package_may_be_imported_before_the_language_loads(site: Path, tmp_path: Path) -> None:
    """As unpickling one of its nodes does."""
    file = tmp_path / "node.pickle"
    write = f"""
import pickle
from archdsl.load.specs import spec_of
with open({str(file)!r}, "wb") as out:
    pickle.dump(spec_of(SPEC).node("stage1"), out)
"""
    read = f"""
import pickle
with open({str(file)!r}, "rb") as given:
    node = pickle.load(given)
from archdsl.load.specs import spec_of
print(node == spec_of(SPEC).node("stage1"), "torch" in sys.modules)
"""
    python(site, write)
    assert python(site, read) == "True False\n"
    assert (
        python(site, "import acme.blocks\nfrom archdsl.load.specs import spec_of\nprint(spec_of(SPEC).name)")
        == "pooled\n"
    )

"""Checkpoint files are read as data: every published form loads, wherever it keeps its weights."""

from __future__ import annotations

import argparse
import struct
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from archdsl.errors import WeightsError
from archdsl.weights import import_weights
from archdsl.weights.checkpoint import read_checkpoint
from tests.support.checkpoints import FORMS, Write, storage_pickle, writer
from tests.support.weights import State, model, published, same


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class as yacs has it: a dict with attributes, under the name yacs.config.CfgNode."""
    module = ModuleType("yacs.config")
    kind = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module.CfgNode = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yacs", ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    made = kind(MODEL=kind(TYPE="lit", DEPTHS=[2, 2]), TAG="default")
    made.__dict__["__immutable__"] = True
    return made


@pytest.mark.parametrize("form", FORMS)
def test_a_training_checkpoint_loads_in_every_form(write: Any, form: str, config: Any) -> None:
    """As the published scripts write it: weights, optimizer, scheduler, configuration and numbers of numpy."""
    built = model()
    state = published(built)
    parameter = nn.Parameter(torch.randn(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    path = write(
        {
            "model": OrderedDict(state),
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": {"milestones": Counter([1, 2]), "base": defaultdict(list)},
            "max_accuracy": np.float64(81.5),
            "history": np.arange(3),
            "epoch": 299,
            "config": config,
            "args": argparse.Namespace(lr=1e-3, output=Path("runs"), device=torch.device("cpu"), dtype=torch.float32),
            "more": [SimpleNamespace(a=1), {1, 2}, frozenset((3,)), torch.Size([2]), b"bytes", None, True, 2**70],
        },
        **FORMS[form],
    )
    found = import_weights(built, path)
    assert (found.container, found.names) == ("model", "litv2")
    assert_loaded(built, state)


def assert_loaded(built: Any, state: State) -> None:
    wanted = model()
    import_weights(wanted, state)
    assert same(built.state_dict(), wanted.state_dict())


def test_safetensors_load(tmp_path: Path) -> None:
    built, path = model(), tmp_path / "published.safetensors"
    save_file(published(built), path)
    assert import_weights(built, path).container == ""
    assert_loaded(built, published(built))


@pytest.mark.parametrize(
    "place",
    ["", "model", "state_dict", "state_dict_ema", "model_ema", "model.state_dict"],
)
def test_weights_are_found_where_scripts_put_them(write: Write, place: str) -> None:
    built = model()
    value: Any = published(built)
    for name in reversed([name for name in place.split(".") if name]):
        value = {"epoch": 3, name: value, "rng": torch.zeros(2)}
    for source in (write(value), value):
        found = import_weights(built, source)
        assert found.container == place
        assert_loaded(built, published(built))


def test_of_two_sets_the_one_that_evaluation_reads_is_taken_unless_asked(write: Write) -> None:
    built = model()
    state, average = published(built), {name: tensor + 1 for name, tensor in published(built).items()}
    path = write({"state_dict_ema": average, "state_dict": state, "arch": "lit"})
    found = import_weights(built, path)
    assert (found.container, found.others) == ("state_dict", ("state_dict_ema",))
    assert_loaded(built, state)
    import_weights(built, path, key="state_dict_ema")
    assert_loaded(built, average)
    with pytest.raises(WeightsError, match=r"there is no key \"state_dict_em\"; did you mean 'state_dict_ema'\?"):
        import_weights(built, path, key="state_dict_em")
    with pytest.raises(WeightsError, match='the value at "arch" is not a dictionary of weights'):
        import_weights(built, path, key="arch")


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.backbone.", "model.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_taken_off(write: Write, prefix: str) -> None:
    built = model()
    found = import_weights(built, write({prefix + name: tensor for name, tensor in published(built).items()}))
    assert (found.prefix, found.left_out) == (prefix, ())
    assert_loaded(built, published(built))


def test_beside_a_detectors_backbone_its_other_tensors_are_left_out_and_told(write: Write) -> None:
    built = model()
    state = {f"backbone.{name}": tensor for name, tensor in published(built).items()}
    found = import_weights(built, write({"state_dict": state | {"neck.conv.weight": torch.zeros(2)}, "meta": {}}))
    assert found.left_out == ("neck.conv.weight",)
    assert_loaded(built, published(built))


def test_a_prefix_that_only_some_names_have_stays() -> None:
    built = model()
    state = published(built)
    state["module.norm.bias"] = state.pop("norm.bias")
    with pytest.raises(WeightsError, match=r"missing: norm\.bias; did you mean 'module\.norm\.bias'\?"):
        import_weights(built, state)


@pytest.mark.parametrize("form", FORMS)
def test_views_aliases_parameters_and_strides_are_read_as_they_are(write: Any, form: str) -> None:
    base = torch.arange(24, dtype=torch.float32)
    tagged = nn.Parameter(torch.ones(2))
    setattr(tagged, "note", "kept elsewhere")  # noqa: B010  # no attribute of a Parameter
    state = {
        "whole": base,
        "slice": base[4:10],
        "transposed": base.reshape(4, 6).t(),
        "repeated": base[:1].expand(5),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": nn.Parameter(base[2:4].clone()),
        "tagged": tagged,
        "half": base.half(),
        "brain": base.bfloat16(),
        "whole numbers": torch.arange(5),
        "flags": torch.tensor([True, False]),
        "unsigned": torch.tensor([1, 2], dtype=torch.uint16),
    }
    found = read_checkpoint(write(state, **FORMS[form])).tensors
    assert {name: (tensor.dtype, tensor.stride()) for name, tensor in found.items()} == {
        name: (tensor.dtype, tensor.stride()) for name, tensor in state.items()
    }
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name


def test_tensors_that_were_on_another_device_come_to_the_cpu(tmp_path: Path) -> None:
    """The device is part of a storage's persistent id; a CUDA checkpoint differs in that alone."""
    path = tmp_path / "cuda.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cuda/data.pkl", storage_pickle(device="cuda:3"))
        archive.writestr("cuda/byteorder", "little")
        archive.writestr("cuda/data/0", struct.pack("<2f", 1.5, -2))
    assert read_checkpoint(path).tensors["weight"].tolist() == [1.5, -2]


def test_archives_without_checksums_load(write: Any) -> None:
    from torch.serialization import get_crc32_options, set_crc32_options

    before = get_crc32_options()
    set_crc32_options(False)
    try:
        path = write(published(model()))
    finally:
        set_crc32_options(before)
    built = model()
    import_weights(built, path)
    assert_loaded(built, published(built))


def test_reading_leaves_the_file_as_it_is(write: Write) -> None:
    built = model()
    path = write(published(built))
    before = path.read_bytes()
    tensors: dict[str, Tensor] = read_checkpoint(path).tensors
    for tensor in tensors.values():
        tensor.zero_()
    assert path.read_bytes() == before

"""What `archdsl.inherit` does not take as a model or a parent."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError, WrongUse
from tests.support.heirs import fresh, tiny, trained


def wrapped(model: Backbone) -> torch.nn.Module:
    return torch.nn.DataParallel(model)


def test_what_is_no_model_or_no_parent_is_refused() -> None:
    model = fresh(tiny())
    with pytest.raises(TypeError, match=r"inherit takes a model that archdsl\.build made; got .*; use its \.module"):
        archdsl.inherit(wrapped(model), trained(tiny()))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got a DataParallel; use its \.module"):
        archdsl.inherit(model, wrapped(trained(tiny())))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a state dict needs its spec: give \(spec, state_dict\)"):
        archdsl.inherit(model, model.state_dict())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a spec has no weights"):
        archdsl.inherit(model, tiny())  # type: ignore[arg-type]
    with pytest.raises(WrongUse, match=r"no such file: nowhere\.safetensors"):
        archdsl.inherit(model, "nowhere.safetensors")
    with pytest.raises(WrongUse, match="are the same object"):
        archdsl.inherit(model, model)


def test_a_parent_that_is_not_what_its_spec_says_is_refused_and_the_model_stays() -> None:
    parent, model = trained(tiny()), fresh(tiny())
    before = model.head.fc.weight.clone()  # type: ignore[union-attr, operator]
    parent.head.fc = torch.nn.Linear(32, 9)
    with pytest.raises(WeightsError, match=r"2 of the parent's tensors are not those of its spec: head\.fc\.weight is"):
        archdsl.inherit(model, parent)
    assert torch.equal(model.head.fc.weight, before)  # type: ignore[union-attr, arg-type]


def test_other_channels_wrong_names_and_models_without_memory_are_refused() -> None:
    with pytest.raises(WeightsError, match="the model reads 1 channels, the parent 3; set channels=3"):
        archdsl.inherit(fresh(tiny("channels=1")), trained(tiny()))
    with pytest.raises(WrongUse, match="classes must be 4 different names; got 2, 2 of them different"):
        archdsl.inherit(fresh(tiny()), trained(tiny()), classes=["a", "b"])
    with torch.device("meta"):
        empty = build(tiny())
    with pytest.raises(WrongUse, match="meta device"):
        archdsl.inherit(empty, trained(tiny()))
    with pytest.raises(WrongUse, match="inherit, then optimize"):
        archdsl.inherit(archdsl.optimize(fresh(tiny()).float(), fused=True), trained(tiny()))

"""Weights are found by their names, wherever training scripts put them and whatever stands beside them."""

from __future__ import annotations

import argparse
import collections
import datetime
import fractions
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from archdsl.errors import WeightsError
from archdsl.weights import Imported, import_weights
from tests.support.checkpoints import FORMS, Write, writer
from tests.support.weights import State, model, published, same

AVERAGES = ("model_ema", "ema_model", "state_dict_ema", "teacher", "weights_ema", "swa_model")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def assert_loads(write: Any, value: Any, state: State | None = None, key: str | None = None) -> Imported:
    """The weights come out of a file and of the same value in Python; what is said of them is equal."""
    wanted = model()
    import_weights(wanted, published(model()) if state is None else state)
    facts = []
    for source in (write(value), value):
        built = model()
        facts.append(import_weights(built, source, key=key)._replace(sha256=None))
        assert same(built.state_dict(), wanted.state_dict())
    assert facts[0] == facts[1]
    return facts[0]


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def moved(state: State) -> State:
    return {name: tensor + 1 for name, tensor in state.items()}


@pytest.mark.parametrize(
    "place",
    ["model_state_dict", "module", "net", "network", "ema", "teacher", "student", "weird", "a.b.c", "run.1.best"],
)
def test_one_set_is_taken_under_any_key(write: Write, place: str) -> None:
    value: Any = published(model())
    for name in reversed(place.split(".")):
        value = {"epoch": 3, name: value, "loss": 0.3}
    found = assert_loads(write, value)
    assert (found.container, found.others) == (place, ())


def test_sets_in_lists_and_beside_counters_are_found(write: Write) -> None:
    assert assert_loads(write, {"models": [published(model())]}).container == "models.0"
    assert assert_loads(write, {**published(model()), "epoch": 3, "best": None, "name": "x"}).container == ""


def test_an_optimizer_that_keeps_tensors_by_name_is_no_set_of_weights(write: Write) -> None:
    state = published(model())
    moments = {"exp_avg": moved(state), "exp_avg_sq": moved(moved(state))}
    found = assert_loads(write, {"optimizer": {"state": {0: {"step": torch.ones(1)}}}, "model": state})
    assert (found.container, found.others) == ("model", ())
    found = assert_loads(write, {"optimizer": moments, "model": state})
    assert (found.container, found.others) == ("model", ("optimizer.exp_avg", "optimizer.exp_avg_sq"))


@pytest.mark.parametrize(
    "prefix",
    ["net.", "encoder.", "module.model.", "model.net.", "backbone.bottom_up.", "backbone.0.body.", "a.b.c.d.", "m."],
)
@pytest.mark.parametrize("is_ours", [False, True])
def test_any_common_prefix_is_taken_off(write: Write, prefix: str, is_ours: bool) -> None:
    wanted = model()
    import_weights(wanted, published(model()))
    state = wanted.state_dict() if is_ours else published(model())
    found = assert_loads(write, {"state_dict": under(prefix, state)})
    assert (found.prefix, found.left_out, found.names) == (prefix, (), "archdsl" if is_ours else "litv2")


@pytest.mark.parametrize("part", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"])
def test_what_wrappers_put_into_names_is_taken_out(write: Write, part: str) -> None:
    """Of a model of which a stage, and a block inside another, was wrapped."""
    inside = {
        name.replace("layers.0.", f"layers.0.{part}.").replace("blocks.1.mlp.", f"blocks.1.{part}.mlp.{part}."): tensor
        for name, tensor in published(model()).items()
    }
    assert assert_loads(write, inside).prefix == ""
    assert assert_loads(write, under(f"module.{part}.", inside)).prefix == f"module.{part}."


def test_tensors_beside_a_wrapped_model_are_left_out_and_named(write: Write) -> None:
    beside = {"n_averaged": torch.tensor(3), "loss.weight": torch.ones(2), "step": torch.tensor(1)}
    found = assert_loads(write, beside | under("module.", published(model())))
    assert (found.prefix, found.left_out) == ("module.", tuple(beside))


def test_a_model_inside_must_still_be_whole(write: Write) -> None:
    state = under("backbone.", published(model())) | {"neck.weight": torch.ones(1)}
    lacking = {name: tensor for name, tensor in state.items() if name != "backbone.layers.0.blocks.0.norm2.bias"}
    with pytest.raises(WeightsError, match=r"1 of 85 tensors missing.*\nmissing: layers\.0\.blocks\.0\.norm2\.bias"):
        import_weights(model(), lacking)
    with pytest.raises(WeightsError, match=r"unexpected: layers\.7\.bias"):
        import_weights(model(), state | {"backbone.layers.7.bias": torch.ones(1)})
    with pytest.raises(WeightsError, match=r"norm\.bias: the checkpoint has \(2,\), the model \(32,\)"):
        import_weights(model(), state | {"backbone.norm.bias": torch.ones(2)})


@pytest.mark.parametrize(
    ("average", "plain"),
    [
        pytest.param(average, plain, marks=pytest.mark.slow if number % 3 != place else ())
        for number, average in enumerate(AVERAGES)
        for place, plain in enumerate(("student", "weights_x", "net"))
    ],
)
def test_weights_are_taken_before_their_averages_wherever_they_stand(write: Write, average: str, plain: str) -> None:
    state = published(model())
    found = assert_loads(write, {average: moved(state), plain: state})
    assert (found.container, found.others) == (plain, (average,))
    found = assert_loads(write, {average: moved(state), plain: state}, moved(state), key=average)
    assert (found.container, found.others) == (average, ())
    flat = under(f"{average}.module.", moved(state)) | under(f"{plain}.", state)
    found = assert_loads(write, {"state_dict": flat})
    assert (found.prefix, found.others) == (f"{plain}.", (f"state_dict.{average}.module",))
    for key in (f"state_dict.{average}.module", average):
        assert_loads(write, {"state_dict": flat}, moved(state), key=key)


def test_of_several_without_a_usual_place_one_must_be_named(write: Write) -> None:
    state = published(model())
    value = {"a_net": state, "b": {"net.x": moved(state)}}
    message = r'weights that fit are under 2 keys: "a_net", "b\.net\.x"; choose one with archdsl import --key'
    with pytest.raises(WeightsError, match=message):
        import_weights(model(), write(value))
    assert assert_loads(write, value, key="a_net").container == "a_net"
    assert_loads(write, value, moved(state), key="b.net.x")
    with pytest.raises(WeightsError, match=r'weights that fit are under 2 keys: "left", "right"'):
        import_weights(model(), under("left.", state) | under("right.", moved(state)))


def test_norms_of_another_network_are_not_taken_for_the_weights() -> None:
    norms = {f"layers.{n}.norm.{name}": torch.zeros(8) for n in range(3) for name in ("weight", "bias")}
    assert any(name.endswith(".norm.bias") or name == "norm.bias" for name in published(model()))
    with pytest.raises(WeightsError, match=r"the checkpoint does not fit: \d+ of \d+ tensors missing, 6 unexpected"):
        import_weights(model(), norms)


def test_a_wanted_name_without_a_tensor_is_told_as_what_it_is() -> None:
    with pytest.raises(WeightsError, match=r'"norm\.bias" is not a tensor but a list'):
        import_weights(model(), published(model()) | {"norm.bias": [0.0] * 32})


# ------------------------------------------------------------------------------------------------------------- numpy


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_numpy_are_weights(write: Any, form: str) -> None:
    wanted, built = model(), model()
    state = published(model())
    import_weights(wanted, state)
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in state.items()}
    arrays["head.weight"] = np.asfortranarray(arrays["head.weight"])
    arrays["norm.bias"] = arrays["norm.bias"].astype(np.float64)
    arrays["head.bias"] = arrays["head.bias"][::-1].copy()[::-1]
    for source in (write({"model": arrays}, **FORMS[form]), {"model": arrays}):
        found = import_weights(built, source)
        assert (found.container, found.cast) == ("model", {"float64": 1})
        assert same(built.state_dict(), wanted.state_dict())


def test_arrays_without_numbers_are_no_weights(write: Write) -> None:
    found = assert_loads(
        write,
        {
            "model": published(model()),
            "history": {
                "objects": np.array([None, "a"], dtype=object),
                "text": np.array(["a"]),
                "big": np.array([1], ">f4"),
            },
            "when": np.datetime64("2026-01-01"),
        },
    )
    assert found.others == ()


# ------------------------------------------------------------------------------------------ what else training keeps

optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
BESIDE: dict[str, Any] = {
    "tuple keys": {(0, 10): 1e-3, (10, (1, 2)): "nested"},
    "keys of other kinds": {torch.float32: 1, datetime.date(2026, 1, 1): 2, Path("x"): 3},
    "sets": [{1, 2}, frozenset({3})],
    "dictionaries": [collections.defaultdict(list, a=[1]), collections.OrderedDict(a=1), collections.Counter("aab")],
    "times": [datetime.datetime.now(datetime.UTC), datetime.timedelta(1), datetime.date(2026, 1, 1)],
    "paths and settings": argparse.Namespace(out=Path("runs"), lr=1e-3, nested=argparse.Namespace(a=(1, 2))),
    "numbers": [2**100, 1j, fractions.Fraction(1, 3), range(3), slice(1, 2), b"x", bytearray(b"y")],
    "numpy": [np.dtype("f4"), np.float64(1), np.int64(3), np.bool_(True), np.str_("a"), np.arange(3)],
    "random states": [np.random.get_state(), np.random.RandomState(0), np.random.default_rng(0), random.getstate()],
    "torch": [torch.float32, torch.device("cpu"), torch.Size([2]), torch.__version__, torch.get_rng_state()],
    "optimizer": [optimizer, optimizer.state_dict()],
    "scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10).state_dict(),
    "our spec": model().spec,
    "a queue": collections.deque([1, 2]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", BESIDE)
def test_what_training_keeps_beside_weights_is_passed_over(write: Any, what: str, form: str) -> None:
    built, state = model(), published(model())
    path = write({"model": state, what: BESIDE[what]}, **FORMS[form])
    assert import_weights(built, path).container == "model"
    assert torch.equal(built.state_dict()["head.fc.bias"], state["head.bias"])


@pytest.mark.parametrize("form", FORMS)
def test_a_training_log_that_names_its_own_methods_is_passed_over(
    write: Any, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MMEngine's HistoryBuffer, in every checkpoint of its training; pickles of protocol 2 name a method by getattr."""
    name = "mmengine.logging.history_buffer"
    log = type("HistoryBuffer", (), {"__module__": name, "min": lambda self: 0})
    log.min.__qualname__, log.min.__module__ = "HistoryBuffer.min", name  # type: ignore[attr-defined]
    module = ModuleType(name)
    module.HistoryBuffer = log  # type: ignore[attr-defined]
    for part in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    buffer = log()
    buffer.__dict__.update(history=np.ones(3), statistics_methods={"min": log.min})  # type: ignore[attr-defined]
    built, state = model(), published(model())
    found = import_weights(built, write({"state_dict": state, "message_hub": {"loss": buffer}}, **FORMS[form]))
    assert found.container == "state_dict"

"""The refit: kept blocks come nearer to the parent's activations, the same way every time, and never worse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.compile import Backbone
from archdsl.deriving import fitting
from archdsl.deriving.inheriting import inherit_from
from archdsl.deriving.parents import read_parent
from archdsl.errors import WrongUse
from archdsl.training.deadline import Deadline
from tests.support.clocks import Ticking
from tests.support.heirs import apart, fresh, pictures, tiny, trained, with_node

IMAGES = pictures(48, side=32).float()
QUICK = {"steps": 10, "batch": 16}


@pytest.fixture(scope="module")
def parent() -> Backbone:
    return trained(tiny()).float()


def heir(*changes: str) -> Backbone:
    return fresh(tiny(*changes)).float()


def behind(model: Backbone, node: str) -> Tensor:
    """The map that a node gives."""
    kept: list[Tensor] = []
    handle = model._modules[node].register_forward_hook(lambda *call: kept.append(call[2]))  # type: ignore[union-attr]
    with torch.no_grad():
        model(IMAGES)
    handle.remove()
    return kept[0]


def test_a_refit_comes_nearer_to_the_parent_at_the_removed_blocks(parent: Backbone) -> None:
    plain, refitted = heir("stage1.depth=2", "stage2.depth=2"), heir("stage1.depth=2", "stage2.depth=2")
    archdsl.inherit(plain, parent)
    report = archdsl.inherit(refitted, parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    for node in ("stage1", "stage2"):
        wanted = behind(parent, node)
        before, after = ((behind(net, node) - wanted).square().mean() for net in (plain, refitted))
        assert after < before
    by_name = {each.name: each for each in report.refits}
    assert by_name["stem"].outcome == "exact"
    assert by_name["stage1.blocks.0"].outcome == "fitted"
    measured = [(each.before, each.after) for each in report.refits]
    assert all(after <= before for before, after in measured if before is not None and after is not None)
    assert list(by_name) == [name for name, _ in report.blocks if name != "head"]


def test_equal_seeds_give_equal_weights_whatever_torch_drew_before(parent: Backbone) -> None:
    found = []
    for seed in (0, 0, 1):
        child = heir("stage1.depth=2", "stage2.depth=2")
        torch.rand(3 + seed)
        state = torch.get_rng_state()
        archdsl.inherit(child, parent, refit=IMAGES, seed=seed, **QUICK)  # type: ignore[arg-type]
        assert torch.equal(torch.get_rng_state(), state)
        found.append(child.stage1.blocks[0].mlp.fc1.weight)  # type: ignore[union-attr, index]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_same_network_has_nothing_to_fit_and_both_keep_their_mode(parent: Backbone) -> None:
    parent, child = copy.deepcopy(parent).train(), heir().train()
    report = archdsl.inherit(child, parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    assert {each.outcome for each in report.refits} == {"exact"}
    assert parent.training
    assert child.training
    assert apart(child.eval(), parent.eval(), IMAGES) == 0


def test_a_new_mixer_is_fitted_and_other_widths_have_no_target(parent: Backbone) -> None:
    spec = with_node(tiny(), "stage2", type="attention", depth=4, heads=4, mlp={"type": "dwconv", "ratio": 2})
    report = archdsl.inherit(fresh(spec).float(), parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    assert {each.outcome for each in report.refits if each.name.startswith("stage2")} == {"fitted"}
    report = archdsl.inherit(heir("merge1.width=24"), parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    outcomes = {each.name: (each.outcome, each.note) for each in report.refits}
    assert outcomes["stage1.blocks.0"][0] == "exact"
    assert outcomes["merge1"] == ("skipped", "no target of its shape; batch norm measured again")
    assert outcomes["stage2.blocks.3"] == ("skipped", "no target of its shape")


def test_what_is_frozen_stays_as_inherited(parent: Backbone) -> None:
    child = heir("stage1.depth=2").requires_grad_(False)
    report = archdsl.inherit(child, parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    assert {(each.outcome, each.note) for each in report.refits if each.name != "head"} == {("skipped", "frozen")}
    assert torch.equal(child.stage1.blocks[0].mlp.fc1.weight, parent.stage1.blocks[0].mlp.fc1.weight)  # type: ignore[union-attr, index]


def test_a_fit_that_gives_nan_is_undone_and_named(parent: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = fitting._loss

    def broken(module: torch.nn.Module, *inputs: Any) -> Tensor:
        return loss(module, *inputs) * (float("nan") if torch.is_grad_enabled() else 1)

    monkeypatch.setattr(fitting, "_loss", broken)
    child = heir("stage1.depth=2")
    report = archdsl.inherit(child, parent, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    undone = {each.name for each in report.refits if each.outcome == "not finite"}
    assert "stage1.blocks.0" in undone
    assert "stage1.blocks.0" in str(report)
    assert torch.equal(child.stage1.blocks[0].mlp.fc1.weight, parent.stage1.blocks[0].mlp.fc1.weight)  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[0], r"must be \(N, 3, 32, 32\), as the spec says; got \(3, 32, 32\)"),
        (IMAGES[:, :1], r"got \(48, 1, 32, 32\)"),
        (IMAGES[..., :16], r"got \(48, 3, 32, 16\)"),
        (IMAGES[:0], "at least 2 images, better some hundreds; got 0"),
        (IMAGES[:1], "got 1"),
        ((IMAGES * 255).byte(), r"of torch\.uint8; give floats, normalised as the parent reads them"),
        (IMAGES * float("nan"), "NaN or infinities"),
    ],
)
def test_images_that_do_not_hold_are_refused_before_anything_changes(
    parent: Backbone, images: Tensor, message: str
) -> None:
    child = heir()
    before = child.head.fc.weight.clone()  # type: ignore[union-attr, operator]
    with pytest.raises(WrongUse, match=message):
        archdsl.inherit(child, parent, refit=images)
    assert torch.equal(child.head.fc.weight, before)  # type: ignore[union-attr, arg-type]


def test_settings_and_dtypes_that_do_not_hold_are_refused(parent: Backbone) -> None:
    for settings, message in (
        ({"steps": 0}, "steps must be a whole number from 1 on; got 0"),
        ({"batch": 1}, "batch must be a whole number from 2 on; got 1"),
        ({"lr": 0.0}, "lr must be a number above 0"),
        ({"seed": -1}, "seed must be a whole number from 0 on"),
    ):
        with pytest.raises(WrongUse, match=message):
            archdsl.inherit(heir(), parent, refit=IMAGES, **settings)
    with pytest.raises(WrongUse, match=r"float32 or float64; this one is of torch\.float16"):
        archdsl.inherit(heir().half(), parent, refit=IMAGES)
    with pytest.raises(TypeError, match="refit takes a tensor of images; got a list"):
        archdsl.inherit(heir(), parent, refit=[IMAGES])  # type: ignore[arg-type]


def test_a_parent_with_nan_leaves_blocks_as_inherited_and_names_them(parent: Backbone) -> None:
    broken, child = copy.deepcopy(parent), heir()
    torch.nn.init.constant_(broken.stage2.blocks[1].mlp.fc1.bias, float("nan"))  # type: ignore[union-attr, index]
    report = archdsl.inherit(child, broken, refit=IMAGES, **QUICK)  # type: ignore[arg-type]
    outcomes = {each.name: each.outcome for each in report.refits}
    assert outcomes["stage2.blocks.0"] == "exact"
    assert outcomes["stage2.blocks.1"] == outcomes["stage2.blocks.3"] == "not finite"
    assert [each.before for each in report.refits if each.name == "stage2.blocks.1"] == [None]


def test_a_model_that_cannot_learn_is_refused(parent: Backbone) -> None:
    with torch.inference_mode():
        child = heir()
    with pytest.raises(WrongUse, match=r"build the model outside of torch\.inference_mode"):
        archdsl.inherit(child, parent, refit=IMAGES)


def test_a_refit_ends_by_its_deadline_and_leaves_the_blocks_behind_as_inherited(parent: Backbone) -> None:
    """The clock goes on by a second at each look, of which a fit of ten steps takes more than ten."""
    plain, child = heir("stage1.depth=2", "stage2.depth=2"), heir("stage1.depth=2", "stage2.depth=2")
    archdsl.inherit(plain, parent)
    settings = fitting.RefitSettings(10, batch=16, deadline=Deadline(30.0, 0, Ticking(tick=1.0)))
    refits = inherit_from(child, read_parent(parent), IMAGES, settings).refits
    outcomes = [each.outcome for each in refits]
    assert {each.note for each in refits if each.outcome == "skipped"} == {"there was no time left for it"}
    first = outcomes.index("skipped")
    assert "fitted" in outcomes[:first]
    assert set(outcomes[first:]) == {"skipped"}
    left = refits[-1].name
    state = plain.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in child.state_dict().items() if left in name)

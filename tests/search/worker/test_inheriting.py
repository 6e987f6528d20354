"""What a worker does with a parent: real networks of a few thousand parameters, on images that any of them learns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.data.loading import load
from archdsl.errors import WeightsError, WrongUse
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of
from archdsl.search.loaded_data import DataRequest
from archdsl.search.policy.inherit import AdaptingPolicy, FineTuningPolicy
from archdsl.search.worker.parent_actions import prepare_parent
from archdsl.search.worker.parent_messages import ParentReply, ParentRequest
from archdsl.search.worker.training_actions import inherited_loss, train_network
from archdsl.search.worker.training_messages import (
    Inherited,
    InheritedLossRequest,
    Inheriting,
    TrainReply,
    TrainRequest,
)
from archdsl.training.fidelity import Fidelity
from archdsl.training.recipe import train
from archdsl.training.saving import Training, save_trained
from archdsl.weights import load_model, read_facts
from tests.support.bright_images import write_bright_images
from tests.support.clocks import Ticking

SIZE, CLASSES = 16, 4


def spec(depth: int = 2, width: int = 16, patch: int = 4, classes: int = CLASSES, channels: int = 3) -> Spec:
    return spec_of(
        {
            "kind": "arch",
            "version": 1,
            "name": "small",
            "image": SIZE,
            "classes": classes,
            "channels": channels,
            "nodes": [
                {"id": "stem", "type": "patch_stem", "width": width, "patch": patch},
                {"id": "stage1", "type": "mlp", "depth": depth, "mlp": {"type": "dwconv"}},
                {"id": "head", "type": "mean_head"},
            ],
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data of four classes, grey data of five, and a parent trained on the first."""
    folder = tmp_path_factory.mktemp("parent")
    write_bright_images(folder / "data.npz", classes=CLASSES, count=300, size=SIZE)
    write_bright_images(folder / "grey.npz", classes=5, count=300, size=SIZE, channels=1)
    data, fidelity = load(str(folder / "data.npz"), SIZE, 0, train=1000), Fidelity(24, 150)
    torch.manual_seed(0)
    model = archdsl.build(spec())
    outcome = train(model, data, fidelity, seed=0)
    save_trained(model, folder / "parent.safetensors", Training(data, data.fingerprint(), fidelity, 0, "cpu", outcome))
    return folder


def silent(event: Any) -> None:
    pass


def prepared(
    place: Path,
    data: str,
    out: Path,
    file: str = "parent.safetensors",
    seconds: float = 1.0,
    epochs: float = 4.0,
    now: Callable[[], float] = time.monotonic,
) -> ParentReply:
    request = ParentRequest(
        file=str(place / file),
        out=str(out),
        data=DataRequest(str(place / data), SIZE, 0, 1000),
        image=(SIZE, SIZE),
        seed=0,
        device="cpu",
        threads=1,
        batch=16,
        seconds=seconds,
        adapting=AdaptingPolicy(epochs=epochs),
    )
    return prepare_parent(request, silent, now)


def trained(place: Path, parent: Path, network: Spec, keep: Path, epochs: float = 1.0, **how: Any) -> TrainReply:
    inheriting = Inheriting(str(parent), "b" * 64, epochs, **how)
    data = DataRequest(str(place / "data.npz"), SIZE, 0, 1000)
    request = TrainRequest(network.to_json(), data, 0.5, 16, 1000, 0, "cpu", 1, None, (), str(keep), None, inheriting)
    return train_network(request, silent)


def test_a_parent_of_the_same_classes_is_taken_as_it_is(place: Path, tmp_path: Path) -> None:
    reply = prepared(place, "data.npz", tmp_path / "p.safetensors")
    assert (reply.epochs, reply.notes) == (0.0, ())
    before, after = load_model(place / "parent.safetensors"), load_model(tmp_path / "p.safetensors")
    assert all(torch.equal(tensor, after.state_dict()[name]) for name, tensor in before.state_dict().items())
    stated = read_facts(place / "parent.safetensors").accuracy
    assert stated is not None
    assert read_facts(tmp_path / "p.safetensors").accuracy == stated
    assert reply.validation.answers == stated.validation.answers


def test_a_parent_of_other_classes_and_channels_is_adapted(place: Path, tmp_path: Path) -> None:
    reply = prepared(place, "grey.npz", tmp_path / "p.safetensors")
    assert (reply.spec["classes"], reply.spec["channels"]) == (5, 1)
    assert reply.epochs > 0
    text = " ".join(reply.notes)
    assert "reads 1 channel now instead of 3" in text
    assert "it knows 4 of the 5 classes of the data; its head is new for the others" in text
    facts = read_facts(tmp_path / "p.safetensors")
    assert facts.classes == ("0", "1", "2", "3", "4")
    assert facts.accuracy is not None
    assert facts.accuracy.validation.accuracy > 0.5  # a fifth is chance


def test_a_parent_whose_adaptation_would_be_late_is_adapted_for_less(place: Path, tmp_path: Path) -> None:
    """Ten steps seem to take a second; then each of 375 takes one, of which 150 s leave a part."""
    reply = prepared(place, "grey.npz", tmp_path / "p.safetensors", seconds=150.0, epochs=40.0, now=Ticking(tick=1.0))
    assert 50 / 375 * 40 <= reply.epochs < 16
    assert any("shortened from 40 epochs" in note for note in reply.notes)
    facts = read_facts(tmp_path / "p.safetensors").provenance
    assert facts is not None
    assert facts.epochs == reply.epochs


def test_data_that_is_too_small_is_refused_with_the_number_needed(place: Path, tmp_path: Path) -> None:
    write_bright_images(tmp_path / "few.npz", classes=CLASSES, count=100, size=SIZE)
    with pytest.raises(WrongUse, match=r"needs at least 64 training images for 4 classes; .* has 50"):
        prepared(tmp_path, "few.npz", tmp_path / "p.safetensors", str(place / "parent.safetensors"))


def test_channels_that_are_neither_one_are_refused(place: Path, tmp_path: Path) -> None:
    from archdsl.deriving.channels import with_channels

    with pytest.raises(WeightsError, match=r"reads images of 3 channels, the data has 4"):
        with_channels(archdsl.build(spec()), 4)


def test_grey_and_equal_colours_give_equal_outputs() -> None:
    from archdsl.deriving.channels import with_channels

    model, grey = archdsl.build(spec()).eval(), torch.randn(2, 1, SIZE, SIZE)
    one = with_channels(model, 1)
    assert torch.allclose(one(grey), model(grey.expand(-1, 3, -1, -1)), atol=1e-5)
    again = with_channels(one, 3)
    assert torch.allclose(again(grey.expand(-1, 3, -1, -1)), one(grey), atol=1e-5)


def test_a_shallower_network_inherits_and_its_file_names_the_parent(place: Path, tmp_path: Path) -> None:
    parent = tmp_path / "p.safetensors"
    prepared(place, "data.npz", parent)
    reply = trained(place, parent, spec(depth=1), tmp_path / "w.safetensors")
    inherited = reply.inherited
    assert inherited is not None
    assert inherited.reason is None
    assert inherited.loss is not None
    assert inherited.parent_loss is not None
    facts = read_facts(tmp_path / "w.safetensors")
    assert facts.provenance is not None
    assert (facts.provenance.parent, facts.provenance.epochs) == ("b" * 64, 1.0)
    assert reply.outcome is not None
    assert reply.outcome.accuracy > 0.8


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (spec(width=32), "it is wider than the parent"),
        (spec(patch=2), "its patches have another size than the parent's"),
    ],
)
def test_what_cannot_keep_its_function_begins_anew(place: Path, tmp_path: Path, network: Spec, reason: str) -> None:
    parent = tmp_path / "p.safetensors"
    prepared(place, "data.npz", parent)
    reply = trained(place, parent, network, tmp_path / "w.safetensors")
    assert reply.inherited is not None
    assert reply.inherited.reason == reason
    facts = read_facts(tmp_path / "w.safetensors").provenance
    assert facts is not None
    assert (facts.parent, facts.epochs) == (None, 0.5)


def test_what_cannot_inherit_is_not_trained_where_there_is_no_time_for_it(place: Path, tmp_path: Path) -> None:
    parent, keep = tmp_path / "p.safetensors", tmp_path / "w.safetensors"
    prepared(place, "data.npz", parent)
    reply = trained(place, parent, spec(width=32), keep, begins_anew=False)
    assert reply.inherited is not None
    assert (reply.outcome, reply.inherited.reason) == (None, "it is wider than the parent")
    assert not keep.exists()


def test_what_a_network_keeps_of_its_parent_is_its_loss_before_any_step(place: Path, tmp_path: Path) -> None:
    parent = tmp_path / "p.safetensors"
    prepared(place, "data.npz", parent)
    data = DataRequest(str(place / "data.npz"), SIZE, 0, 1000)
    beginning = Inheriting(str(parent), "b" * 64, 1.0)

    def kept(network: Spec) -> Inherited:
        return inherited_loss(InheritedLossRequest(network.to_json(), data, 0, "cpu", 1, beginning), silent)

    same, shallower, wider = kept(spec()), kept(spec(depth=1)), kept(spec(width=32))
    assert same.loss == pytest.approx(same.parent_loss, rel=1e-5)
    assert same.loss is not None
    assert shallower.loss is not None
    assert shallower.loss > same.loss
    assert (wider.loss, wider.reason) == (None, "it is wider than the parent")
    again = trained(place, parent, spec(depth=1), tmp_path / "w.safetensors").inherited
    assert again is not None
    assert again.loss == shallower.loss


def test_a_refit_that_leaves_a_network_broken_does_not_set_the_rate(place: Path, tmp_path: Path) -> None:
    parent = tmp_path / "p.safetensors"
    prepared(place, "data.npz", parent)
    how: dict[str, Any] = {"refit_steps": 1, "refit_images": 64, "is_decided": True}
    for broken_nats, rate in ((-100.0, 0.02), (100.0, 0.03)):
        tuning = FineTuningPolicy(broken_nats=broken_nats, broken_lr=0.02, refitted_lr=0.03)
        reply = trained(place, parent, spec(depth=1), tmp_path / "w.safetensors", epochs=0.1, tuning=tuning, **how)
        assert reply.inherited is not None
        assert (reply.inherited.refitted > 0, reply.inherited.lr) == (True, rate)


def test_a_finalist_is_fitted_again_and_never_worse_than_untuned(place: Path, tmp_path: Path) -> None:
    parent = tmp_path / "p.safetensors"
    prepared(place, "data.npz", parent)
    keep = tmp_path / "w.safetensors"
    how = {"refit_steps": 10, "refit_images": 64, "is_decided": True}
    reply = trained(place, parent, spec(depth=1), keep, epochs=0.1, **how)
    assert reply.inherited is not None
    assert reply.inherited.refitted >= 1
    facts = read_facts(keep).accuracy
    assert facts is not None
    assert reply.outcome is not None
    assert facts.validation.accuracy == reply.outcome.accuracy


def in_time(place: Path, folder: Path, clock: Ticking, **limits: Any) -> TrainReply:
    """A finalist of one block less: a refit of 20 steps a block, then 40 epochs of 150 images, which are 375 steps."""
    prepared(place, "data.npz", folder / "p.safetensors")
    how: dict[str, Any] = {"refit_steps": 20, "refit_images": 64, "is_decided": True}
    inheriting = Inheriting(str(folder / "p.safetensors"), "b" * 64, 40.0, **how)
    data, keep = DataRequest(str(place / "data.npz"), SIZE, 0, 1000), str(folder / "w.safetensors")
    document = spec(depth=1).to_json()
    request = TrainRequest(document, data, 0.5, 16, 1000, 0, "cpu", 1, keep=keep, inheriting=inheriting, **limits)
    return train_network(request, silent, clock)


def test_a_finalist_that_would_be_late_is_fine_tuned_for_fewer_steps(place: Path, tmp_path: Path) -> None:
    reply = in_time(place, tmp_path, Ticking(tick=1.0), seconds=200.0, least_steps=60)
    outcome = reply.outcome
    assert outcome is not None
    assert outcome.steps is not None
    assert outcome.finished
    assert 60 <= outcome.steps < 200
    facts = read_facts(tmp_path / "w.safetensors")
    assert facts.provenance is not None
    assert facts.provenance.epochs == outcome.steps * 16 / 150
    assert facts.provenance.steps == outcome.steps


def test_a_finalist_that_falls_below_the_least_leaves_nothing(place: Path, tmp_path: Path) -> None:
    reply = in_time(place, tmp_path, Ticking(tick=1.0), seconds=100.0, least_steps=300)
    assert reply.outcome is not None
    assert not reply.outcome.finished
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize(("seconds", "blocks"), [(1e6, 1), (0.0, 0)])
def test_a_refit_without_time_is_left_out(place: Path, tmp_path: Path, seconds: float, blocks: int) -> None:
    reply = in_time(place, tmp_path, Ticking(tick=1.0), seconds=1e6, least_steps=60, refit_seconds=seconds)
    assert reply.inherited is not None
    assert reply.inherited.refitted == blocks
    assert reply.outcome is not None
    assert reply.outcome.steps == 375

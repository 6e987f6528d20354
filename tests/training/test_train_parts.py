"""The parts of `archdsl train`: recipes, rates, mixing, augmentation, averages, teachers, an interruption."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import archdsl
from archdsl.errors import TrainingError
from archdsl.families.common.layers import DropPath
from archdsl.load.specs import load_spec
from archdsl.render.training import bar
from archdsl.training.augmentation import augmentation_of, resized_crop, shifted
from archdsl.training.averaging import WeightAverage
from archdsl.training.batches import Course, seed_of
from archdsl.training.course import Clock, Rates, rates_of
from archdsl.training.distillation import Loss, Teacher
from archdsl.training.loop import Batch
from archdsl.training.mixing import erased, mixed
from archdsl.training.named_recipes import FAST, paper_recipe
from archdsl.training.normalising import Normalise
from archdsl.training.session import Moment, Session
from archdsl.zoo import names
from tests.support.training_data import pictures, spec


def test_every_published_network_has_a_recipe_or_none_was_published() -> None:
    recipes = {name: paper_recipe(load_spec(name)) for name in names()}
    assert {recipe.epochs for name, recipe in recipes.items() if not name.endswith("384")} == {300, 310}
    assert {name for name, recipe in recipes.items() if recipe.needs_weights} == {"dat_b_384", "litv2_b_384"}
    assert {name for name, recipe in recipes.items() if recipe.repeats > 1} == {
        *("lit_ti", "dualvit_s", "dualvit_b", "dualvit_l")
    }
    clips = {name: recipe.clip for name, recipe in recipes.items()}
    assert (clips["lit_s"], clips["dat_t"], clips["dat_b"], clips["dualvit_s"], clips["dualvit_l"]) == (
        5,
        5,
        1,
        None,
        1,
    )
    assert recipes["datpp_b"].warmup_epochs == 50
    assert recipes["fcvit_tiny"].peak(1024) == 1e-3
    assert recipes["lit_s"].peak(1024) == pytest.approx(1e-3)


@pytest.mark.parametrize(("recipe", "rate"), [("fast", 0.0), ("paper", 0.1)])
def test_a_recipe_may_train_without_stochastic_depth_and_the_file_keeps_the_document(
    recipe: str, rate: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def run(session: Session) -> None:
        rates.extend(part.rate for part in session.model.modules() if isinstance(part, DropPath))
        assert session.model.spec.drop_path == 0.1
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "run", run)
    with pytest.raises(KeyboardInterrupt):
        archdsl.train(spec(), pictures(tmp_path / "data.npz"), tmp_path / "a.safetensors", recipe=recipe, batch=8)
    assert max(rates) == pytest.approx(rate)


def test_the_rate_of_the_offsets_of_lit_is_constant_after_the_warmup_at_the_published_batch() -> None:
    """As it is in the published code: the cosine of all others ends at the offsets' peak."""
    recipe = paper_recipe(load_spec("litv2_s"))
    clock = Clock(300, None)
    rates = rates_of(recipe, clock, 1024, 1.0)
    peak, told = recipe.peak(1024), []
    for clock.share in (0.0, 20 / 300, 0.5, 1.0):
        told.append((rates(0, peak), rates(0, 0.01 * peak)))
    assert told[0] == (1e-6, 1e-6)
    assert told[1] == pytest.approx((1e-3, 1e-5))
    assert told[2][0] < told[1][0]
    assert [offset for _, offset in told[1:]] == [pytest.approx(1e-5)] * 3
    assert told[3][0] == pytest.approx(1e-5)


def test_the_rate_follows_the_time_where_it_is_limited() -> None:
    clock = Clock(1000, limit_s=1e9, before_s=0.75e9)
    assert clock.share_at(10) == pytest.approx(0.75)
    clock.share = clock.share_at(10)
    assert Rates(clock, 0.0, 0.0, 0.0)(10, 1.0) == pytest.approx(0.5 * (1 + math.cos(0.75 * math.pi)))
    assert Clock(1000, limit_s=1e9).share_at(900) == 0.9


def test_each_epoch_reads_every_image_at_most_once_and_processes_read_different_ones() -> None:
    whole = list(Course(10, 4, 6, seed=3).from_step(0))
    assert [len(items) for items in whole] == [4] * 6
    for epoch in range(3):
        rows = [item.row for items in whole[2 * epoch : 2 * epoch + 2] for item in items]
        assert len(set(rows)) == 8
    assert list(Course(10, 4, 6, seed=3).from_step(3)) == whole[3:]
    parts = [list(Course(10, 4, 6, 3, 1, rank, 2).from_step(0)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(items) for items in whole]
    repeated = next(Course(12, 6, 2, 3, repeats=3).from_step(0))
    assert [item.repeat for item in repeated] == [0, 1, 2, 0, 1, 2]
    assert len({item.row for item in repeated}) == 2


def test_mixed_images_have_the_shares_that_their_targets_say() -> None:
    """Images that are 0 and 1 everywhere: their mean is the share of the second."""
    batch = Batch(torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)]), torch.tensor([0, 1]))
    for number in range(8):
        torch.manual_seed(number)
        for mixup, cutmix in ((0.8, 0.0), (0.0, 1.0)):
            images, targets = mixed(batch, 3, mixup, cutmix)
            torch.testing.assert_close(targets.sum(1), torch.ones(2))
            torch.testing.assert_close(images.mean((1, 2, 3)), targets[:, 1])
            assert (cutmix == 0) or set(images.flatten().tolist()) <= {0.0, 1.0}
    assert mixed(batch, 3, 0.0, 0.0) is batch


def test_erasing_changes_a_box_of_about_every_fourth_image() -> None:
    torch.manual_seed(0)
    images = torch.full((200, 1, 16, 16), 9.0)
    changed = (erased(images, 0.25) != images).float().mean((1, 2, 3))
    assert 30 < int((changed > 0).sum()) < 70
    assert float(changed.max()) <= 0.4
    assert erased(images, 0.0) is images


def test_a_shift_keeps_the_size_and_a_crop_has_the_size_asked_for() -> None:
    picture = torch.arange(3 * 32 * 48, dtype=torch.uint8).reshape(3, 32, 48)
    torch.manual_seed(1)
    moved = shifted(picture)
    assert moved.shape == picture.shape
    assert not torch.equal(moved, picture)
    assert shifted(picture[:, :8, :8]).equal(picture[:, :8, :8])  # a sixteenth of 8 pixels is none
    cropped = resized_crop(picture, (20, 30), "random")
    assert (cropped.shape, cropped.dtype) == ((3, 20, 30), torch.uint8)


def test_rand_augment_is_torchvisions_where_it_loads_and_a_line_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = paper_recipe(load_spec("lit_s"))

    class RandAugment:
        def __init__(self, num_ops: int, magnitude: int) -> None:
            self.value = 10 * num_ops + magnitude

        def __call__(self, picture: Tensor) -> Tensor:
            return torch.full_like(picture, self.value)

    v2 = types.SimpleNamespace(RandAugment=RandAugment)
    for name in ("torchvision", "torchvision.transforms"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["torchvision.transforms"], "v2", v2, raising=False)
    augment, line = augmentation_of(recipe, (8, 8), harmless_flips=False, is_bytes=True)
    assert augment(torch.zeros(3, 16, 16, dtype=torch.uint8)).unique().tolist() == [29]
    assert line.endswith("RandAugment of torchvision (2 operations, magnitude 9)")
    assert "since the images are no bytes" in augmentation_of(recipe, (8, 8), False, is_bytes=False)[1]
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.transforms", None)
    augment, line = augmentation_of(recipe, (8, 8), harmless_flips=False, is_bytes=True)
    assert augment.magnitude == 0
    assert "no RandAugment, since torchvision is not installed" in line
    assert augmentation_of(FAST, (8, 8), harmless_flips=False, is_bytes=True)[1] == "augmentation: shifts"


def test_the_average_follows_closely_at_first_and_slowly_later() -> None:
    model = nn.BatchNorm1d(1)
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(2.0)
    model.load_state_dict({"num_batches_tracked": torch.tensor(7)}, strict=False)
    average.update(model)
    assert average.tensors["weight"].item() == pytest.approx(1 + 9 / 11)  # (1 + 1) / (10 + 1) of the old
    assert average.tensors["num_batches_tracked"].item() == 7
    for _ in range(20):
        before = average.tensors["weight"].item()
        average.update(model)
    assert average.tensors["weight"].item() == pytest.approx(2 - (2 - before) / 2)


def test_a_teacher_reads_its_own_constants_and_classes_in_the_order_of_the_data() -> None:
    torch.manual_seed(0)
    model = archdsl.build(spec(classes="3")).eval()
    one = torch.ones(3, 1, 1)
    teacher = Teacher(model, (2, 0, 1), student=Normalise(5 * one, 2 * one), own=Normalise(3 * one, 4 * one))
    raw = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = model((raw - 3) / 4)[:, [2, 0, 1]]
    torch.testing.assert_close(teacher((raw - 5) / 2), expected, atol=1e-5, rtol=1e-5)
    assert teacher(torch.rand(2, 3, 16, 24)).shape == (2, 3)  # its own size is another one
    batch = Batch((raw - 5) / 2, torch.tensor([0, 1]))
    alone = Loss(0.0, teacher, share=1.0)
    assert float(alone(expected, batch)) == pytest.approx(0.0, abs=1e-6)
    assert float(alone(expected.flip(1), batch)) > 1e-6
    assert float(Loss(0.1)(expected, batch)) == pytest.approx(
        float(nn.functional.cross_entropy(expected, batch.targets, label_smoothing=0.1))
    )


def test_seeds_differ_by_what_they_are_for() -> None:
    assert len({seed_of(0, 1, 2), seed_of(0, 2, 1), seed_of(1, 0, 2)}) == 3


def test_tensorboard_is_written_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            self.folder = folder

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def close(self) -> None:
            written.append((self.folder, 0))

    module = types.ModuleType("torch.utils.tensorboard")
    monkeypatch.setitem(sys.modules, module.__name__, None)
    data = pictures(tmp_path / "data.npz", count=40)
    with pytest.raises(TrainingError, match="pip install tensorboard"):
        archdsl.train(spec(), data, tmp_path / "a.safetensors", tensorboard="curves")
    monkeypatch.setattr(module, "SummaryWriter", SummaryWriter, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    archdsl.train(spec(), data, tmp_path / "a.safetensors", tensorboard="curves", epochs=1)
    assert written == [("loss", 2), ("lr", 2), ("curves", 0)]


@pytest.mark.slow
def test_an_interrupted_command_leaves_no_file_and_says_how_to_continue(tmp_path: Path) -> None:
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    data = pictures(tmp_path / "data.npz", count=40)
    command = [
        sys.executable,
        "-m",
        "archdsl",
        "train",
        "small.json",
        "--data",
        data,
        "--epochs",
        "9000",
        "-o",
        "a.safetensors",
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stderr is not None
        for line in started.stderr:
            if line.startswith("epoch 2"):
                started.send_signal(signal.SIGINT)
                break
        rest = started.stderr.read()
    assert started.returncode == 130
    assert rest.splitlines()[-1].startswith("interrupted; to continue: archdsl train small.json --data ")
    assert rest.splitlines()[-1].endswith(" --epochs 9000 -o a.safetensors --resume")
    assert (tmp_path / "a.safetensors.unfinished").exists()
    assert not (tmp_path / "a.safetensors").exists()


def test_the_bar_shows_step_loss_and_time() -> None:
    def drawn(moment: Moment) -> str:
        console = Console(width=70, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(bar(moment))
        return captured.get()

    assert "step 30/1,200 loss 2.500 1:05" in drawn(Moment(0.025, 30, 1200, 0.5, 2.5, 65.0))
    assert "step 0 " in drawn(Moment(0.0, 0, None, 0.0, math.nan, 0.0))

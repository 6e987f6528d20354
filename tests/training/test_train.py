"""`archdsl.train` and `archdsl train`: what is written, what continues, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.cli import main
from archdsl.data.loading import load
from archdsl.training.loop import Batch
from archdsl.training.session import Session
from archdsl.weights import read_facts
from tests.support.bright_images import write_bright_images
from tests.support.commands import Ended, Run
from tests.support.small_trainings import one_thread
from tests.support.training_data import pictures, spec

single = pytest.fixture(autouse=True)(one_thread)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data.npz")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the command line in this process, in a folder with the spec `small.json`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    return lambda *arguments: Ended(main([str(argument) for argument in arguments]), *capsys.readouterr())


def weights(file: Path) -> dict[str, Tensor]:
    return archdsl.load_model(file).state_dict()


def test_the_file_states_the_accuracy_that_its_weights_have(data: str, tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    trained = archdsl.train(spec(), data, out, epochs=6, lr=4e-3)
    facts, loaded = read_facts(out), load(data, 32, 0, None)
    assert facts.classes == ("ant", "bee", "cat")
    assert facts.preprocessing is not None
    mean, std = (torch.tensor(some)[:, None, None] for some in (facts.preprocessing.mean, facts.preprocessing.std))
    with torch.no_grad():
        logits = archdsl.load_model(out)((loaded.held_images / 255 - mean) / std)
    right = int((logits.argmax(1) == loaded.held_labels).sum())
    assert facts.accuracy is not None
    assert facts.accuracy.held_out is not None
    assert facts.accuracy.held_out.accuracy == right / len(loaded.held_labels) == trained.held_out.accuracy  # type: ignore[union-attr]
    assert facts.accuracy.data.fingerprint == loaded.fingerprint()
    assert trained.validation.accuracy > 0.6
    assert facts.provenance is not None
    assert (facts.provenance.recipe, facts.provenance.steps) == ("fast", trained.steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.safetensors", "data.npz"]
    entries = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert entries[-1]["loss"] < entries[0]["loss"]


def test_the_command_prints_on_which_images_the_accuracy_was_measured(run: Run, data: str) -> None:
    ended = run("train", "small.json", "--data", data, "--epochs", "1", "-o", "a.safetensors")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("a.safetensors: fcvit_tiny, recipe fast, 1 epoch, 4 steps of 16 images")
    assert "validation and held-out images are drawn from the training set" in lines[1]
    assert lines[2].startswith("validation accuracy: ")
    assert lines[2].endswith(" on 9 images, not used for training")
    assert " ± " in lines[3]
    assert "augmentation: shifts" in ended.err


ALL_PARTS: dict[str, float | str | bool] = {
    "epochs": 3,
    "batch": 16,
    "ema": 0.9,
    "mixup": 0.5,
    "cutmix": 1.0,
    "grad_checkpointing": True,
}
SCRIPT = """
import json, os, signal, sys
import archdsl, torch
torch.set_num_threads(1)
arguments, kill_at = json.loads(sys.argv[1]), int(sys.argv[2])
def watcher(moment, line):
    if line is None and moment.step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
archdsl.train(**arguments, watcher=watcher)
"""


@pytest.mark.slow
def test_a_training_that_was_killed_continues_to_the_same_bits(tmp_path: Path) -> None:
    """In the midst of its third epoch, with every part that keeps a state or draws random numbers."""
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    data = pictures(tmp_path / "data.npz", count=60)
    whole, out = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    archdsl.train(str(tmp_path / "small.json"), data, whole, **ALL_PARTS)  # type: ignore[arg-type]
    arguments = {"spec": str(tmp_path / "small.json"), "data": data, "out": str(out), **ALL_PARTS}
    killed = subprocess.run([sys.executable, "-c", SCRIPT, json.dumps(arguments), "7"], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    lines: list[str | None] = []
    archdsl.train(**arguments, resume=True, watcher=lambda moment, line: lines.append(line))  # type: ignore[arg-type]
    assert "resumed after step 6" in lines
    assert out.read_bytes() == whole.read_bytes()
    logs = [(tmp_path / name).read_text().splitlines() for name in ("whole.jsonl", "killed.jsonl")]
    losses = [[json.loads(line)["loss"] for line in log] for log in logs]
    assert losses[0] == losses[1]
    assert not list(tmp_path.glob("*.unfinished"))


def test_an_output_that_is_there_is_replaced_with_force_alone(data: str, run: Run) -> None:
    train = ["train", "small.json", "--data", data, "--epochs", "1", "-o", "a.safetensors"]
    assert run(*train).code == 0
    before = Path("a.safetensors").read_bytes()
    refused = run(*train, "--seed", "1")
    assert (refused.code, Path("a.safetensors").read_bytes()) == (2, before)
    assert "it is there already; add --force, or give another output file" in refused.err
    finished = run(*train, "--resume")
    assert "the training is finished; to train it anew, give --force instead of --resume" in finished.err
    assert run(*train, "--seed", "1", "--force").code == 0
    assert Path("a.safetensors").read_bytes() != before


def test_other_settings_are_refused_on_resuming_and_the_state_stays(data: str, run: Run, tmp_path: Path) -> None:
    def stop(moment: object, line: str | None) -> None:
        if line is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archdsl.train(spec(), data, "a.safetensors", epochs=1, watcher=stop)
    again = ["train", "small.json", "--data", data, "--epochs", "1", "-o", "a.safetensors"]
    assert run(*again).err == (
        "a.safetensors.unfinished is a training that did not finish; continue it with --resume, or remove the file\n"
    )
    ended = run(*again, "--resume", "--seed", "3", "--lr", "0.01")
    assert ended.code == 2
    assert "other settings: " in ended.err
    assert "seed was 0, not 3" in ended.err
    assert run(*again, "--resume", "--batch", "5000").code == 1
    assert (tmp_path / "a.safetensors.unfinished").exists()
    assert run(*again, "--resume", "-q").code == 0


WRONG: dict[str, tuple[str, int, str]] = {
    "one class": ("small.json --data one.npz", 1, "one.npz: data must have at least 2 classes; got 1 (ant)"),
    "few images": (
        "small.json --data few.npz",
        1,
        "a batch of 16 needs at least as many training images; few.npz has 9; use --batch 2",
    ),
    "an empty folder": ("small.json --data empty", 1, "empty: no images found; expected one folder per class"),
    "no data": ("small.json --data nothing.npz", 2, "nothing.npz: no such file or folder"),
    "channels": ("rgb.json --data few.npz", 2, "the spec 'fcvit_tiny' has channels 1, but the data few.npz has 3"),
    "three channels, stated": (
        "rgb3.json --data grey.npz",
        2,
        "the spec 'fcvit_tiny' has channels 3, but the data grey.npz has 1; use --set channels=1",
    ),
    "no such recipe": ("small.json --recipe slow", 2, "unknown recipe 'slow'; known: fast, paper"),
    "no paper": ("plain.json --recipe paper", 2, "names no published family in its field 'weights'"),
    "384 pixels": ("litv2_b_384 --recipe paper", 2, "goes on from weights that were trained at 224 pixels"),
    "384 without a recipe": ("dualvit_s --set image=384 --recipe paper", 2, "no recipe was published for Dual-ViT"),
    "no such node": (
        "small.json --data few.npz --batch 4 --freeze stage9",
        2,
        "cannot freeze 'stage9': the network has no node of that name; did you mean 'stage4'?",
    ),
    "a new head": ("small.json --data few.npz --batch 4 --freeze head", 2, "the head 'head' is new"),
    "no teacher": ("small.json --teacher none.safetensors", 2, "no such file: none.safetensors"),
    "no weights": ("small.json --weights none.pth", 2, "no such file: none.pth"),
    "no folder": ("small.json -o none/a.safetensors", 2, "none/a.safetensors cannot be written: its folder does not"),
    "another ending": ("small.json -o a.pth", 2, "a.pth must end in .safetensors"),
    "a file that is there": ("small.json -o there.safetensors", 2, "there.safetensors is not replaced: it is there"),
    "nothing to resume": ("small.json --resume", 2, "nothing to resume: there is no a.safetensors.unfinished"),
    "resuming a finished one": ("small.json --resume -o there.safetensors", 2, "the training is finished"),
    "hub": ("small.json --data hf:mnist", 1, "hf:mnist: "),
    "rate": ("small.json --lr -1", 2, "lr must be more than 0; got -1"),
    "average": ("small.json --ema 1", 2, "ema must be between 0 and 1, such as 0.999; got 1"),
    "time": ("small.json --data few.npz --batch 4 --time 0.01s", 1, "the time is too short: "),
    "loss": (
        "small.json --data few.npz --batch 4 --epochs 4 --lr 1e30",
        1,
        "the loss is not finite at step 2; use a lower --lr (its peak is 1e+30); nothing was written",
    ),
}


@pytest.mark.parametrize(("line", "code", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_and_nothing_is_written(
    line: str, code: int, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    pictures(tmp_path / "one.npz", "ant", 20)
    pictures(tmp_path / "few.npz", count=12)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.safetensors").touch()
    (tmp_path / "rgb.json").write_text(json.dumps({**spec().to_json(), "channels": 1}))
    (tmp_path / "rgb3.json").write_text(json.dumps({**spec().to_json(), "channels": 3}))
    write_bright_images(tmp_path / "grey.npz", classes=2, count=60, size=32, channels=1)
    plain = spec().to_json()
    del plain["weights"]
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    before = sorted(tmp_path.iterdir())
    out = [] if " -o " in line else ["-o", "a.safetensors"]
    ended = run("train", *line.split(), *out)
    assert ended.code == code, ended.err
    assert message in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert sorted(tmp_path.iterdir()) == before


def test_channels_that_nobody_states_are_those_of_the_data() -> None:
    made = archdsl.override(archdsl.load_spec("fcvit_tiny"), ["stage4.depth=1"])
    assert "channels" not in made.model_fields_set
    assert "channels" in archdsl.override(made, ["channels=3"]).model_fields_set


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int, resumed_rate: float = 0.0) -> None:
    """A loss is not finite at this step, but where the peak rate is `resumed_rate`; the step itself is not saved."""
    plain = Session._loss

    def loss(session: Session, logits: Tensor, batch: Batch) -> Tensor:
        is_bad = session.done + 1 == step and max(session.update.peaks) != resumed_rate
        return plain(session, logits, batch) * (float("nan") if is_bad else 1.0)

    monkeypatch.setattr(Session, "_loss", loss)


def test_a_loss_that_is_not_finite_keeps_what_was_saved_and_a_lower_rate_goes_on_from_there(
    data: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the training was resumed, and the log of both parts is one."""
    fail_at(monkeypatch, 8, resumed_rate=1e-4)
    command = ["train", "small.json", "--data", data, "--epochs", "3", "--batch", "24", "-o", "a.safetensors", "-q"]
    for more in ([], ["--resume"]):
        ended = run(*command, *more)
        assert ended.code == 1
        assert ended.err.splitlines()[-1].partition("use a lower --lr (its peak is ")[::2] == (
            "the loss is not finite at step 8; ",
            "0.0026); a.safetensors.unfinished (after step 6) and a.jsonl are kept: add --resume and the lower --lr to "
            "continue, or remove a.safetensors.unfinished to train anew",
        )
        assert not (tmp_path / "a.safetensors").exists()
        assert [json.loads(line)["step"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [3, 6]
    assert "seed was 0, not 3" in run(*command, "--resume", "--lr", "1e-4", "--seed", "3").err
    ended = run(*command, "--resume", "--lr", "1e-4")
    assert ended.code == 0, ended.err
    assert [json.loads(line)["step"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [3, 6, 9]
    assert read_facts(tmp_path / "a.safetensors").provenance.lr == 1e-4  # type: ignore[union-attr]
    assert not (tmp_path / "a.safetensors.unfinished").exists()


def test_a_state_never_holds_weights_that_are_not_finite(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that breaks the weights is noticed one step later, after its epoch was to be saved."""
    plain = Session._end_epoch

    def end_epoch(session: Session, is_over: bool) -> None:
        if session.done == 6:
            with torch.no_grad():
                next(session.model.parameters()).fill_(float("nan"))
        plain(session, is_over)

    monkeypatch.setattr(Session, "_end_epoch", end_epoch)
    with pytest.raises(archdsl.ArchError, match=r"not finite at step 7; .*a\.safetensors\.unfinished \(after step 3\)"):
        archdsl.train(spec(), data, tmp_path / "a.safetensors", epochs=3, batch=24)
    state = torch.load(tmp_path / "a.safetensors.unfinished", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_the_head_is_brought_to_the_classes_of_the_data_by_name(data: str, tmp_path: Path) -> None:
    """Nothing is trained but a part without the head, so that its rows can be looked at."""
    old = tmp_path / "old.safetensors"
    archdsl.train(spec(), data, old, epochs=1)
    others = pictures(tmp_path / "others.npz", "bee cow ant")
    lines: list[str | None] = []
    archdsl.train(
        str(old),
        others,
        tmp_path / "new.safetensors",
        epochs=0.01,
        lr=1e-12,
        watcher=lambda _, line: lines.append(line),
    )
    assert "the head is replaced: 2 classes keep their weights, new: cow" in lines
    before, after = weights(old)["head.fc.weight"], weights(tmp_path / "new.safetensors")["head.fc.weight"]
    torch.testing.assert_close(after[:2], before[[0, 1]], atol=1e-6, rtol=0)  # ant and bee, both in order of names
    assert read_facts(tmp_path / "new.safetensors").classes == ("ant", "bee", "cow")
    provenance = read_facts(tmp_path / "new.safetensors").provenance
    assert provenance is not None
    assert provenance.parent is not None


def test_frozen_nodes_keep_every_tensor_and_the_teacher_is_named_in_the_file(data: str, tmp_path: Path) -> None:
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    archdsl.train(spec(), data, old, epochs=1)
    archdsl.train(str(old), data, new, epochs=1, freeze=["all but head"], teacher=old, seed=7)
    before, after = weights(old), weights(new)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    changed -= {name for name in before if name.endswith("num_batches_tracked")}  # no file brings these
    assert changed == {name for name in before if name.startswith("head.")}
    provenance = read_facts(new).provenance
    assert provenance is not None
    assert provenance.teacher == provenance.parent is not None
    assert provenance.frozen == ("stem", "stage1", "merge1", "stage2", "merge2", "stage3", "merge3", "stage4")
    assert (provenance.seed, provenance.split_seed) == (7, 0)  # no image of the parent's training is held out
    assert read_facts(new).accuracy.data == read_facts(old).accuracy.data  # type: ignore[union-attr]
    others = pictures(tmp_path / "others.npz", "bee cow ant")
    with pytest.raises(archdsl.ArchError, match="must have the data's classes: it lacks cow and the data lacks cat"):
        archdsl.train(spec(), others, tmp_path / "no.safetensors", teacher=old)

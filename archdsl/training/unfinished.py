"""The state of a training that is under way, in a file beside its output: what goes on after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from archdsl.errors import TrainingError, WrongUse, one_line, short
from archdsl.files import replacing
from archdsl.json_types import Json, JsonObject

if TYPE_CHECKING:
    from torch import Tensor


class Ended(TypedDict, total=False):
    """What a state says of how its training ended."""

    not_finite: bool
    """It ended with a number that was not finite; it may go on with another rate or in another dtype."""
    threads: int
    """Of torch, in the process that wrote it."""


class State(Ended):
    """Everything that the remaining steps depend on; which images they read follows from the seed and the step."""

    settings: str
    """JSON of what the training was started with."""
    step: int
    """Finished steps."""
    seconds: float
    loss_sum: float
    """Of the steps of this epoch."""
    losses: int
    tenths: int
    """Tenths of the training after which it was validated."""
    model: dict[str, Tensor]
    optimizer: dict[str, Json]
    average: dict[str, Tensor] | None
    scaler: dict[str, float]


def state_file(out: Path) -> Path:
    """Beside the output."""
    return out.with_name(f"{out.name}.unfinished")


def log_file(out: Path) -> Path:
    """Beside the output, one line an epoch."""
    return out.with_suffix(".jsonl")


def write_state(file: Path, state: State) -> None:
    """Replace the state in one step, with the threads of this process.

    Raises:
        OSError: it cannot be written; the old one is kept.
    """
    import torch

    from archdsl.weights.torch_file import write_torch

    with replacing(file) as partial:
        write_torch({**state, "threads": torch.get_num_threads()}, partial)


_MAY_CHANGE = ("lr", "dtype")
"""Settings with which a training may go on that ended with a number that was not finite."""


def mark_not_finite(file: Path) -> None:
    """Note in a state that its training ended with a number that was not finite.

    Raises:
        OSError: it cannot be written; then it is as it was.
    """
    import torch

    state: State = torch.load(file, map_location="cpu", weights_only=True)
    state["not_finite"] = True
    write_state(file, state)


def read_state(file: Path, settings: JsonObject) -> State:
    """The state of a training that was started with the same settings, but for those that it may go on with.

    Raises:
        WrongUse: there is none, or settings differ.
        TrainingError: the file cannot be read.
    """
    import torch

    if not file.is_file():
        raise WrongUse(f"nothing to resume: there is no {file}; leave out --resume")
    try:
        state: State = torch.load(file, map_location="cpu", weights_only=True)
        before: JsonObject = json.loads(state["settings"])
    except Exception as error:  # whatever a broken file makes torch raise
        raise TrainingError(
            f"{file} cannot be read: {one_line(error, 200)}; remove it, and train anew without --resume"
        ) from None
    free = _MAY_CHANGE if state.get("not_finite") else ()
    differing = [name for name in settings if before.get(name) != settings[name] and name not in free]
    if differing:
        pairs = (f"{name} was {short(before.get(name))}, not {short(settings[name])}" for name in differing)
        remedy = f"give the same command with --resume, or remove {file} to train anew"
        raise WrongUse(f"the training in {file} has other settings: {'; '.join(pairs)}; {remedy}")
    return state


def check_output(out: Path, resume: bool, force: bool = False) -> None:
    """Found out before the work, not after. `force` allows that the file is there.

    Raises:
        WrongUse: the file cannot be written or is there already, or there is an unfinished training of that name.
    """
    if out.suffix != ".safetensors":
        raise WrongUse(f"{out} must end in .safetensors")
    if not out.parent.is_dir():
        raise WrongUse(f"{out} cannot be written: its folder does not exist")
    if out.exists() and not force:
        if resume:
            done = "the training is finished; to train it anew, give --force instead of --resume"
            raise WrongUse(f"{out} is not replaced: {done}")
        raise WrongUse(f"{out} is not replaced: it is there already; add --force, or give another output file")
    file = state_file(out)
    if resume and not file.is_file():
        raise WrongUse(f"nothing to resume: there is no {file}; leave out --resume")
    if not resume and file.exists():
        raise WrongUse(f"{file} is a training that did not finish; continue it with --resume, or remove the file")


def threads_before(file: Path) -> int | None:
    """The threads that an unfinished training ran on; None where its state does not say, or cannot be read."""
    import torch

    try:
        state: State = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whatever a broken file makes torch raise: `read_state` says so
        return None
    return state.get("threads")


def log_lines(file: Path, step: int) -> list[str]:
    """The lines of a log up to a step; what came after is trained again."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if json.loads(line)["step"] <= step]
    except (OSError, ValueError, KeyError):
        return []

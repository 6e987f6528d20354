"""Latencies of exported files on another machine; what they compute there is held against the network here."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from archdsl.errors import ExportError, MeasureError
from archdsl.files import sha256_of
from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance, provenance
from archdsl.latency.remote.connection import Events, ask, refuse_problem
from archdsl.latency.remote.fresh_process import checked_images, version_of
from archdsl.latency.remote.job import Job
from archdsl.latency.result import Latency, counts_of, disturbed_rounds
from archdsl.timing.device_lock import OnWait, held_here, print_to_stderr
from archdsl.timing.gate import GateStop
from archdsl.timing.rounds import Rounds

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.exporting.frozen import Outputs
    from archdsl.latency.rounds import Pace
    from archdsl.runtimes.setting import Image, Setting
    from archdsl.runtimes.target import Target


class Exported(NamedTuple):
    """A network as an exported file, and the network that its outputs are held against."""

    file: Path
    image: Image
    network: nn.Module
    """In eval mode on the CPU: images (B, C, H, W) of float32 -> the outputs, in float32."""
    outputs: Sequence[str]
    """Names of the outputs."""


class _Answer(BaseModel):
    """A part of an answer; what else stands in it is left."""

    model_config = ConfigDict(extra="ignore")


AnswerType = TypeVar("AnswerType", bound=_Answer)


class _Host(_Answer):
    """As `archdsl.timing.host.HostFacts`."""

    python: str
    os: str
    cpu: str
    cpus: int | None
    physical_cores: int
    malloc: str
    omp_wait_policy: str
    environment: dict[str, str]
    load_average: tuple[float, float, float] | None
    date: str


class _Machine(_Answer):
    """What is told of the machine."""

    host: _Host
    versions: dict[str, str]


class _Threads(_Machine):
    threads: int


class _Rounds(_Answer):
    ms: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    undisturbed: tuple[bool, ...]
    calls: int
    slowed: int = 0

    @model_validator(mode="after")
    def _check_lengths(self) -> _Rounds:
        if len(self.ms) != len(self.undisturbed):
            raise ValueError("rounds and their marks must be as many")
        return self


class _Array(_Answer):
    shape: tuple[int, ...]
    data: str


class _Measured(_Threads):
    """A whole measurement."""

    rounds: dict[str, _Rounds]
    cpu_share: float
    other_cores: float | None
    throttled: bool | None
    options: dict[str, str | int | bool]
    outputs: dict[str, Annotated[list[list[_Array]], Field(min_length=1)]]
    """Of each file, for one input at the least."""


class LockOptions(NamedTuple):
    """How the lock of the other machine is waited for."""

    on_wait: OnWait = print_to_stderr
    on_measuring: Callable[[], None] = lambda: None
    """Called once it is ours."""
    timeout_s: float | None = None


def machine_of(target: Target, setting: Setting) -> Provenance:
    """What another machine says of itself, as the provenance of a latency there has it; it has what measuring needs.

    Raises:
        MeasureError: it cannot be reached, or lacks something.
    """
    job = _job(setting, [], {}, None)
    answer = _asked(target, job, [], LockOptions(), _Machine)
    return Provenance.from_json(_origin(target, setting, answer, None))


def threads_of(target: Target, setting: Setting, file: Path, image: Image, waiting: LockOptions) -> int:
    """The threads on which an exported network is measured there: all cores where these are clearly faster than one.

    Raises:
        MeasureError: as `machine_of`.
    """
    job = _job(setting, [file], {"network": (0, image)}, None)
    return _asked(target, job, [file], waiting, _Threads).threads


def latencies_of(
    target: Target,
    setting: Setting,
    networks: Mapping[str, Exported],
    threads: int | None,
    pace: Pace,
    waiting: LockOptions,
) -> list[Latency]:
    """The latencies of networks that are compared in one run on another machine, in a fresh process there.

    Raises:
        MeasureError: as `machine_of`, or a file computes something else there than its network does here.
    """
    files = list(dict.fromkeys(network.file for network in networks.values()))
    places = {name: (files.index(each.file), each.image) for name, each in networks.items()}
    job = _job(setting, files, places, pace)
    job["threads"] = threads
    answer = _asked(target, job, files, waiting, _Measured)
    if answer.rounds.keys() != networks.keys() or answer.outputs.keys() != {str(each) for each in range(len(files))}:
        raise _invalid(target, "it is of other networks")
    for number, file in enumerate(files):
        network = next(each for each in networks.values() if each.file == file)
        _verify(target, setting, network, answer.outputs[str(number)])
    origin = _origin(target, setting, answer, answer.threads)
    origin |= {
        "cpu_share": answer.cpu_share,
        "other_cores": answer.other_cores,
        "throttled": answer.throttled,
    }
    return [
        _latency(name, answer.rounds[name], origin | _of_file(setting, network, answer))
        for name, network in networks.items()
    ]


def _job(setting: Setting, files: Sequence[Path], places: Mapping[str, tuple[int, Image]], pace: Pace | None) -> Job:
    stop = None if pace is None else pace.get("stop")
    if stop is not None and not isinstance(stop, GateStop):
        raise MeasureError("a function cannot end the rounds on another machine; leave out `stop`")
    numbers: dict[str, float | None] = {}
    for name, value in (pace or {}).items():
        if name != "stop" and (value is None or isinstance(value, int | float)):
            numbers[name] = value
    return {
        "runtime": setting.runtime,
        "version": version_of(setting.runtime),
        "files": [sha256_of(file) for file in files],
        "networks": [
            {"name": name, "file": file, "shape": [setting.batch, *image]} for name, (file, image) in places.items()
        ],
        "threads": None,
        "pace": None if pace is None else numbers,
        "gate": None if stop is None else {"stat": stop.stat, "gate_ms": stop.gate_ms},
        "lock_holder": held_here("cpu"),
        "lock_timeout_s": None,
    }


def _asked(target: Target, job: Job, files: Sequence[Path], waiting: LockOptions, kind: type[AnswerType]) -> AnswerType:
    job["lock_timeout_s"] = waiting.timeout_s
    answer = ask(target, job, files, Events(waiting.on_wait, waiting.on_measuring))
    refuse_problem(target, answer, job)
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _invalid(target, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _invalid(target: Target, why: str) -> MeasureError:
    return MeasureError(f"{target.url}: the runner sent an invalid answer: {why}; see whether its Python is sound")


def _origin(target: Target, setting: Setting, answer: _Machine, threads: int | None) -> JsonObject:
    """The provenance of this process, which exported the file, with the facts of the machine that ran it."""
    facts = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads).as_json()
    there: JsonObject = answer.host.model_dump(mode="json")
    return facts | there | {"device_name": answer.host.cpu, "target": target.url}


def _of_file(setting: Setting, network: Exported, answer: _Measured) -> JsonObject:
    """What was measured: the file, the versions that wrote it here and ran it there, and what is in force there."""
    from archdsl.exporting.onnx_file import versions

    file: JsonObject = {
        "sha256": sha256_of(network.file),
        "bytes": network.file.stat().st_size,
        "versions": {**versions(), **answer.versions},
        "options": {**answer.options},
    }
    return {"image": [*network.image], "file": file}


def _latency(name: str, taken: _Rounds, origin: JsonObject) -> Latency:
    rounds = Rounds(taken.ms, taken.undisturbed, taken.calls, slowed=taken.slowed)
    return Latency(name, taken.ms, origin | counts_of(rounds), disturbed_rounds(rounds))


def _verify(target: Target, setting: Setting, network: Exported, sent: Sequence[Sequence[_Array]]) -> None:
    """Refuse a file whose outputs there are not those of its network here.

    Raises:
        MeasureError: they differ by more than rounding, or are not as many.
    """
    import torch

    from archdsl.runtimes.verify import difference, refuse

    shape = (setting.batch, *network.image)
    inputs = [torch.from_numpy(images) for images in checked_images(shape)][: len(sent)]
    answers = iter(sent)

    def read(images: Tensor) -> Outputs:
        return tuple(_tensors(next(answers)))

    try:
        worst = difference(read, network.network, network.image, (setting.batch,), network.outputs, inputs)
        refuse(worst, setting.dtype)
    except ValueError as error:
        raise _invalid(target, f"an output is no array: {error}") from None
    except ExportError as error:
        said = str(error).removesuffix("; nothing was written")
        raise MeasureError(f"{target.url}: {said}; see whether {setting.runtime} is sound there") from error


def _tensors(arrays: Sequence[_Array]) -> Iterator[Tensor]:
    import torch

    for array in arrays:
        values = np.frombuffer(base64.b64decode(array.data), "<f4").reshape(array.shape)
        yield torch.from_numpy(values.astype(np.float32))

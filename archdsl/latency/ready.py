"""Networks that are built and prepared once, here or for another machine, and measured as often as is asked."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

from archdsl.errors import MeasureError
from archdsl.json_types import JsonObject
from archdsl.language.arguments import wrong_spec
from archdsl.language.document import Spec
from archdsl.latency.provenance import provenance
from archdsl.latency.result import Latency, counts_of, disturbed_rounds
from archdsl.latency.rounds import Host, Pace, measure_all
from archdsl.latency.subjects import exported, image_of, module_of, prepared
from archdsl.latency.threads import fastest_threads
from archdsl.runtimes.by_name import naming_package
from archdsl.runtimes.runner import refusing, steady
from archdsl.runtimes.runtime import Runner
from archdsl.runtimes.setting import Image, Setting
from archdsl.runtimes.target import Target
from archdsl.timing.cores import available_cores
from archdsl.timing.device_lock import OnWait, device_lock, print_to_stderr
from archdsl.timing.interleaved import ROUNDS, wall_timer
from archdsl.timing.machine import ROOT_PROCESS, MachineWatch
from archdsl.timing.rounds import Rounds
from archdsl.timing.speed import speed_here

if TYPE_CHECKING:
    from torch import nn

    from archdsl.latency.remote.measuring import Exported

    Subject = Spec | nn.Module | Path


OnProgress: TypeAlias = Callable[[str], None]
"""Is called with a phrase that says what is done now."""


class ReadyNetworks:
    """Networks that are measured side by side, in one run or in one after another."""

    def __init__(
        self,
        subjects: Mapping[str, Subject],
        there: Target | None,
        setting: Setting,
        threads: int | None,
        image: Image | None = None,
        features_only: bool = False,
        on_progress: OnProgress | None = None,
        optimize: bool = False,
    ) -> None:
        """Raises TypeError where a subject is none, and MeasureError where the size of its images is not known."""
        import torch

        for subject in subjects.values():
            is_file = isinstance(subject, Path) and subject.suffix == ".onnx"
            if not is_file and not isinstance(subject, Spec | torch.nn.Module):
                raise wrong_spec("measure", subject, "a Spec, an nn.Module or the Path of an .onnx file")
        with naming_package(setting.runtime):
            setting.executor.begin()
        self._subjects, self._there, self._features_only = subjects, there, features_only
        self._setting, self._threads, self._on_progress = setting, threads, on_progress
        self._images = {name: image_of(subject, image, setting) for name, subject in subjects.items()}
        self._runners, self._optimize = dict[str, Runner](), optimize

    def prepare(self, on_wait: OnWait | None = None) -> None:
        """Build and prepare them, once; what is measured elsewhere is exported anew for each run.

        Raises:
            MeasureError: the setting is refused, or a forward pass fails.
        """
        if self._there is None and not self._runners:
            self._runners = self._prepared(on_wait)

    def latencies(self, on_wait: OnWait | None = None, **pace: Unpack[Pace]) -> list[Latency]:
        """One run: the latency of each network, in their order, from rounds in which all are measured.

        Raises:
            MeasureError: a forward pass fails, or the other machine cannot measure.
        """
        if self._there is not None:
            return self._elsewhere(self._there, on_wait, pace)
        setting = self._setting
        with device_lock(setting.device, on_wait):
            self.prepare()
            with steady(setting.device, self._threads) as threads:
                host = host_of(setting, threads)
                pace = self._with_progress(pace)
                wall, busy = time.perf_counter(), time.process_time()
                with refusing(setting, next(iter(self._images.values()))):
                    timer = wall_timer if setting.executor.returns_when_done else None
                    rounds = measure_all(self._runners, device=setting.device, timer=timer, host=host, **pace)
                share = (time.process_time() - busy) / (time.perf_counter() - wall)
                origin = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads).as_json()
        origin |= {"optimized": True} if self._optimize else {}
        origin |= {"cpu_share": round(share, 3) if setting.device == "cpu" else None, **_beside(host.watch)}
        origins = {name: origin | {"image": [*self._images[name]]} for name in self._runners}
        return [
            _latency(name, taken, origins[name] | _facts_of(setting, self._runners[name], origins[name]))
            for name, taken in rounds.items()
        ]

    def _prepared(self, on_wait: OnWait | None) -> dict[str, Runner]:
        """Runners of all; where threads were not asked for and may still change, on those that are fastest."""
        setting, features_only = self._setting, self._features_only
        is_free = self._threads is None and setting.device == "cpu" and setting.executor.threads_may_change
        with steady(setting.device, self._threads, on_wait) as threads:
            built = {name: module_of(item, setting.device, features_only) for name, item in self._subjects.items()}
            runners = dict[str, Runner]()
            for number, (name, item) in enumerate(built.items(), 1):
                self._progress(f"preparing {name} ({number} of {len(built)})")
                runners[name] = prepared(item, self._images[name], setting, self._optimize)
            if is_free:
                self._progress("choosing the number of threads")
                with refusing(setting, next(iter(self._images.values()))):
                    threads = fastest_threads(runners.values(), setting.executor)
                    runners = {name: setting.executor.with_threads(each, threads) for name, each in runners.items()}
        self._threads = threads
        return runners

    def _progress(self, text: str) -> None:
        if self._on_progress is not None:
            self._on_progress(text)

    def _with_progress(self, pace: Pace) -> Pace:
        """The pace, with the progress told where it is asked whether to stop."""
        if self._on_progress is None:
            return pace
        self._progress("warming up")
        before, rounds = pace.get("stop"), pace.get("rounds", ROUNDS)

        def stop(taken: Mapping[str, Rounds]) -> bool:
            done = len(next(iter(taken.values())).ms)
            self._progress(f"measuring: {done:,} of {rounds:,} rounds")
            return before is not None and before(taken)

        return {**pace, "stop": stop}

    def _elsewhere(self, there: Target, on_wait: OnWait | None, pace: Pace) -> list[Latency]:
        """Exports everything here, and measures it in one run on another machine."""
        from archdsl.latency.remote.measuring import LockOptions, latencies_of, machine_of

        setting, threads, subjects, images = self._setting, self._threads, self._subjects, self._images
        if threads is not None and threads < 1:
            raise MeasureError(f"threads must be at least 1; got {threads}")
        if not all(isinstance(subject, Path) for subject in subjects.values()):
            machine_of(there, setting)  # whether it can measure is known in a second, before seconds of exporting
        written: dict[int, Exported] = {}
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            for name, subject in subjects.items():
                if id(subject) not in written:  # the first one is compared with itself
                    file = Path(folder) / f"{len(written)}.onnx"
                    with refusing(setting, images[name]):
                        module = module_of(subject, setting.device, self._features_only)
                        written[id(subject)] = exported(module, images[name], setting, file, self._optimize)
            networks = {name: written[id(subject)] for name, subject in subjects.items()}
            latencies = latencies_of(there, setting, networks, threads, pace, LockOptions(on_wait or print_to_stderr))
        if self._optimize:
            for latency in latencies:
                latency.provenance["optimized"] = True
        return latencies


def host_of(setting: Setting, threads: int | None) -> Host:
    """What decides on this machine whether a round was disturbed: a GPU that replays a graph does not wait for it."""
    if setting.device == "cpu":
        root = os.environ.get(ROOT_PROCESS, "")
        watch = MachineWatch(int(root) if root.isdigit() else None)
        return Host(threads or 1, available_cores(), watch, speed=speed_here())
    is_waiting = setting.executor.host_waits
    return Host(is_waiting=is_waiting, speed=speed_here() if is_waiting else None)


def _facts_of(setting: Setting, runner: Runner, origin: JsonObject) -> JsonObject:
    """What a runtime says of what it ran; what is known without it stays as it is.

    Raises:
        MeasureError: a runtime that is none of ours says what JSON cannot hold.
    """
    with naming_package(setting.runtime):
        facts: JsonObject = json.loads(json.dumps(setting.executor.facts(runner)))
        return {name: value for name, value in facts.items() if name not in origin}


def _beside(watch: MachineWatch | None) -> JsonObject:
    """What ran beside the measurement; null where this machine does not tell."""
    window = watch.whole() if watch is not None else None
    return {
        "other_cores": None if window is None else round(window.others, 2),
        "throttled": None if window is None else window.throttled,
    }


def _latency(name: str, taken: Rounds, origin: JsonObject) -> Latency:
    return Latency(name, taken.ms, origin | counts_of(taken), disturbed_rounds(taken))

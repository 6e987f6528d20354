"""A worker without networks, whose latencies and accuracies are formulas, and the machine that it runs on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from archdsl import count
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.spaces import space_of
from archdsl.load.specs import load_spec, spec_of
from archdsl.search.worker.events import TrainingProgress
from archdsl.search.worker.process import Failed, Progress
from archdsl.search.worker.request import Request
from archdsl.search.worker.scores.every import NAMES
from archdsl.weights.facts import read_facts, read_header
from tests.support.devices import fake_device
from tests.support.fake_weights import fake_named, write_fake_weights
from tests.support.libraries import fake_library

Reply = dict[str, Any]
R = TypeVar("R")


def latency_of(spec: Any, speed: float = 1.0) -> float:
    """Some ms, more for more of anything."""
    counted = count(spec)
    return (1.0 + counted.macs / 4e6 + 0.2 * sum(getattr(node, "depth", 0) for node in spec.nodes)) * speed


def accuracy_of(spec: Any) -> float:
    """Rises with the network's size, and differs between equal sizes."""
    counted = count(spec)
    jitter = random.Random(canonical_hash(spec)).random()
    return 1 - 1 / (1.2 + counted.macs / 8e6) - 0.05 * jitter


@cache
def _spec(text: str) -> Spec:
    return spec_of(json.loads(text))


def asked_spec(request: Reply) -> Spec:
    """The network that a request is about; it is asked about often."""
    return _spec(json.dumps(request["spec"]))


class FakeWorker:
    """Answers as a worker would; `asked` is shared by all that one `Machine` makes."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.fresh = machine, True

    def ask(self, request: Request[R], timeout_s: float, progress: Progress | None = None) -> R:
        asked = request.as_json()
        self.machine.asked.append(asked)
        self.machine.askers.append(self)
        if self.machine.on_ask is not None:
            self.machine.on_ask(asked)
        if progress is not None:
            progress(TrainingProgress(0.5))
        reply: Reply = getattr(self, f"_{request.do}")(asked)
        return request.reply(reply)

    def _inherited_loss(self, request: Reply) -> Reply:
        spec = asked_spec(request)
        return {"reason": self.machine.why_not(spec), "loss": self.machine.loss_of(spec), "parent_loss": 0.5}

    def _score(self, request: Reply) -> Reply:
        return {"scores": dict.fromkeys(NAMES, float(len(str(request["spec"])) % 7)), "seconds": {}}

    def stop(self) -> None:
        self.machine.stopped += 1

    def _hello(self, request: Reply) -> Reply:
        return {"provenance": fake_device(self.machine.name, request["device"]).as_json()}

    def _data(self, request: Reply) -> Reply:
        described = {"describe": "fake: 10 images", "fingerprint": "0" * 16, "chance": 0.1, "images": 10}
        described |= {"validation": 100, "held_out": 100}
        return {"classes": self.machine.classes, "channels": self.machine.channels, **described}

    def _prepare(self, request: Reply) -> Reply:
        return {"seconds": 0.5}

    def _measure(self, request: Reply) -> Reply:
        machine, spec = self.machine, asked_spec(request)
        ms = latency_of(spec, machine.speed) * (1 + machine.noise * machine.random.random())
        ms = ms if machine.fixed_ms is None else machine.fixed_ms
        is_final = request.get("weights") is not None
        pace = request["pace"] or {}
        rounds = round(80 * pace["least_s"]) if is_final else pace.get("rounds", 40)  # of a final reading 240 in 3 s
        stats = {f"{stat}_ms": ms for stat in ("min", "p10", "p50", "p90")} | {"unstable": False}
        facts = {name: request["setting"][name] for name in ("device", "batch", "dtype", "runtime", "threads")}
        facts |= {"target": request["setting"]["target"]} if request["setting"]["target"] else {}
        facts |= {"features_only": True} if request["setting"]["features_only"] else {}
        facts |= {"optimized": True} if request["setting"]["optimize"] else {}
        facts |= {
            "device_name": machine.name,
            "torch": "2.0",
            "image": [3, 32, 32],
            "rounds": rounds,
            "undisturbed": rounds,
            "calls": 1,
            **machine.beside,
        }
        disturbed = list(range(round(rounds * machine.disturbed)))
        return {
            "seconds": 0.5,
            "latency": {**stats, "samples_ms": [ms] * rounds, "disturbed_rounds": disturbed, "provenance": facts},
        }

    def _threads(self, request: Reply) -> Reply:
        return {"threads": 1}

    def _library(self, request: Reply) -> Reply:
        if self.machine.library_fails:
            raise Failed(self.machine.library_fails)
        parent, keys = Path(request["parent"]), request["keys"][: self.machine.fitted]
        fake_library(Path(request["out"]), parent, load_spec(parent), space=space_of(request["space"]), keys=keys)
        return {"fitted": len(keys), "left_out": 0}

    def _candidate(self, request: Reply) -> Reply:
        file = Path(request["file"])
        if not file.is_file():
            self.machine.exported.append(file)
            file.write_bytes(b"an exported network")
        return {"bytes": file.stat().st_size}

    def _export(self, request: Reply) -> Reply:
        stated = read_facts(request["weights"]).accuracy
        Path(request["file"]).write_text("an exported network" if stated is None else stated.model_dump_json())
        return {"sha256": "0" * 64, "largest_error": 0.0}

    def _accuracy(self, request: Reply) -> Reply:
        file = Path(request["file"])
        stated, lost = json.loads(file.read_text()), self.machine.lost_in_int8(file.name.partition("-")[0])
        return {name: fake_named(stated[name]["accuracy"] - lost) for name in ("validation", "held_out")}

    def _pace(self, request: Reply) -> Reply:
        return {"step_s": 0.01, "image_s": 0.001}

    def _train(self, request: Reply) -> Reply:
        accuracy = accuracy_of(asked_spec(request)) + self.machine.seed_noise * (request["seed"] % 2 - 0.5)
        inherited: Reply | None = None
        is_tuned = False
        if request["inheriting"] is not None:
            reason = None if request["inheriting"]["is_decided"] else self.machine.why_not(asked_spec(request))
            inherited = {"reason": reason, "loss": 1.0, "parent_loss": 0.5, "lr": 1e-3}
            inherited |= {"blocks": [["stem", "<- stem", "2 copied"], ["head", "new", "2 new"]]}
            if reason is not None and not request["inheriting"]["begins_anew"]:
                return {"outcome": None, "inherited": inherited}
            is_tuned = reason is None
            accuracy = min(accuracy + 0.3, 1.0) if is_tuned else accuracy
        length = request["inheriting"]["epochs"] if is_tuned else request["epochs"]
        images = min(request["images"], 10)
        steps, most = max(1, round(length * images / request["batch"])), self.machine.most_steps
        if request["least_steps"] is not None and most is not None and most < steps:
            steps, length = most, most * request["batch"] / images
        outcome: Reply = {"accuracy": accuracy, "error": 0.01, "loss": 1.0, "seconds": 0.0, "steps": steps}
        loss = 4 - 3 * accuracy if self.machine.losses_tell else 3.0
        halted = next((mark for mark, limit in request["limits"] if loss > limit), None)
        outcome |= {"running": [loss] * (halted or 20), "halted": halted, "held_out": accuracy - self.machine.hidden}
        ended = self.machine.finished and self.machine.finite and halted is None
        outcome |= {"finite": self.machine.finite, "finished": ended, "autocast": None}
        sets = {"validation": fake_named(accuracy), "held": fake_named(accuracy - self.machine.hidden)}
        outcome |= sets if ended else dict.fromkeys(sets)
        if ended and request["keep"] is not None:
            place = request["keep"] if not is_tuned else request["keep_inherited"] or request["keep"]
            write_fake_weights(Path(place), request | {"epochs": length}, sets)
        kept = {"kept": request["keep"] if ended else None, "not_kept": None}
        return {"outcome": outcome, "threads": 1, **kept, "inherited": inherited}

    def _parent(self, request: Reply) -> Reply:
        spec = read_header(Path(request["file"]))["spec"]
        sets = {name: fake_named(self.machine.parent_accuracy) for name in ("validation", "held")}
        write_fake_weights(
            Path(request["out"]), request | {"spec": json.loads(spec), "images": 10, "epochs": 0.0}, sets
        )
        answers = {name: {"answers": part["answers"], "images": part["images"]} for name, part in sets.items()}
        return {"spec": json.loads(spec), "sha256": "a" * 64, "epochs": 0.0, "notes": [], **answers}


class Machine:
    """Where fake workers run; everything that they were asked, in order."""

    def __init__(self, noise: float = 0.0, seed: int = 0) -> None:
        self.noise, self.random = noise, random.Random(seed)
        self.speed, self.classes, self.channels = 1.0, 10, 3
        self.name, self.finite, self.finished = "a machine", True, True
        self.most_steps: int | None = None
        """Of a training that may be shortened; None where each has the steps that it is asked for."""
        self.fixed_ms: float | None = None
        """What every network takes, where it is not the formula's."""
        self.disturbed = 0.0
        """Share of the rounds that a neighbour disturbs."""
        self.beside: Reply = {"environment": {"OMP_WAIT_POLICY": "PASSIVE"}, "load_average": [0.1, 0.1, 0.1]}
        self.seed_noise, self.hidden = 0.0, 0.02
        self.losses_tell = False
        self.lost_in_int8: Callable[[str], float] = lambda network_hash: 0.1
        """What of a network's accuracy is lost in its int8 file."""
        self.parent_accuracy = 0.9
        self.loss_of: Callable[[Spec], float] = lambda spec: 4 - 3 * accuracy_of(spec)
        """The loss of a network right after inheriting."""
        self.why_not: Callable[[Spec], str | None] = lambda spec: None
        """Why a network does not inherit; None where it does."""
        self.asked: list[Reply] = []
        self.askers: list[FakeWorker] = []
        """Which worker each was asked of."""
        self.exported: list[Path] = []
        """Files of candidates, in the order in which they were written."""
        self.fitted = 1000
        """Alternatives to a parent's blocks for which there is time, at most."""
        self.library_fails: str | None = None
        """Why they cannot be fitted."""
        self.stopped = 0
        self.on_ask: Callable[[Reply], None] | None = None

    def worker(self) -> FakeWorker:
        return FakeWorker(self)

    def names(self, action: str) -> list[str]:
        """The networks for which this was asked."""
        return [request["spec"]["name"] for request in self.asked if request["do"] == action]

"""How well each score ranks the networks of a space: some are drawn, scored, and trained to the end several times.

What is kept makes the check resumable: a line a network in the folder, and every training in the cache of results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from archdsl.data.agreement import square_side, with_data
from archdsl.errors import ArchError, SearchError
from archdsl.search.config import Settings
from archdsl.search.evaluate.finalists import LENGTHEN
from archdsl.search.evaluate.rungs import scored, train
from archdsl.search.proxy_check import earlier
from archdsl.search.proxy_check.folder import ASKED, CheckFolder
from archdsl.search.proxy_check.judged import LEAST, judged
from archdsl.search.proxy_check.sample import sample
from archdsl.search.store.clock import Clock
from archdsl.search.store.stopping import stoppable
from archdsl.search.trial import Candidate
from archdsl.search.worker.process import Failed, OutOfTime, Worker, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import LEAST_STEPS, fidelity_of, length_note

EPOCHS, FULL_STEPS = LENGTHEN * 2.0, int(LENGTHEN * LEAST_STEPS)
"""Of a full training, and how many steps it has at least: as a search trains its finalists by default."""
SHORT = 0.2
"""Share of it that a short training of its own takes, with its whole schedule."""
_OF_EARLIER = ("space", "budgets", "seed")

Record = dict[str, Any]
Say = Callable[[str], None]


class Check(BaseModel):
    """What is to be checked: kept in the folder, equal on resuming."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: Settings
    """Of the space, the data and the training; latencies are not measured."""
    networks: Annotated[int, Field(ge=LEAST)] = 32
    seeds: Annotated[int, Field(ge=2)] = 2
    """Of initial weights and data order: trainings of each network."""
    earlier: tuple[str, ...] = ()
    """Checks by whose networks those of this one are told too: their folders, or the JSON that they told."""


def check(
    asked: Check,
    out: Path,
    resume: bool = False,
    say: Say = lambda text: None,
    new_worker: Callable[[], WorkerProtocol] = Worker,
) -> dict[str, Any]:
    """Train and score what is not in the folder yet, and judge the scores; `judged.py` says what that gives.

    Once the time is over, or on Ctrl-C, what is there is judged; `complete` and `interrupted` tell that.

    Raises:
        RunExists: the folder holds a check, and `resume` is false.
        SearchError: the folder cannot be used, it holds another check, or this one was ended before it began.
    """
    folder = CheckFolder(out)
    folder.take(asked.model_dump(mode="json"), resume)
    try:
        checking = _Checking(asked, folder, say, new_worker())
        try:
            with stoppable():
                checking.run()
        except ArchError:
            if not resume and not checking.records:
                folder.remove(ASKED)  # refused before it began, as for its data: the same folder may be named again
            raise
        found = checking.judged()
        folder.write("proxy_check.json", found)
        return found
    finally:
        folder.release()


class _Checking:
    """A check while it runs."""

    def __init__(self, asked: Check, folder: CheckFolder, say: Say, worker: WorkerProtocol) -> None:
        self.asked, self.settings, self.folder, self.say, self.worker = asked, asked.settings, folder, say, worker
        self.records: list[Record] = folder.records()
        self.facts: dict[str, Any] = folder.read("machine.json") or {}
        self.data: dict[str, Any] = {}
        self.interrupted = False
        self.before = earlier.read(asked.earlier)
        self.clock = Clock(self.settings.model_copy(update={"trials": 1}))  # without a time, no limit

    def run(self) -> None:
        """The networks one after another, as far as time allows."""
        try:
            self._prepare()
            known = {record["hash"]: record for record in self.records}
            for number, found in enumerate(self.networks):
                if found.hash not in known:
                    self._add(number, found)
                elif known[found.hash]["reason"] is None and "short" not in known[found.hash]:
                    self._complete(known[found.hash], found)  # of an earlier version
        except OutOfTime:
            self.say("the time was over: ending with what there is")
        except KeyboardInterrupt:
            self.interrupted = True
            self.say("interrupted: ending with what there is")
        finally:
            self.worker.stop()

    def _prepare(self) -> None:
        settings = self.settings
        space = settings.space_document
        side = square_side(space)
        machine = self.worker.ask({"do": "hello", **settings.measuring()}, 300.0)["provenance"]
        request = [settings.data, side, settings.seed, settings.images]
        self.data = self.worker.ask({"do": "data", "data": request}, 1800.0)
        self.data |= {"request": request, "torch": machine.get("torch")}
        if (note := length_note(settings, self.data["images"])) is not None:
            self.say(note)
        earlier.networks(self.before, self.data["describe"], self._as_trained())  # refused before anything is trained
        space = with_data(space, self.data, settings.data)
        self.networks = sample(space, settings, self.asked.networks)
        self.facts = {"provenance": machine, "data": self.data["describe"], "chance": self.data["chance"]}
        self.facts |= {name: self.data[name] for name in ("validation", "held_out", "images")}
        self.folder.write("machine.json", self.facts)

    def _add(self, number: int, found: Candidate) -> None:
        """Score and train a network, and keep what came of it."""
        record: Record = {"number": number, "hash": found.hash, "spec": found.spec.to_json(), "reason": None}
        record |= {"params": found.counted.params, "macs": found.counted.macs, "scores": {}, "trainings": []}
        try:
            reply = scored(self.worker, found.spec, self.settings, self.data, self.clock)
            record |= reply
            for seed in range(self.settings.seed, self.settings.seed + self.asked.seeds):
                record["trainings"].append(self._trained(found, seed))
            record["short"] = self._short(found)
        except (Failed, WorkerGone) as error:
            record["reason"] = str(error)
        self.folder.append(record)
        self.records.append(record)
        self.say(f"network {number + 1} of {len(self.networks)}: {_told(record)}")

    def _complete(self, record: Record, found: Candidate) -> None:
        """Train a network shortly too, of which all else is known."""
        try:
            record["short"] = self._short(found)
        except (Failed, WorkerGone) as error:
            record["reason"] = str(error)
        self.folder.rewrite(self.records)

    def _short(self, found: Candidate) -> Record:
        """A training of its own of a fifth of the length, with a seed that no other training has.

        Like a search's, it has at least so many steps where the epochs were not asked for.
        """
        length = {"epochs": self.settings.epochs * SHORT, "least_steps": min(self.settings.least_steps, LEAST_STEPS)}
        return self._trained(found, self.settings.seed + self.asked.seeds, length)

    def _trained(self, found: Candidate, seed: int, length: Mapping[str, float] | None = None) -> Record:
        settings = self.settings.model_copy(update={"seed": seed, **(length or {})})
        trained = train(self.worker, found.spec, settings, self.data, self.clock)
        return trained.facts | {"accuracy": trained.accuracy, "cached": trained.cached}

    def _as_trained(self) -> Settings:
        """The settings with the epochs of a full training, to which small data may have raised them."""
        known = self.data or self.facts
        images = known.get("images", self.settings.images)  # an earlier version did not write how many there are
        return self.settings.model_copy(update={"epochs": fidelity_of(self.settings, images).epochs})

    def judged(self) -> dict[str, Any]:
        """What the records tell, with where it comes from."""
        if not self.facts:
            raise SearchError("the check was ended before it began; go on with --resume")
        settings = self.settings
        document = json.dumps(settings.space, sort_keys=True).encode()
        asked = {
            "space": settings.space["name"],
            "space_sha256": hashlib.sha256(document).hexdigest(),
            "networks": self.asked.networks,
            "seeds": self.asked.seeds,
            "budgets": {name: limit for name, limit in settings.static_budgets.items() if limit is not None},
            **self._as_trained().model_dump(include={"epochs", "images", "seed", "device", "threads"}),
        }
        before = earlier.networks(self.before, self.facts["data"], self._as_trained())
        asked["earlier"] = [
            {"networks": len(found["networks"]), **{name: found["asked"].get(name) for name in _OF_EARLIER}}
            for found in self.before
        ]
        complete = len(self.records) >= min(self.asked.networks, len(getattr(self, "networks", self.records)))
        ended = {"complete": complete, "interrupted": self.interrupted}
        return {"asked": asked, **ended, **self.facts, **judged(self.records, self.facts, before)}


def _told(record: Record) -> str:
    if record["reason"]:
        return f"failed: {record['reason']}"
    accuracies = ", ".join(f"{training['accuracy']:.3f}" for training in record["trainings"])
    seconds = sum(training["seconds"] for training in record["trainings"])
    return f"{record['spec']['name']}, accuracies {accuracies}, {seconds:.0f} s of training"

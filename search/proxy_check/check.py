"""How well each score ranks the networks of a space: some are drawn, scored, and trained to the end several times.

What is kept makes the check resumable: a line a network in the folder, and every training in the cache of results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from archdsl.data.agreement import classes_note, square_side, with_data
from archdsl.errors import ArchError, SearchError
from archdsl.json_types import text_in
from archdsl.search.config import METRICS, Settings
from archdsl.search.evaluate.rungs import load_data, scored, train
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.network import Network
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.proxy_check import earlier
from archdsl.search.proxy_check.folder import ASKED, CheckFolder
from archdsl.search.proxy_check.judged import judged
from archdsl.search.proxy_check.networks import CheckedNetwork, CheckFacts, CheckTraining
from archdsl.search.proxy_check.result import CheckRequest, CheckResult
from archdsl.search.proxy_check.sample import sample
from archdsl.search.store.clock import Clock
from archdsl.search.store.stopping import stoppable
from archdsl.search.worker.pool import greeted
from archdsl.search.worker.process import Failed, OutOfTime, Worker, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.training.fidelity import LEAST_STEPS, fidelity_of, length_note

EPOCHS, FULL_STEPS = SHIPPED.finalists.lengthen * 2.0, int(SHIPPED.finalists.lengthen * LEAST_STEPS)
"""Of a full training, and how many steps it has at least: as a search trains its finalists by default."""

Say = Callable[[str], None]


class Check(BaseModel):
    """What is to be checked: kept in the folder, equal on resuming."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: Settings
    """Of the space, the data and the training; latencies are not measured."""
    networks: Annotated[int, Field(ge=SHIPPED.proxy_check.least)] = 32
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
    *,
    policy: Policy = SHIPPED,
) -> CheckResult:
    """Train and score what is not in the folder yet, and judge the scores; `judged.py` says what that gives.

    Once the time is over, or on Ctrl-C, what is there is judged; `complete` and `interrupted` tell that.

    Raises:
        RunExists: the folder holds a check, and `resume` is false.
        NotFound: there is no check to resume, or an earlier check is not there.
        SearchError: the folder cannot be used, it holds another check, or this one was ended before it began.
    """
    before, folder = earlier.read(asked.earlier), CheckFolder(out)
    folder.take(asked.model_dump(mode="json"), resume)
    try:
        checking = _Checking(asked, policy, folder, say, new_worker(), before)
        try:
            with stoppable():
                checking.run()
        except ArchError:
            if not resume and not checking.checked:
                folder.remove(ASKED)  # refused before it began, as for its data: the same folder may be named again
            raise
        result = checking.judged()
        folder.write(earlier.RESULT, result.as_json())
        return result
    finally:
        folder.release()


class _Checking:
    """A check while it runs."""

    def __init__(
        self,
        asked: Check,
        policy: Policy,
        folder: CheckFolder,
        say: Say,
        worker: WorkerProtocol,
        before: Sequence[earlier.EarlierCheck],
    ) -> None:
        self.asked, self.settings, self.policy = asked, asked.settings, policy
        self.folder, self.say, self.worker = folder, say, worker
        self.checked = folder.networks()
        self.facts = folder.read("machine.json", CheckFacts)
        self.data: DataFacts | None = None
        self.networks: list[Network] = []
        """That are to be checked; empty until the data is loaded."""
        self.interrupted = False
        self.before = before
        self.clock = Clock(self.settings.model_copy(update={"trials": 1}), policy)  # without a time, no limit

    def run(self) -> None:
        """The networks one after another, as far as time allows."""
        try:
            data = self._prepare()
            by_hash = {network.network_hash: network for network in self.checked}
            for number, drawn in enumerate(self.networks):
                if drawn.network_hash not in by_hash:
                    self._add(number, drawn, data)
                elif by_hash[drawn.network_hash].reason is None and by_hash[drawn.network_hash].short is None:
                    self._complete(by_hash[drawn.network_hash], drawn, data)  # of an earlier version
        except OutOfTime:
            self.say("time limit reached: reporting the results so far")
        except KeyboardInterrupt:
            self.interrupted = True
            self.say("interrupted: reporting the results so far")
        finally:
            self.worker.stop()

    def _prepare(self) -> DataFacts:
        """The data, once it is loaded, in whose channels and classes the networks are drawn."""
        settings, space = self.settings, self.settings.space_document
        request = DataRequest(settings.data, square_side(space), settings.seed, settings.images)
        machine = greeted(self.worker, settings, self.policy.silence)
        data = self.data = load_data(self.worker, request, machine, self.policy.silence)
        warnings = (f"warning: {text}" for text in data.warnings)
        for note in (*warnings, classes_note(space, data.classes), length_note(settings, data.images)):
            if note is not None:
                self.say(note)
        earlier.networks(self.before, data.describe, self._as_trained())  # refused before anything is trained
        space = with_data(space, {"channels": data.channels, "classes": data.classes}, settings.data)
        self.networks = sample(space, settings, self.policy.drawing, self.asked.networks)
        self.facts = CheckFacts(
            provenance=machine,
            data=data.describe,
            chance=data.chance,
            validation=data.validation,
            held_out=data.held_out,
            images=data.images,
        )
        self.folder.write("machine.json", self.facts.model_dump())
        return data

    def _add(self, number: int, drawn: Network, data: DataFacts) -> None:
        """Score and train a network, and keep what came of it."""
        counted = drawn.counted
        network = CheckedNetwork(number, drawn.network_hash, drawn.spec.to_json(), counted.params, counted.macs)
        try:
            scoring = scored(self.worker, drawn.spec, self.settings, self.policy.silence, data, self.clock)
            network = replace(network, scores=scoring.scores, score_seconds=scoring.seconds)
            for seed in range(self.settings.seed, self.settings.seed + self.asked.seeds):
                network = replace(network, trainings=(*network.trainings, self._trained(drawn, data, seed)))
            network = replace(network, short=self._short(drawn, data))
        except (Failed, WorkerGone) as error:
            network = replace(network, reason=str(error))
        self.folder.append_network(network)
        self.checked.append(network)
        self.say(f"network {number + 1} of {len(self.networks)}: {_line(network)}")

    def _complete(self, network: CheckedNetwork, drawn: Network, data: DataFacts) -> None:
        """Train a network shortly too, of which all else is known."""
        try:
            completed = replace(network, short=self._short(drawn, data))
        except (Failed, WorkerGone) as error:
            completed = replace(network, reason=str(error))
        self.checked[self.checked.index(network)] = completed
        self.folder.rewrite(self.checked)

    def _short(self, drawn: Network, data: DataFacts) -> CheckTraining:
        """A training of its own of a fifth of the length, with a seed that no other training has.

        Like a search's, it has at least so many steps where the epochs were not asked for.
        """
        length = {
            "epochs": self.settings.epochs * self.policy.proxy_check.short_share,
            "least_steps": min(self.settings.least_steps, LEAST_STEPS),
        }
        return self._trained(drawn, data, self.settings.seed + self.asked.seeds, length)

    def _trained(
        self, drawn: Network, data: DataFacts, seed: int, length: Mapping[str, float] | None = None
    ) -> CheckTraining:
        settings = self.settings.model_copy(update={"seed": seed, **(length or {})})
        trained = train(self.worker, drawn.spec, settings, self.policy.silence, data, self.clock)
        return CheckTraining(trained.accuracy, trained.training, trained.is_cached)

    def _as_trained(self) -> Settings:
        """The settings with the epochs of a full training, to which small data may have raised them."""
        facts = self.data or self.facts
        images = None if facts is None else facts.images  # an earlier version did not write how many there are
        epochs = fidelity_of(self.settings, images or self.settings.images).epochs
        return self.settings.model_copy(update={"epochs": epochs})

    def judged(self) -> CheckResult:
        """What the records tell, with where it comes from."""
        if self.facts is None:
            raise SearchError("the check ended before it began; continue with --resume")
        before = earlier.networks(self.before, self.facts.data, self._as_trained())
        return CheckResult(
            asked=self._request(),
            complete=len(self.checked) >= min(self.asked.networks, len(self.networks or self.checked)),
            interrupted=self.interrupted,
            facts=self.facts,
            judgement=judged(self.checked, self.facts, self.policy, before),
        )

    def _request(self) -> CheckRequest:
        """What was asked for, with the length that trainings have."""
        settings = self._as_trained()
        document = json.dumps(settings.space, sort_keys=True).encode()
        return CheckRequest(
            space=text_in(settings.space["name"]),
            space_sha256=hashlib.sha256(document).hexdigest(),
            networks=self.asked.networks,
            seeds=self.asked.seeds,
            budgets={METRICS[metric]: limit for metric, limit in settings.budgets.static.items()},
            device=settings.device,
            threads=settings.threads,
            epochs=settings.epochs,
            images=settings.images,
            seed=settings.seed,
            earlier=tuple(check.source for check in self.before),
        )


def _line(network: CheckedNetwork) -> str:
    if network.reason:
        return f"failed: {network.reason}"
    accuracies = ", ".join(f"{training.accuracy:.3f}" for training in network.trainings)
    return f"{network.document['name']}, accuracies {accuracies}, {network.seconds:.0f} s of training"

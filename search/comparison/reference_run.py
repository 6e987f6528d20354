"""The run that networks are compared with, as its folder tells it; nothing in the folder is changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from archdsl.json_types import JsonObject
from archdsl.search.config import Settings
from archdsl.search.evaluate.trainings import SeedTraining, chosen, trainings_in
from archdsl.search.report.reading import check_run
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.front import front
from archdsl.search.store.run_schema import NoiseFile, VerdictFile
from archdsl.search.trial import Trial


class ReferenceRun(NamedTuple):
    """What a run measured and trained, and under which settings."""

    folder: Path
    settings: Settings
    records: list[Trial]
    front: list[Trial]
    """The rows of its final table; of a run that did not end, the front so far."""
    gate_ms: float | None
    winner: Trial | None
    """The trial of the network that was handed over."""

    @property
    def longer(self) -> dict[str, Trial]:
        """The last record of each finalist that was trained longer, by hash."""
        return {record.network_hash: record for record in self.records if record.is_longer}

    @property
    def inherited(self) -> bool:
        """Whether networks of the run inherited from a parent."""
        return any(record.is_inherited for record in self.records)

    @property
    def device_name(self) -> str | None:
        """The device that networks were measured on; None where nothing was measured."""
        measured = (record.measurement.provenance for record in self.records if record.measurement is not None)
        names = (facts.get("device_name") for facts in measured if facts is not None)
        return next((name for name in names if isinstance(name, str)), None)

    def trial_of(self, network_hash: str) -> Trial | None:
        """The trial of a network; None where the run did not try it."""
        trials = (record for record in self.records if not record.is_longer)
        return next((trial for trial in trials if trial.network_hash == network_hash), None)

    def winner_training(self, is_longer: bool) -> SeedTraining | None:
        """The winner's short training, or the best of its longer ones; None where there is none."""
        if self.winner is None:
            return None
        record = self.longer.get(self.winner.network_hash) if is_longer else self.winner
        return None if record is None else chosen(trainings_in(record))


def reference_run(path: Path) -> ReferenceRun:
    """The run in a folder.

    Raises:
        NoRun: no search was run there.
        SearchError: its files cannot be read.
    """
    check_run(path)
    folder = RunFolder(path)
    settings, records = folder.settings(), folder.records(repair=False)
    noise, outcome = folder.read("noise.json", NoiseFile), folder.read("verdict.json", VerdictFile)
    trials = {record.network_hash: record for record in reversed(records) if not record.is_longer}
    winner = None
    if outcome is not None and _has_winner(outcome):
        winner = trials.get(outcome.hash or "")
    rows = folder.front()
    if not rows:
        choosable = (trial for trial in trials.values() if trial.can_win)
        trained = [trial for trial in choosable if trial.accuracy is not None and trial.inside_budget]
        rows = front(trained, settings.space_document.objectives)
    if winner is not None and winner.network_hash not in {row.network_hash for row in rows}:
        rows = [*rows, winner]
    gate_ms = None if noise is None else noise.gate_ms
    return ReferenceRun(path, settings, records, rows, gate_ms, winner)


def _has_winner(outcome: VerdictFile) -> bool:
    """Whether a network was handed over: it passed, or was measured again and may pass."""
    beside: JsonObject = outcome.model_extra or {}
    return outcome.passed or (outcome.verdict == "UNSURE" and beside.get("value_ms") is not None)

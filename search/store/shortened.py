"""Finalists that were not trained for as long as was planned, so that accuracies are not after equally many steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.json_types import Json, JsonObject
from archdsl.search.training_record import Training
from archdsl.search.trial import Trial


def finalist_lengths(records: Iterable[Trial]) -> list[tuple[Trial, Training]]:
    """Each finalist's last record, and how it was trained."""
    last = {record.network_hash: record for record in records if record.is_longer}
    return [(record, record.training) for record in last.values() if record.training is not None]


def shortened_facts(records: Iterable[Trial]) -> JsonObject:
    """What `verdict.json` and `--json` say of finalists whose trainings were shortened, where there are any."""
    facts: list[Json] = [
        {"name": record.name, "hash": record.network_hash, "fidelity": training.lengths}
        for record, training in finalist_lengths(records)
        if training.is_shortened
    ]
    return {"shortened": facts} if facts else {}


def unequal_finalists_text(records: Iterable[Trial]) -> str:
    """As `unequal_text`, of the finalists among the records of a search."""
    finalists = finalist_lengths(records)
    lengths = [(record.name, training.lengths) for record, training in finalists]
    return unequal_text(lengths, any(training.is_shortened for _, training in finalists))


def unequal_text(finalists: Sequence[tuple[str, str]], is_shortened: bool) -> str:
    """That finalists, given by name and length of training, were not trained equally long; empty where they were."""
    if not is_shortened or len({length for _, length in finalists}) < 2:
        return ""
    lengths = "; ".join(f"{name} after {length}" for name, length in finalists)
    return f"the finalists' accuracies are not after equally many steps, since time ran short: {lengths}"

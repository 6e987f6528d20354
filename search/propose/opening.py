"""The study of a search: in the run's folder, or where machines share it; and what these must agree on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel

from archdsl.errors import SearchError
from archdsl.json_types import JsonObject
from archdsl.search.config import Settings
from archdsl.search.policy import Policy
from archdsl.search.propose.study import Study
from archdsl.search.store.database_url import shown
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.run_schema import SharedFile
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables


class Choice(NamedTuple):
    """Where a run's study is to be, and what the run holds already."""

    storage: str | None
    """The URL of the database in which machines share it; None in the run's folder."""
    is_resumed: bool
    has_records: bool


class Conditions(NamedTuple):
    """What the machines that share a study must agree on, as this one has it."""

    gate_ms: float | None
    device_name: str | None
    fingerprint: str
    """Of the data."""
    is_measuring: bool
    """Whether this machine measures; one that only trains has no gate."""
    is_resumed: bool


def opened(
    folder: RunFolder, space: Space, settings: Settings, policy: Policy, choice: Choice, note: Callable[[str], None]
) -> Study:
    """The study of a search whose data is loaded; `space` has the data's classes and channels.

    Raises:
        SearchError: it cannot be opened, or the run keeps it elsewhere.
    """
    study = _opened(folder, space, settings, policy, choice)
    if study.is_older:
        note("an earlier version of archdsl began this study: its parameters stay indices instead of values")
    return study


def _opened(folder: RunFolder, space: Space, settings: Settings, policy: Policy, choice: Choice) -> Study:
    by_name, seed, sampler = variables(space.nodes), settings.seed, settings.sampler
    storage, place = choice.storage, folder.read("shared.json", SharedFile)
    if storage is None:
        if place is not None:
            raise SearchError(f"{folder.path} shares its study at {place.storage}; give that with --storage")
        resumed = choice.is_resumed
        return Study(folder.storage, by_name, space.objectives, seed, resumed, sampler=sampler, policy=policy)
    if place is None and choice.has_records:
        raise SearchError(f"{folder.path} has a study that is not shared; begin a shared run with --from {folder.path}")
    from archdsl.search.propose.shared_study import Shared
    from archdsl.search.propose.study_names import name_of, older_name_of

    name = name_of(settings)
    older: str | None = older_name_of(settings)
    if place is not None and place.study not in (name, older):
        raise SearchError(
            f"{folder.path} shares the study {place.study}, but its settings now belong to study {name}; "
            f"begin another run"
        )
    if place is not None:
        name, older = place.study, older if place.study == older else None
    study = Shared(storage, name, by_name, space.objectives, seed, sampler, older, policy=policy)
    folder.write("shared.json", {"storage": shown(storage), "study": study.name})
    return study


def agreed(study: Study, settings: Settings, space: Space, mine: Conditions) -> float | None:
    """The gate of all machines that share the study; None on a machine that only trains.

    Raises:
        SearchError: the study is about other data, or about another device.
    """
    if study.get_or_set("data", mine.fingerprint) != mine.fingerprint:
        raise SearchError("the machines that share this study have other data; give all of them the same data")
    if not mine.is_measuring:
        return None
    conditions = {"runtime": settings.runtime, "stat": settings.stat}
    gate: JsonObject = {"device": mine.device_name, "gate_ms": mine.gate_ms, **conditions}
    first = _Gate.model_validate(study.get_or_set("gate", gate))
    if first.device != mine.device_name:
        rule = f"this study measures on {first.device}, here is {mine.device_name}"
        raise SearchError(f"{rule}; join it with --role train")
    unsaid = conditions if mine.is_resumed else _earlier_conditions(settings, space)
    agreed_on = {"runtime": first.runtime or unsaid["runtime"], "stat": first.stat or unsaid["stat"]}
    for name, value in conditions.items():
        if agreed_on[name] != value:
            rule = f"this study measures with {name} {agreed_on[name]}, this machine with {value}"
            raise SearchError(f"{rule}; join it with --{name} {agreed_on[name]}")
    return first.gate_ms


class _Gate(BaseModel):
    """What the machine that measured first said of how it does; earlier versions kept neither runtime nor statistic."""

    device: str | None
    gate_ms: float | None
    runtime: str | None = None
    stat: str | None = None


def _earlier_conditions(settings: Settings, space: Space) -> dict[str, str]:
    """How a study measures that was begun by an earlier version, which kept neither runtime nor statistic with it."""
    measured = space.budget("latency") or space.budget("throughput")
    stat = (measured and measured.stat) or ("p50" if settings.device.startswith("cuda") else "p10")
    return {"runtime": "eager" if settings.runtime == "graph" else settings.runtime, "stat": stat}


def described(settings: Settings, space: Space, gate_ms: float | None, device: str | None) -> JsonObject:
    """What a dashboard shows of a study."""
    return {
        "space": space.name,
        "latency budget, ms": settings.budgets.latency_ms,
        "latency gate, ms": gate_ms,
        "statistic": settings.stat,
        "device": device,
    }

"""The study of a search: in the run's folder, or where machines share it; and what these must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.errors import SearchError
from archdsl.schema.variables import variables
from archdsl.search.study.local import Study
from archdsl.search.study.storage import shown

if TYPE_CHECKING:
    from archdsl.search.runner import Search


def opened(search: Search) -> Study:
    """The study of a search whose data is loaded.

    Raises:
        SearchError: it cannot be opened, or the run keeps it elsewhere.
    """
    study = _opened(search)
    if study.is_older:
        search.note("an earlier version of archdsl began this study: its parameters stay indices instead of values")
    return study


def _opened(search: Search) -> Study:
    known, seed, sampler = variables(search.space.nodes), search.settings.seed, search.settings.sampler
    folder, storage = search.folder, search.means.storage
    place = folder.read("shared.json")
    if storage is None:
        if place is not None:
            raise SearchError(f"{folder.path} shares its study at {place['storage']}; name it by --storage")
        return Study(folder.storage, known, search.space.objectives, seed, search.resume, sampler=sampler)
    if place is None and search.records:
        raise SearchError(f"{folder.path} keeps its study to itself; begin a shared run with --from {folder.path}")
    from archdsl.search.study.names import name_of, older_name_of
    from archdsl.search.study.shared import Shared

    name = name_of(search.settings)
    older: str | None = older_name_of(search.settings)
    if place is not None and place["study"] not in (name, older):
        raise SearchError(
            f"{folder.path} shares the study {place['study']}, its settings now name {name}; begin another run"
        )
    if place is not None:
        name, older = place["study"], older if place["study"] == older else None
    study = Shared(storage, name, known, search.space.objectives, seed, sampler, older)
    folder.write("shared.json", {"storage": shown(storage), "study": study.name})
    return study


def agreed(search: Search, gate_ms: float | None) -> float | None:
    """The gate of all machines that share the study; None on a machine that only trains.

    Raises:
        SearchError: the study is about other data, or about another device.
    """
    own_data = search.data["fingerprint"]
    if search.study.agree("data", own_data) != own_data:
        raise SearchError("the machines that share this study have other data; give each the same")
    if search.means.role == "train":
        return None
    own = search.state.facts.get("device_name")
    conditions = {name: getattr(search.settings, name) for name in ("runtime", "stat")}
    first = search.study.agree("gate", {"device": own, "gate_ms": gate_ms, **conditions})
    if first["device"] != own:
        raise SearchError(f"this study measures on {first['device']}, here is {own}; join it with --role train")
    first = (conditions if search.resume else _earlier_conditions(search)) | first
    for name, value in conditions.items():
        if first[name] != value:
            rule = f"this study measures with {name} {first[name]}, this machine with {value}"
            raise SearchError(f"{rule}; join it with --{name} {first[name]}")
    agreed_ms: float | None = first["gate_ms"]
    return agreed_ms


def _earlier_conditions(search: Search) -> dict[str, Any]:
    """How a study measures that was begun by an earlier version, which kept neither runtime nor statistic with it."""
    settings, space = search.settings, search.space
    measured = space.budget("latency") or space.budget("throughput")
    stat = (measured and measured.stat) or ("p50" if settings.device.startswith("cuda") else "p10")
    return {"runtime": "eager" if settings.runtime == "graph" else settings.runtime, "stat": stat}


def described(search: Search) -> dict[str, Any]:
    """What a dashboard shows of a study; a machine that only trains has nothing to add."""
    if search.means.role == "train":
        return {}
    facts = {
        "space": search.space.name,
        "latency budget, ms": search.settings.latency_budget_ms,
        "latency gate, ms": search.state.gate_ms,
        "statistic": search.settings.stat,
        "device": search.state.facts.get("device_name"),
    }
    return facts if search.study.is_shared else facts | {"folder": str(search.folder.path)}

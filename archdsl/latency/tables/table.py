"""A table of latencies: the times of a space's parts on one device, what sums them up, and how wrong that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.cost import count
from archdsl.errors import MeasureError, WrongUse
from archdsl.files import read_json, write_json
from archdsl.language.document import Spec
from archdsl.latency.provenance import provenance
from archdsl.latency.stats import checked_stat, default_stat
from archdsl.latency.tables import kept
from archdsl.latency.tables.calibration import Accuracy, Calibration, Sum
from archdsl.latency.tables.parts import parts
from archdsl.runtimes.setting import Setting, with_runtime
from archdsl.spaces.space import Space
from archdsl.timing.cores import physical_cores

FORMAT = 1
DECIDING = (
    *("device_name", "driver", "torch", "cuda", "cudnn", "archdsl"),
    *("cpu", "physical_cores", "malloc", "omp_wait_policy"),
)
"""Facts of a provenance with which latencies change: a table is for them alone."""


class StaleTable(MeasureError):
    """A table was made on another device, with other versions or for another form of the space."""


class HeldOut(NamedTuple):
    """A network that had no part in making the table."""

    hash: str
    predicted_ms: float
    measured_ms: float


class Table(NamedTuple):
    """The times of a space's parts, and what was found out about predicting with them."""

    space: str
    space_digest: str
    setting: dict[str, Any]
    """device, batch, dtype, runtime, threads, stat."""
    times: dict[str, float]
    """Milliseconds of each part, by key."""
    whole: frozenset[str]
    """Types of stages that are one part each."""
    calibration: Calibration
    accuracy: Accuracy
    """On networks held out."""
    noise: float
    """How far two halves of the rounds lie apart, in the mean over whole networks: no prediction can be nearer."""
    held_out: tuple[HeldOut, ...]
    made: dict[str, Any]
    """How: numbers of carriers, calibration networks, rounds, seconds, ..."""
    provenance: dict[str, Any]

    def predict(self, spec: Spec) -> float:
        """Predicted ms a batch, without building anything.

        Raises:
            MeasureError: the network has a part that the table has not.
        """
        return self.calibration(total(spec, self.times, self.whole))

    def images_per_second(self, ms: float) -> float:
        """Throughput at the table's batch."""
        return float(self.setting["batch"]) * 1000 / ms

    def differences(self, space: Space | None, facts: Mapping[str, Any]) -> list[str]:
        """What is no longer as it was when the table was made, each with both values."""
        found = [
            f"{name} was {self.provenance.get(name)} and is {facts.get(name)}"
            for name in DECIDING
            if self.provenance.get(name) != facts.get(name)
        ]
        changed = space is not None and space_digest(space) != self.space_digest
        return found + ["the space's nodes or constraints have changed"] * changed

    def as_json(self) -> dict[str, Any]:
        """The table for programs, and for the file that keeps it."""
        fields = self._asdict() | {"whole": sorted(self.whole), "calibration": self.calibration._asdict()}
        fields |= {"accuracy": self.accuracy._asdict(), "held_out": [row._asdict() for row in self.held_out]}
        return {"format": FORMAT, **fields}


def total(spec: Spec, times: Mapping[str, float], whole: frozenset[str]) -> Sum:
    """What a network's time is told from.

    Raises:
        MeasureError: the time of a part is not known.
    """
    found = parts(spec, whole)
    missing = next((part for part in found if part.key not in times), None)
    if missing is not None:
        what = missing.facts.get("part", missing.facts.get("ends", {})).get("type", "a stage's ends")
        reads = " and ".join("x".join(map(str, shape)) for shape in missing.facts["reads"])
        rule = f"{spec.name}: the table has no time for {what} reading {reads} (node {missing.node})"
        raise MeasureError(f"{rule}; build the table of a space that contains this block, or measure the network")
    return Sum(sum(times[part.key] for part in found), len(found), count(spec).params / 1e6)


def space_digest(space: Space) -> str:
    """Tells apart what a space's networks are made from; classes and channels, which data may bring, are no part."""
    document = space.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return kept.digest({name: document.get(name) for name in ("image", "nodes", "constraints")})


def setting_of(setting: Setting, threads: int | None, stat: str) -> dict[str, Any]:
    """What a table holds for, beside the device's facts."""
    return {**setting._asdict(), "threads": threads, "stat": stat}


def save(table: Table) -> str:
    """Keep a table; gives its file.

    Raises:
        MeasureError: it cannot be written.
    """
    try:
        file = _file(table.space, table.setting)
        write_json(file, table.as_json(), indent=1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MeasureError(f"the table cannot be written: {reason}; set ARCHDSL_CACHE to a folder") from None
    return str(file)


def check_times_parts(setting: Setting) -> None:
    """Raises `WrongUse` for a runtime that optimises a network as a whole: its time is no sum of the parts'."""
    if not setting.executor.times_parts:
        rule = f"tables hold for runtimes that run a network part by part; {setting.runtime} fuses parts"
        raise WrongUse(f"{rule}; use eager or graph, or measure whole networks: archdsl bench SPEC")


def load(space: Space, setting: Mapping[str, Any], facts: Mapping[str, Any], argument: str | None = None) -> Table:
    """The table of a space for a setting; `facts` are the provenance of the device as it is now.

    `argument` is what names the space on a command line, its path where it has one; by default its name.

    Raises:
        StaleTable: there is one, made under other conditions.
        MeasureError: there is none.
    """
    setting = with_runtime(setting)
    found = read_json(_file(space.name, setting))
    what = (
        f"{space.name} on {setting['device']} at {', '.join(f'{k} {v}' for k, v in setting.items() if k != 'device')}"
    )
    remedy = f"build it: archdsl lut build {shlex.quote(argument or space.name)}{options_text(setting)}"
    if found is None or found.get("format") != FORMAT:
        raise MeasureError(f"there is no table of {what}; {remedy}")
    table = _parsed(found)
    if differences := table.differences(space, facts):
        raise StaleTable(f"the table of {what} is stale: {'; '.join(differences)}; {remedy}")
    return table


def load_here(
    space: Space, setting: Setting, threads: int | None, stat: str | None, argument: str | None = None
) -> Table:
    """The table of a space for a setting on this machine, as it is now; `argument` as of `load`.

    Raises:
        StaleTable, MeasureError: as `load`.
    """
    check_times_parts(setting)
    threads = threads or (physical_cores() if setting.device == "cpu" else None)
    facts = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    return load(
        space, setting_of(setting, threads, checked_stat(stat or default_stat(setting.device))), facts, argument
    )


def options_text(setting: Mapping[str, Any]) -> str:
    """The options of a command line that give a setting; threads and runtime always, since their defaults vary."""
    plain = {"device": None, "batch": 1, "dtype": "float32", "runtime": "", "threads": None}
    return "".join(f" --{name} {setting[name]}" for name, value in plain.items() if setting[name] != value)


def _file(space: str, setting: Mapping[str, Any]) -> Path:
    """A table's file: it is named by the setting as earlier versions wrote it, so that their tables are read."""
    return kept.path(f"table-{space}", {"mode" if name == "runtime" else name: setting[name] for name in setting})


def _parsed(found: dict[str, Any]) -> Table:
    fields = {name: value for name, value in found.items() if name != "format"}
    fields |= {"whole": frozenset(found["whole"]), "calibration": Calibration(**found["calibration"])}
    fields |= {name: with_runtime(found[name]) for name in ("setting", "provenance")}
    fields |= {"accuracy": Accuracy(**found["accuracy"])}
    fields |= {"held_out": tuple(HeldOut(**row) for row in found["held_out"])}
    return Table(**fields)

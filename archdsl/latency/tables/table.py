"""A table of latencies: the times of a space's parts on one device, what sums them up, and how wrong that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from archdsl.cost import count
from archdsl.errors import MeasureError, WrongUse
from archdsl.files import read_json, write_json
from archdsl.json_types import JsonObject, list_in, object_in
from archdsl.language.document import Spec
from archdsl.latency.provenance import Provenance, provenance
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


class TableSetting(NamedTuple):
    """What a table holds for, beside the device's facts."""

    device: str
    batch: int
    dtype: str
    runtime: str
    threads: int | None
    stat: str
    optimize: bool = False
    """Whether it is of inference forms; earlier versions knew plain networks alone."""

    def told(self) -> dict[str, str | int | None]:
        """What is said of it, and what its file is named by: of plain networks nothing of a form."""
        return {name: value for name, value in self._asdict().items() if name != "optimize" or value}


class Made(NamedTuple):
    """How a table was made."""

    parts: int
    parts_timed: int
    """Those whose time was not known from an earlier table."""
    every_point_seen: bool
    """Whether no part of the space is missing."""
    carriers: int
    """Networks that the parts were timed in."""
    calibration: int
    """Networks that the sum of the parts was calibrated on."""
    rounds: int
    seconds: float
    parts_at: str | None = None
    """The statistic of the parts' times; None is that of the table."""


class Table(NamedTuple):
    """The times of a space's parts, and what was found out about predicting with them."""

    space: str
    space_digest: str
    setting: TableSetting
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
    made: Made
    provenance: Provenance

    def predict(self, spec: Spec) -> float:
        """Predicted ms a batch, without building anything.

        Raises:
            MeasureError: the network has a part that the table has not.
        """
        return self.calibration(total(spec, self.times, self.whole))

    def images_per_second(self, ms: float) -> float:
        """Throughput at the table's batch."""
        return self.setting.batch * 1000 / ms

    def differences(self, space: Space | None, now: Provenance) -> list[str]:
        """What is no longer as it was when the table was made, each with both values."""
        before, here = deciding(self.provenance), deciding(now)
        changed = [f"{name} was {before[name]} and is {here[name]}" for name in DECIDING if before[name] != here[name]]
        is_another = space is not None and space_digest(space) != self.space_digest
        return changed + ["the space's nodes or constraints have changed"] * is_another

    def as_json(self) -> JsonObject:
        """The table for programs, and for the file that keeps it."""
        fields = self._asdict() | {"whole": sorted(self.whole), "provenance": self.provenance.as_json()}
        fields |= {name: fields[name]._asdict() for name in ("setting", "calibration", "accuracy", "made")}
        fields |= {"held_out": [row._asdict() for row in self.held_out]}
        return {"format": FORMAT, **fields}


def total(spec: Spec, times: Mapping[str, float], whole: frozenset[str]) -> Sum:
    """What a network's time is told from.

    Raises:
        MeasureError: the time of a part is not known.
    """
    of_network = parts(spec, whole)
    missing = next((part for part in of_network if part.key not in times), None)
    if missing is not None:
        facts = missing.facts
        what = object_in(facts.get("part", facts.get("ends", {}))).get("type", "a stage's ends")
        reads = " and ".join("x".join(map(str, list_in(shape))) for shape in list_in(facts["reads"]))
        rule = f"{spec.name}: the table has no time for {what} reading {reads} (node {missing.node})"
        raise MeasureError(f"{rule}; build the table of a space that contains this block, or measure the network")
    return Sum(sum(times[part.key] for part in of_network), len(of_network), count(spec).params / 1e6)


def space_digest(space: Space) -> str:
    """Tells apart what a space's networks are made from; classes and channels, which data may bring, are no part."""
    document = space.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return kept.digest({name: document.get(name) for name in ("image", "nodes", "constraints")})


def deciding(provenance: Provenance) -> JsonObject:
    """The facts with which latencies change."""
    facts = provenance.as_json()
    return {name: facts[name] for name in DECIDING}


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


def load(space: Space, setting: TableSetting, now: Provenance, argument: str | None = None) -> Table:
    """The table of a space for a setting; `now` is the provenance of the device as it is now.

    `argument` is what names the space on a command line, its path where it has one; by default its name.

    Raises:
        StaleTable: there is one, made under other conditions.
        MeasureError: there is none.
    """
    content = read_json(_file(space.name, setting))
    values = [f"{name} {value}" for name, value in setting.told().items() if name != "device"]
    what = f"{space.name} on {setting.device} at {', '.join(values)}"
    remedy = f"build it: archdsl lut build {shlex.quote(argument or space.name)}{options_text(setting)}"
    table = None if content is None else _parsed(content)
    if table is None:
        raise MeasureError(f"there is no table of {what}; {remedy}")
    if differences := table.differences(space, now):
        raise StaleTable(f"the table of {what} is stale: {'; '.join(differences)}; {remedy}")
    return table


def load_here(
    space: Space,
    setting: Setting,
    threads: int | None,
    stat: str | None,
    argument: str | None = None,
    optimize: bool = False,
) -> Table:
    """The table of a space for a setting on this machine, as it is now; `argument` as of `load`.

    Raises:
        StaleTable, MeasureError: as `load`.
    """
    check_times_parts(setting)
    threads = threads or (physical_cores() if setting.device == "cpu" else None)
    now = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    asked = TableSetting(*setting, threads, checked_stat(stat or default_stat(setting.device)), optimize)
    return load(space, asked, now, argument)


def options_text(setting: TableSetting) -> str:
    """The options of a command line that give a setting; threads and runtime always, since their defaults vary."""
    usual = {"device": None, "batch": 1, "dtype": "float32", "runtime": "", "threads": None}
    asked = setting._asdict()
    options = "".join(f" --{name} {asked[name]}" for name, value in usual.items() if asked[name] != value)
    return options + " --optimize" * setting.optimize


def _file(space: str, setting: TableSetting) -> Path:
    """A table's file: it is named by the setting as earlier versions wrote it, so that their tables are read."""
    values = {"mode" if name == "runtime" else name: value for name, value in setting.told().items()}
    return kept.path(f"table-{space}", values)


_TABLE = TypeAdapter(Table)


def _parsed(content: JsonObject) -> Table | None:
    """The table in a file, also of versions that called the runtime `mode`; None of a damaged one or another form."""
    if content.get("format") != FORMAT:
        return None
    fields = {name: value for name, value in content.items() if name != "format"}
    for name in ("setting", "provenance"):
        value = fields.get(name)
        if isinstance(value, dict):
            fields[name] = with_runtime(value)
    try:
        return _TABLE.validate_python(fields)
    except ValidationError:
        return None

"""A table built: the space surveyed, its parts and some whole networks measured, the sum calibrated and tested."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import NamedTuple, TypeAlias

from archdsl.errors import MeasureError
from archdsl.files import read_json, write_json
from archdsl.json_types import JsonInput
from archdsl.language.canonical import canonical_hash
from archdsl.latency.provenance import provenance
from archdsl.latency.stats import STATS, checked_stat, default_stat, percentile
from archdsl.latency.tables import kept
from archdsl.latency.tables.calibration import Calibration, Sum, accuracy, error, fitted
from archdsl.latency.tables.session import Notify, Session, measured
from archdsl.latency.tables.survey import Survey, survey
from archdsl.latency.tables.table import (
    HeldOut,
    Made,
    Table,
    TableSetting,
    check_times_parts,
    deciding,
    save,
    space_digest,
    total,
)
from archdsl.runtimes.setting import Setting, runtime_of
from archdsl.spaces.space import Space
from archdsl.timing.cores import physical_cores

CALIBRATION, HELD_OUT, ROUNDS = 16, 32, 40
_FASTEST = "min"

Times: TypeAlias = dict[str, dict[str, float]]
"""Milliseconds of each part, by its key and the statistic."""


def build_tables(
    space: Space,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    runtime: str | None = None,
    threads: int | None = None,
    *,
    mode: str | None = None,
    stat: str | None = None,
    calibration: int = CALIBRATION,
    held_out: int = HELD_OUT,
    rounds: int = ROUNDS,
    again: bool = False,
    seed: int = 0,
    optimize: bool = False,
    notify: Notify = lambda text: None,
) -> dict[str, Table]:
    """The tables of a space for one setting, one a statistic, measured and kept.

    Rounds are added until `stat`, by default the device's statistic, is steady. `notify` is called with each
    step, and while another process measures on the device.
    Threads default to the physical cores of a CPU. A table holds for its `runtime`, by default the device's, and a
    search must state it too; `mode` is its former name.
    With `optimize` it is of inference forms (`archdsl.optimize`), of parts and of whole networks.
    Parts whose time is known from an earlier table of this device, these versions and this setting are not timed again,
    unless `again`.

    Raises:
        WrongUse: `runtime` and `mode` differ, or the runtime cannot time a part of a network alone.
        MeasureError: the setting is refused, a forward pass fails, or the space has too few networks.
    """
    begun, setting = time.monotonic(), Setting.checked(device, batch, dtype, runtime_of(runtime, mode))
    check_times_parts(setting)
    stat = checked_stat(stat or default_stat(setting.device))
    threads = threads or (physical_cores() if setting.device == "cpu" else None)
    origin = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    file = kept.path("parts", [setting, threads, deciding(origin), *(["optimized"] if optimize else [])])
    earlier = {} if again else _earlier_times(file)
    notify(f"listing the blocks of {space.name} ...")
    surveyed = survey(space, frozenset(earlier), calibration, held_out, seed)
    new = len(surveyed.keys - set(earlier))
    notify(f"{len(surveyed.keys)} distinct blocks, {new} of them to be measured, in {len(surveyed.carriers)} networks")
    session = measured(surveyed, setting, threads, stat, rounds, notify, optimize)
    times = earlier | _times(session)
    _keep(file, {"facts": origin.as_json(), "times": times})
    origin = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    made = Made(
        parts=len(surveyed.keys),
        parts_timed=new,
        every_point_seen=surveyed.complete,
        carriers=len(surveyed.carriers),
        calibration=calibration,
        rounds=len(session.whole[0]),
        seconds=round(time.monotonic() - begun, 1),
    )
    times = {key: times[key] for key in surveyed.keys}
    tables = {}
    for each in STATS:
        fit = _fitted(surveyed, session, times, each)
        tables[each] = Table(
            space=space.name,
            space_digest=space_digest(space),
            setting=TableSetting(*setting, threads, each, optimize),
            times=_at(times, fit.source),
            whole=surveyed.whole,
            calibration=fit.calibration,
            accuracy=accuracy([row.predicted_ms for row in fit.held_out], [row.measured_ms for row in fit.held_out]),
            noise=session.noise(each),
            held_out=fit.held_out,
            made=made._replace(parts_at=fit.source),
            provenance=origin,
        )
        save(tables[each])
    return tables


class _Fit(NamedTuple):
    """From the parts of networks to their time: which statistic of the parts, how they are summed up, how well."""

    source: str
    calibration: Calibration
    held_out: tuple[HeldOut, ...]


def _fitted(surveyed: Survey, session: Session, times: Times, stat: str) -> _Fit:
    """Calibrated on some of the whole networks, tested on the others.

    Parts are taken at the table's statistic, or at their fastest where that tells the calibration's networks better:
    what disturbs a machine for a moment hits one part or another, and a network as a whole.
    """
    specs, split = [*surveyed.calibration, *surveyed.held_out], len(surveyed.calibration)
    whole = [percentile(taken, STATS[stat]) for taken in session.whole]
    sums, errors = dict[str, list[Sum]](), dict[str, float]()
    for source in dict.fromkeys((stat, _FASTEST)):
        ms = _at(times, source)
        sums[source] = [total(spec, ms, surveyed.whole) for spec in specs]
        errors[source] = error(sums[source][:split], whole[:split])
    source = min(errors, key=errors.__getitem__)
    calibration = fitted(sums[source][:split], whole[:split])
    rows = zip(surveyed.held_out, sums[source][split:], whole[split:], strict=True)
    return _Fit(
        source, calibration, tuple(HeldOut(canonical_hash(spec), calibration(parts), ms) for spec, parts, ms in rows)
    )


def _at(times: Times, stat: str) -> dict[str, float]:
    """The times of parts by one statistic."""
    return {key: by_stat[stat] for key, by_stat in times.items()}


def _earlier_times(file: Path) -> Times:
    """The times of parts that were measured earlier, by key and statistic."""
    times = (read_json(file) or {}).get("times")
    rows = times.items() if isinstance(times, dict) else ()
    return {
        key: {stat: float(ms) for stat, ms in row.items() if isinstance(ms, int | float)}
        for key, row in rows
        if isinstance(row, dict) and row.keys() >= STATS.keys()
    }


def _keep(file: Path, content: JsonInput) -> None:
    try:
        write_json(file, content, indent=1)
    except OSError as error:
        raise MeasureError(
            f"{file.parent} cannot be written: {error.strerror}; set ARCHDSL_CACHE to a folder"
        ) from None


def _times(session: Session) -> Times:
    """Each statistic of each part; of one that several carriers have, the median over them."""
    return {
        key: {
            stat: statistics.median(percentile(taken, percent) for taken in samples) for stat, percent in STATS.items()
        }
        for key, samples in session.parts.items()
    }

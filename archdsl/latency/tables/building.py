"""A table built: the space surveyed, its parts and some whole networks measured, the sum calibrated and tested."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from archdsl.errors import MeasureError
from archdsl.files import read_json, write_json
from archdsl.language.canonical import canonical_hash
from archdsl.latency.provenance import provenance
from archdsl.latency.stats import STATS, checked_stat, default_stat, percentile
from archdsl.latency.tables import kept
from archdsl.latency.tables.calibration import Sum, accuracy, error, fitted
from archdsl.latency.tables.session import Notify, Session, measured
from archdsl.latency.tables.survey import Survey, survey
from archdsl.latency.tables.table import (
    DECIDING,
    HeldOut,
    Table,
    check_times_parts,
    save,
    setting_of,
    space_digest,
    total,
)
from archdsl.runtimes.setting import Setting, runtime_of
from archdsl.spaces.space import Space
from archdsl.timing.cores import physical_cores

CALIBRATION, HELD_OUT, ROUNDS = 16, 32, 40
_FASTEST = "min"


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
    notify: Notify = lambda text: None,
) -> dict[str, Table]:
    """The tables of a space for one setting, one a statistic, measured and kept.

    Rounds are added until `stat`, by default the device's statistic, is steady. `notify` is called with each
    step, and while another process measures on the device.
    Threads default to the physical cores of a CPU. A table holds for its `runtime`, by default the device's, and a
    search must state it too; `mode` is its former name.
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
    facts = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    file = kept.path("parts", [setting, threads, {name: facts[name] for name in DECIDING}])
    known = {} if again else _known(file)
    notify(f"listing the blocks of {space.name} ...")
    found = survey(space, frozenset(known), calibration, held_out, seed)
    new = len(found.keys - set(known))
    notify(f"{len(found.keys)} distinct blocks, {new} of them to be measured, in {len(found.carriers)} networks")
    session = measured(found, setting, threads, stat, rounds, notify)
    times = known | _times(session)
    _keep(file, {"facts": facts, "times": times})
    facts = provenance(setting.device, setting.dtype, setting.batch, setting.runtime, threads)
    made: dict[str, Any] = {"parts": len(found.keys), "parts_timed": new, "every_point_seen": found.complete}
    made |= {"carriers": len(found.carriers), "calibration": calibration, "rounds": len(session.whole[0])}
    made |= {"seconds": round(time.monotonic() - begun, 1)}
    tables = {}
    for each in STATS:
        own = {key: times[key] for key in found.keys}
        table = _table(space, setting_of(setting, threads, each), found, session, own)
        tables[each] = table._replace(made=made | table.made, provenance=facts)
        save(tables[each])
    return tables


def _table(
    space: Space, own: dict[str, Any], found: Survey, session: Session, times: dict[str, dict[str, float]]
) -> Table:
    """Calibrated on some of the whole networks, tested on the others.

    Parts are taken at the table's statistic, or at their fastest where that tells the calibration's networks better:
    what disturbs a machine for a moment hits one part or another, and a network as a whole.
    """
    specs, split = [*found.calibration, *found.held_out], len(found.calibration)
    whole = [percentile(taken, STATS[own["stat"]]) for taken in session.whole]
    sums, errors = dict[str, list[Sum]](), dict[str, float]()
    for source in dict.fromkeys((own["stat"], _FASTEST)):
        ms = {key: each[source] for key, each in times.items()}
        sums[source] = [total(spec, ms, found.whole) for spec in specs]
        errors[source] = error(sums[source][:split], whole[:split])
    source = min(errors, key=errors.__getitem__)
    fit = fitted(sums[source][:split], whole[:split])
    predicted = [fit(one) for one in sums[source][split:]]
    rows = [
        HeldOut(canonical_hash(spec), guess, ms)
        for spec, guess, ms in zip(found.held_out, predicted, whole[split:], strict=True)
    ]
    found_out = accuracy(predicted, whole[split:]), session.noise(own["stat"]), tuple(rows)
    ms = {key: each[source] for key, each in times.items()}
    return Table(space.name, space_digest(space), own, ms, found.whole, fit, *found_out, {"parts_at": source}, {})


def _known(file: Path) -> dict[str, dict[str, float]]:
    """The times of parts that were measured earlier, by key and statistic."""
    times = (read_json(file) or {}).get("times")
    rows = times.items() if isinstance(times, dict) else ()
    return {
        key: {stat: float(ms) for stat, ms in row.items() if isinstance(ms, int | float)}
        for key, row in rows
        if isinstance(row, dict) and row.keys() >= STATS.keys()
    }


def _keep(file: Path, content: dict[str, Any]) -> None:
    try:
        write_json(file, content, indent=1)
    except OSError as error:
        raise MeasureError(
            f"{file.parent} cannot be written: {error.strerror}; set ARCHDSL_CACHE to a folder"
        ) from None


def _times(session: Session) -> dict[str, dict[str, float]]:
    """Each statistic of each part; of one that several carriers have, the median over them."""
    return {
        key: {
            stat: statistics.median(percentile(taken, percent) for taken in samples) for stat, percent in STATS.items()
        }
        for key, samples in session.parts.items()
    }

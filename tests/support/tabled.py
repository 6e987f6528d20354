"""A small space, and its table from a machine on which every part takes a time of its own."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from archdsl import count
from archdsl.language.document import Spec
from archdsl.latency import tables
from archdsl.latency.provenance import Provenance
from archdsl.latency.tables import Table, building
from archdsl.latency.tables.parts import parts
from archdsl.latency.tables.session import Session
from archdsl.latency.tables.survey import Survey, survey
from archdsl.load.spaces import space_of
from archdsl.spaces.space import Space
from tests.support.searching import SPACE as LARGER

SPACE: dict[str, Any] = json.loads(json.dumps(LARGER))
SPACE["nodes"][0]["width"]["$one_of"] = [16, 32]
SPACE["nodes"][1]["depth"]["$int"] = [1, 3]
SPACE["nodes"][3]["$one_of"][1]["alpha"] = 0.5
for _stage in SPACE["nodes"][3]["$one_of"]:
    _stage["depth"]["$int"] = [1, 2]


def cost_of(key: str) -> float:
    """A machine on which every part takes a time of its own, and always the same."""
    return 0.1 + random.Random(key).random()


def truth(spec: Spec) -> float:
    """On that machine parts are slower in a network, and there is something between them."""
    found = parts(spec)
    return 1.2 * sum(cost_of(part.key) for part in found) + 0.01 * len(found) + 0.5 * count(spec).params / 1e6


def measured(found: Survey, *_: Any) -> Session:
    """What that machine measures."""
    keys = {part.key for spec in found.carriers for part in parts(spec, found.whole)}
    whole: list[tuple[float, ...]] = [(truth(spec),) * 10 for spec in (*found.calibration, *found.held_out)]
    return Session({key: [(cost_of(key),) * 10] for key in keys}, whole)


FEW: dict[str, Any] = {"threads": 1, "calibration": 8, "held_out": 12}


def small_table(space: Space, monkeypatch: pytest.MonkeyPatch) -> Table:
    """The table of the small space on that machine."""
    monkeypatch.setattr(building, "measured", measured)
    return tables.build_tables(space, "cpu", **FEW)["p10"]


def facts(table: Table, **changes: Any) -> Provenance:
    return replace(table.provenance, **changes)


def space_point() -> Spec:
    return small_survey(space_of(SPACE)).held_out[0]


def small_survey(space: Space) -> Survey:
    found = survey(space, frozenset(), 1, 1)
    return found._replace(carriers=found.carriers[:2])

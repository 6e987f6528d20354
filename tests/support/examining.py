"""Examinations of small spaces, by fake workers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from archdsl.search.doctor.doctor import Examination, examine
from archdsl.search.policy import SHIPPED, Policy
from archdsl.search.policy.doctor import SurveyPolicy
from tests.support.fake_worker import Machine
from tests.support.searching import SPACE, settings

Raw = dict[str, Any]


def space(**changes: Any) -> Raw:
    return {**copy.deepcopy(SPACE), **changes}


def examined(
    document: Raw | None = None,
    measure: bool = False,
    machine: Machine | None = None,
    policy: Policy = SHIPPED,
    **more: Any,
) -> Examination:
    asked = settings(space=document or space(), **{"latency_budget_ms": None, "trials": None, **more})
    new_worker = (machine or Machine()).worker
    return examine(asked, measure=measure, time_s=2.0, new_worker=new_worker, policy=policy)


def sampling(most_choices: int, samples: int) -> Policy:
    """Looks at larger spaces by so many samples."""
    return Policy(survey=SurveyPolicy(most_choices, samples))


def written(folder: Path, document: Raw) -> Path:
    path = folder / "space.json"
    path.write_text(json.dumps(document, indent=1))
    return path

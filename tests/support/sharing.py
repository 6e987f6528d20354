"""A study in a PostgreSQL of its own, for tests of what machines share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from archdsl.load.spaces import space_of
from archdsl.search.policy.propose import SharingPolicy
from archdsl.search.propose.shared_study import Shared
from archdsl.search.propose.study_names import name_of
from archdsl.spaces.variables import variables
from tests.support.postgres import server
from tests.support.searching import RANDOM, settings

SHARING = replace(RANDOM, sharing=SharingPolicy(beat_s=1, grace_s=3, poll_s=0.2))
"""A silent machine is missed after three seconds."""


def database_url() -> Iterator[str]:
    """Of an empty database, as a fixture."""
    with server() as database:
        yield database.url


def open_study(url: str, **changes: Any) -> Shared:
    asked = settings(**changes)
    space = space_of(asked.space)
    return Shared(url, name_of(asked), variables(space.nodes), space.objectives, asked.seed, policy=SHARING)

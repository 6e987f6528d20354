"""A study in a PostgreSQL of its own, for tests of what machines share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import space_of
from archdsl.search.loop import trials as trying
from archdsl.search.propose import heartbeat as heart
from archdsl.search.propose.shared_study import Shared
from archdsl.search.propose.study_names import name_of
from archdsl.spaces.variables import variables
from tests.support.postgres import server
from tests.support.searching import quicken, settings


def database_url() -> Iterator[str]:
    """Of an empty database, as a fixture."""
    with server() as database:
        yield database.url


def hasten(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """As `quicken`, and a silent machine is missed after three seconds."""
    quicken(patch, cache)
    patch.setattr(trying, "POLL_S", 0.05)
    patch.setattr(heart, "BEAT_S", 1)
    patch.setattr(heart, "GRACE_S", 3)


def open_study(url: str, **changes: Any) -> Shared:
    asked = settings(**changes)
    space = space_of(asked.space)
    return Shared(url, name_of(asked), variables(space.nodes), space.objectives, asked.seed)

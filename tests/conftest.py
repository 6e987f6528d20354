"""What all tests share."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from tests.support.golden_texts import Golden
from tests.support.places import GOLDEN

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: small work is faster on one thread
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read there too: what waits for another thread uses no core
os.environ["ARCHDSL_LEASES"] = tempfile.mkdtemp()  # tests that run side by side do not wait for each other
atexit.register(shutil.rmtree, os.environ["ARCHDSL_LEASES"], True)
gc.set_threshold(20_000)  # of 700: an export makes a million objects that stay, and an eighth of its time was this


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="write the golden texts anew instead of comparing")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of tests that stay are no garbage: a measurement collects before its rounds, and looks at them all."""
    _freeze()


@pytest.fixture(scope="module", autouse=True)
def _frozen_leftovers() -> Iterator[None]:
    """Nor is what the tests of a module leave behind in caches: after a thousand exports collecting takes a second."""
    yield
    _freeze()


def _freeze() -> None:
    gc.collect()
    gc.freeze()


@event.listens_for(Engine, "connect")
def _trust_the_disk(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """A study waits for the disk at each of a thousand writes, so that it outlives a power cut; no test has one."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(name, text)` holds a text to tests/golden/NAME.txt."""

    def hold(name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        if request.config.getoption("--overwrite"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"if this is meant, run pytest with --overwrite ({file.name})"

    return hold

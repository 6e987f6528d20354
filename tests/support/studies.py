"""Studies as Optuna reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.storages import RDBStorage


@contextmanager
def stored_study(url: str, name: str = "search") -> Iterator[optuna.Study]:
    """The study of that name in a database."""
    storage = RDBStorage(url)
    try:
        yield optuna.load_study(study_name=name, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()

"""Where a study is kept, and what is told when it is lost."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from archdsl.errors import SearchError


def open_storage(url: str, locked_s: float) -> BaseStorage:
    """Where Optuna keeps studies: a database, made if there is none; another process may lock it for so long."""
    return RDBStorage(url, {"connect_args": {"timeout": locked_s}})


def brief(error: BaseException) -> str:
    """What a database says, on one line, without the statement that it was asked."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    origin = getattr(error, "orig", None) or error
    return " ".join(str(origin).split())[:200]


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """What the disk or the database refuses inside is told in one line: what was finished is safe.

    Raises:
        SearchError: the study was lost, or the folder cannot be written.
    """
    safe = f"the finished trials are in {folder}/trials.jsonl; continue with --resume"
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise SearchError(f"the study cannot be reached any more: {brief(error)}; {safe}") from None
    except OSError as error:
        raise SearchError(f"{error.filename or folder}: {error.strerror or error}; {safe}") from None


@contextmanager
def unheard() -> Iterator[None]:
    """Optuna's warnings go nowhere: that something is experimental, and each time that a sampler falls back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

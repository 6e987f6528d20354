"""Networks of earlier checks, by whose trainings those of a new one are told too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator

from archdsl.errors import NotFound, SearchError
from archdsl.json_types import Json
from archdsl.search.config import Settings
from archdsl.search.proxy_check.networks import EarlierNetwork
from archdsl.search.proxy_check.result import EarlierSource
from archdsl.search.store.folder import no_run
from archdsl.search.worker.scores.every import NAMES

RESULT = "proxy_check.json"


@dataclass(frozen=True)
class EarlierCheck:
    """What an earlier check found, and by which trainings."""

    source: EarlierSource
    data: str
    """In one line."""
    epochs: float | None
    """Of a full training; None where the check does not say, as with `images`."""
    images: int | None
    networks: tuple[EarlierNetwork, ...]

    @classmethod
    def from_json(cls, document: Json) -> EarlierCheck:
        """What `proxy_check.json` holds, or a check told with `--json`.

        Raises:
            ValidationError: it is none, or ranked nothing.
        """
        read = _ResultFile.model_validate(document)
        asked, rows = read.asked, read.networks
        source = EarlierSource(len(rows), asked.space, asked.budgets, asked.seed)
        networks = tuple(
            EarlierNetwork(
                row.hash, row.spec, tuple(row.accuracies), row.scores, tuple(tuple(losses) for losses in row.running)
            )
            for row in rows
        )
        return cls(source, read.data, asked.epochs, asked.images, networks)


def read(paths: Sequence[str]) -> list[EarlierCheck]:
    """What these checks found; each is its folder or the JSON that it told.

    Raises:
        NotFound: one does not exist.
        SearchError: one cannot be read, or ranked nothing.
    """
    return [_read(Path(path)) for path in paths]


def networks(checks: Sequence[EarlierCheck], data: str, settings: Settings) -> list[EarlierNetwork]:
    """The networks of all checks, each once.

    Raises:
        SearchError: one was trained on other data, or for another length.
    """
    by_hash = dict[str, EarlierNetwork]()
    for check in checks:
        if not _is_same_data(check.data, data):
            raise _of_other_trainings("data", check.data, data)
        if check.epochs != settings.epochs:
            raise _of_other_trainings("epochs", check.epochs, settings.epochs)
        if check.images != settings.images:
            raise _of_other_trainings("images", check.images, settings.images)
        by_hash |= {network.network_hash: network for network in check.networks}
    return list(by_hash.values())


def _of_other_trainings(name: str, before: str | float | None, now: str | float) -> SearchError:
    return SearchError(
        f"the earlier check used other trainings, which say nothing about these: {name} {before} there, {now} here"
    )


def _is_same_data(before: str, now: str) -> bool:
    """Whether two descriptions are of the same data; older ones do not say how it was read."""
    return before.partition("; ")[0] == now.partition("; ")[0]


def _read(path: Path) -> EarlierCheck:
    file = path / RESULT if path.is_dir() else path
    if not path.exists():
        raise NotFound(no_run(path, "reuse", "check"))
    if not file.exists():
        raise NotFound(f"{path} holds no check that ended: there is no {RESULT}; give the folder of another")
    try:
        return EarlierCheck.from_json(json.loads(file.read_bytes()))
    except OSError as error:
        raise SearchError(f"{file} cannot be read: {error.strerror or error}; give the folder of a check") from None
    except ValidationError:
        raise SearchError(f"{file} holds no networks that this version of archdsl ranked; repeat the check") from None
    except ValueError:
        raise SearchError(f"{file} is not JSON; give the folder of a check, or the JSON that it printed") from None


class _ReadModel(BaseModel):
    """What must be there; there may be more."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Asked(_ReadModel):
    space: str | None = None
    budgets: dict[str, float] | None = None
    seed: int | None = None
    epochs: float | None = None
    images: int | None = None


class _Row(_ReadModel):
    hash: str
    spec: dict[str, JsonValue]
    accuracies: list[float]
    scores: dict[str, float]
    running: list[list[float]]

    @model_validator(mode="after")
    def _is_whole(self) -> _Row:
        """Every score of today is there, so that models can be fitted to them."""
        if not (self.hash and self.spec.get("nodes") and all(name in self.scores for name in NAMES)):
            raise ValueError("the network has no hash, no nodes, or not every score")
        return self


class _ResultFile(_ReadModel):
    asked: _Asked
    data: str
    networks: list[_Row]

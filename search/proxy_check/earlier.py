"""Networks of earlier checks, by whose trainings those of a new one are told too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from archdsl.errors import SearchError
from archdsl.search.config import Settings
from archdsl.search.proxy_check.networks import EarlierNetwork
from archdsl.search.worker.scores.every import NAMES

RESULT = "proxy_check.json"

Facts = dict[str, Any]


def read(paths: Sequence[str]) -> list[Facts]:
    """What these checks found; each is its folder or the JSON that it told.

    Raises:
        SearchError: one cannot be read, or ranked nothing.
    """
    return [_read(Path(path)) for path in paths]


def networks(checks: Sequence[Facts], data: str, settings: Settings) -> list[EarlierNetwork]:
    """The networks of all checks, each once.

    Raises:
        SearchError: one was trained on other data, or for another length.
    """
    now, found = {"data": data, "epochs": settings.epochs, "images": settings.images}, dict[str, EarlierNetwork]()
    for check in checks:
        known = check["asked"] | {"data": check["data"]}
        for name, value in now.items():
            if known.get(name) != value and not (name == "data" and _is_same_data(known["data"], data)):
                raise SearchError(
                    f"the earlier check used other trainings, which say nothing about these: {name} {known.get(name)} "
                    f"there, {value} here"
                )
        found |= {row["hash"]: _network(row) for row in check["networks"]}
    return list(found.values())


def _network(row: Facts) -> EarlierNetwork:
    running = tuple(tuple(losses) for losses in row["running"])
    return EarlierNetwork(row["hash"], row["spec"], tuple(row["accuracies"]), row["scores"], running)


def _is_same_data(before: str, now: str) -> bool:
    """Whether two descriptions are of the same data; older ones do not say how it was read."""
    return before.partition("; ")[0] == now.partition("; ")[0]


def _read(path: Path) -> Facts:
    file = path / RESULT if path.is_dir() else path
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise SearchError(f"{file} cannot be read: {error.strerror or error}; give the folder of a check") from None
    except ValueError:
        raise SearchError(f"{file} is not JSON; give the folder of a check, or the JSON that it printed") from None
    rows = found.get("networks") if isinstance(found, dict) else None
    if (
        not isinstance(rows, list)
        or not isinstance(found.get("asked"), dict)
        or "data" not in found
        or not all(map(_is_whole, rows))
    ):
        raise SearchError(f"{file} holds no networks that this version of archdsl ranked; repeat the check")
    return dict(found)


def _is_whole(row: Any) -> bool:
    try:
        numbers = [*row["accuracies"], *(row["scores"][name] for name in NAMES), *chain.from_iterable(row["running"])]
        return bool(row["hash"] and row["spec"]["nodes"]) and all(isinstance(number, int | float) for number in numbers)
    except (KeyError, TypeError):
        return False

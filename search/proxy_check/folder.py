"""The folder of a proxy check: what was asked, a line a network, what came of it, and a lock."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archdsl.errors import SearchError
from archdsl.files import write_text
from archdsl.search.config import Settings
from archdsl.search.store.folder import RunExists, RunFolder
from archdsl.search.store.run_schema import Network

ASKED, NETWORKS = "check.json", "networks.jsonl"


class CheckFolder(RunFolder):
    """One check on disk; of a run's folder it has the lock, the reading and the writing."""

    _line = Network

    def take(self, asked: Any, resume: bool) -> None:
        """Take the folder for this process: make it, or go on with the check in it.

        Raises:
            RunExists: it holds a check or a run, and `resume` is false.
            SearchError: there is no check to resume, it is another one, another process works in it, or the folder
                cannot be written.
        """
        try:
            if (self.path / ASKED).exists() and not resume:
                raise RunExists(f"{self.path} holds a check already; go on with --resume, or name another folder")
            if resume and not (self.path / ASKED).exists():
                raise SearchError(f"{self.path} holds no check to resume")
            self._check(resume=False)
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            if resume and _essence(self.read(ASKED)) != _essence(asked):
                self.release()
                raise SearchError(
                    f"{self.path} holds a check of something else: {_differences(self.read(ASKED), asked)}"
                )
            self.write(ASKED, asked)
        except OSError as error:
            raise SearchError(f"{self.path} cannot be written: {error.strerror or error}") from None

    def asked(self) -> Any:
        """What the check in the folder was asked for.

        Raises:
            SearchError: there is none, or it cannot be read.
        """
        found = self.read(ASKED)
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
            raise SearchError(f"{self.path} holds no check to resume")
        return found

    def rewrite(self, records: list[Any]) -> None:
        """All records anew, in the place of those that are there."""
        write_text(self._records_path, "".join(json.dumps(record) + "\n" for record in records))

    @property
    def _records_path(self) -> Path:
        return self.path / NETWORKS


def _essence(asked: Any) -> Any:
    """What must be equal on resuming: all but how long, and how many networks."""
    with suppress(ValidationError):  # what an earlier version did not know has its default
        asked = {**asked, "settings": Settings.model_validate(asked["settings"]).model_dump(mode="json")}
    settings = {name: value for name, value in asked["settings"].items() if name not in ("time_s", "trials")}
    return {"settings": settings, "seeds": asked["seeds"]}


def _differences(before: Any, now: Any) -> str:
    first, second = ({**_essence(asked)["settings"], "seeds": asked["seeds"]} for asked in (before, now))
    differ = [name for name in first if first[name] != second.get(name)]
    return "; ".join(
        f"{name}: another space" if name == "space" else f"{name}: {first[name]} there, {second.get(name)} now"
        for name in differ
    )

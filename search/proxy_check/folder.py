"""The folder of a proxy check: what was asked, a line a network, what came of it, and a lock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from pydantic import JsonValue, ValidationError

from archdsl.errors import NotFound, SearchError, WrongUse
from archdsl.files import write_text
from archdsl.json_types import JsonObject
from archdsl.search.config import Settings, difference_text
from archdsl.search.proxy_check.networks import CheckedNetwork
from archdsl.search.store.folder import RunExists, RunFolder, no_run
from archdsl.search.store.lines import append_line, read_lines

ASKED, NETWORKS = "check.json", "networks.jsonl"


class CheckFolder(RunFolder):
    """One check on disk; of a run's folder it has the lock, the reading and the writing."""

    def take(self, asked: JsonObject, resume: bool) -> None:
        """Take the folder for this process: make it, or go on with the check in it.

        Raises:
            RunExists: it holds a check or a run, and `resume` is false.
            WrongUse: it holds a check with other settings.
            NotFound: there is no check to resume.
            SearchError: another process works in it, or the folder cannot be written.
        """
        try:
            if (self.path / ASKED).exists() and not resume:
                raise RunExists(f"{self.path} already holds a check; continue it with --resume, or give another folder")
            if resume and not (self.path / ASKED).exists():
                raise NotFound(no_run(self.path, "resume", "check"))
            self._check(resume=False)
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            if resume and (differences := _differences(self.asked(), asked)):
                self.release()
                remedy = "leave this out to continue that check, or give another folder to begin a new one"
                raise WrongUse(f"{self.path} holds a check with other settings: {differences}; {remedy}")
            self.write(ASKED, asked)
        except OSError as error:
            raise SearchError(f"{self.path} cannot be written: {error.strerror or error}") from None

    def asked(self) -> JsonObject:
        """What the check in the folder was asked for.

        Raises:
            NotFound: there is none.
            SearchError: it cannot be read.
        """
        asked = self.read(ASKED, dict[str, JsonValue])
        if asked is None or not isinstance(asked.get("settings"), dict):
            raise NotFound(no_run(self.path, "resume", "check"))
        return asked

    def networks(self) -> list[CheckedNetwork]:
        """Every line of `networks.jsonl`.

        Raises:
            SearchError: a line cannot be read.
        """
        return read_lines(self.path / NETWORKS, CheckedNetwork.from_json)

    def append_network(self, network: CheckedNetwork) -> None:
        """One line more, on disk when this returns."""
        append_line(self.path / NETWORKS, network.as_json())

    def rewrite(self, networks: Iterable[CheckedNetwork]) -> None:
        """All lines anew, in the place of those that are there."""
        lines = (json.dumps(network.as_json()) + "\n" for network in networks)
        write_text(self.path / NETWORKS, "".join(lines))


def _essence(asked: JsonObject) -> JsonObject:
    """What must be equal on resuming: all but how long, and how many networks."""
    settings = asked["settings"]
    with suppress(ValidationError):  # what an earlier version did not know has its default
        settings = Settings.model_validate(settings).model_dump(mode="json")
    kept = settings if isinstance(settings, dict) else {}
    return {name: kept[name] for name in kept if name not in ("time_s", "trials")} | {"seeds": asked.get("seeds")}


def _differences(before: JsonObject, now: JsonObject) -> str:
    """What differs, both values told; empty where nothing does."""
    first, second = _essence(before), _essence(now)
    differ = [name for name in first | second if first.get(name) != second.get(name)]
    return "; ".join(difference_text(name, first.get(name), second.get(name)) for name in differ)

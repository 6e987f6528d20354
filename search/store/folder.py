"""The folder of a run: settings, trials, front and winner on disk, and a lock that keeps a second search out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from archdsl.errors import NotFound, SearchError, WrongUse
from archdsl.files import try_lock, write_json, write_text
from archdsl.json_types import Json
from archdsl.search.config import Settings
from archdsl.search.store.lines import append_line, read_lines
from archdsl.search.store.run_schema import Object, validation_message
from archdsl.search.trial import Trial

if TYPE_CHECKING:
    from filelock import BaseFileLock

TRIALS, FRONT = "trials.jsonl", "front.json"
_OF_A_PARENT = ("parent.json", "parent.safetensors")
_OF_A_RUN = ("run.json", TRIALS, "study.db")

T = TypeVar("T")


class RunExists(WrongUse):
    """The folder holds a run, and it was not asked to go on."""


def no_run(path: Path, purpose: str, what: str = "run") -> str:
    """That a folder holds no run to resume or to reuse, or does not exist."""
    if not path.exists():
        return f"no such folder: {path}; give the folder of a {what} to {purpose}"
    return f"{path} holds no {what} to {purpose}"


class RunFolder:
    """One search on disk. `trials.jsonl` is append-only and flushed: a line a finished rung."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BaseFileLock | None = None
        self._made, self._is_forgotten = list[Path](), False
        """The folder and those above it that were made for the search; and whether that left nothing to keep."""

    @property
    def storage(self) -> str:
        """Where Optuna keeps the study."""
        return f"sqlite:///{(self.path / 'study.db').absolute()}"

    def begin(self, settings: Settings, resume: bool, earlier: Sequence[str] = ()) -> Settings:
        """Take the folder for this process: make it, or go on with the run in it; a new one knows `earlier` runs.

        Returns:
            The settings to go on with: the run's own, with the new limits on trials and time where any is given.

        Raises:
            RunExists: there is a run and `resume` is false.
            WrongUse: there is one, and its settings differ.
            NotFound: there is none to resume.
            SearchError: another process works in it, or the folder cannot be written.
        """
        try:
            self._check(resume)
            self._made = [each for each in (self.path, *self.path.parents) if not each.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                self._check(resume)  # once more: another search may have begun and ended in between
                if resume:
                    settings = self._merged(settings)
                elif earlier:
                    self.write("known.json", {"folders": list(earlier)})
                else:
                    self.remove("known.json")  # of a run that was killed before it was one
                self.write("run.json", settings.model_dump(mode="json"))
            except BaseException:
                self.release()
                raise
        except OSError as error:
            raise SearchError(f"{self.path} cannot be written: {error.strerror or error}") from None
        return settings

    def settings(self) -> Settings:
        """The settings of the run in the folder.

        Raises:
            NotFound: there is none.
            SearchError: it cannot be read.
        """
        try:
            return Settings.model_validate_json((self.path / "run.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(no_run(self.path, "resume")) from None
        except (OSError, ValueError) as error:
            raise SearchError(f"{self.path}/run.json cannot be read: {str(error).splitlines()[0]}") from None

    def _check(self, resume: bool) -> None:
        if resume and not (self.path / "run.json").exists():
            raise NotFound(no_run(self.path, "resume"))
        if not resume and any((self.path / name).exists() for name in _OF_A_RUN):
            raise RunExists(f"{self.path} already holds a run; continue it with --resume, or give another folder")

    def _merged(self, settings: Settings) -> Settings:
        before = self.settings()
        if differing := settings.differences(before):
            remedy = "leave this out to continue that search, or give another folder to begin a new one"
            raise WrongUse(f"{self.path} holds a search with other settings: {'; '.join(differing)}; {remedy}")
        limits = {name: getattr(settings, name) for name in ("trials", "time_s") if getattr(settings, name) is not None}
        return before.model_copy(update=limits)

    def _take_lock(self) -> None:
        self._lock = try_lock(self.path / ".lock")
        if self._lock is None:
            raise SearchError(f"another search is running in {self.path}")

    def release(self) -> None:
        """Let another process take the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._made and self._is_forgotten:
            shutil.rmtree(self.path, ignore_errors=True)
            for above in self._made[1:]:
                with suppress(OSError):  # another run is in it
                    above.rmdir()

    def forget(self) -> None:
        """Remove what a search wrote that ended before its first trial, so that it can be begun again."""
        if not (self.path / TRIALS).exists():
            for name in (
                "run.json",
                "clock.json",
                "noise.json",
                "known.json",
                "shared.json",
                "study.db",
                *_OF_A_PARENT,
                "library.json",
                "narrower.json",
                "final_readings.json",
            ):
                self.remove(name)
            shutil.rmtree(self.path / "weights", ignore_errors=True)
            self._is_forgotten = True

    def append(self, trial: Trial) -> None:
        """One line more in `trials.jsonl`, on disk when this returns."""
        append_line(self.path / TRIALS, trial.as_json())

    def records(self, repair: bool = True) -> list[Trial]:
        """Every line of `trials.jsonl`: the trials, and what finalists gave that were trained longer.

        With `repair` a last line that a kill cut off is removed from the file; without, nothing is changed.

        Raises:
            SearchError: a line cannot be read.
        """
        return read_lines(self.path / TRIALS, Trial.from_json, repair)

    def front(self) -> list[Trial]:
        """What `front.json` ranks; empty where there is none.

        Raises:
            SearchError: it cannot be read.
        """
        try:
            return [Trial.from_json(line) for line in self.read(FRONT, list[Object]) or ()]
        except ValidationError as error:
            raise SearchError(f"{self.path / FRONT} is damaged: {validation_message(error)}") from None

    def write_front(self, trials: Iterable[Trial]) -> None:
        """`front.json`, the best first."""
        self.write(FRONT, [trial.as_json() for trial in trials])

    def read(self, name: str, kind: type[T]) -> T | None:
        """What a JSON file holds, as a model or another type that pydantic reads; None if there is no file.

        Raises:
            SearchError: it cannot be read, or holds something else than a run wrote there.
        """
        try:
            content = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SearchError(f"{self.path / name} cannot be read: {error}") from None
        try:
            return TypeAdapter(kind).validate_python(content)
        except ValidationError as error:
            raise SearchError(f"{self.path / name} is damaged: {validation_message(error)}") from None

    def write(self, name: str, value: Json) -> None:
        """A JSON file, replaced as a whole."""
        write_json(self.path / name, value, indent=2)

    def write_text(self, name: str, text: str) -> None:
        """A text file, replaced as a whole."""
        write_text(self.path / name, text)

    def remove(self, name: str) -> None:
        """A file that does not hold any more."""
        (self.path / name).unlink(missing_ok=True)

"""The exported files of candidates, kept while a search runs, so that no network is exported twice in a row.

The network on which threads are chosen and the machine's noise is measured is a trial too, and a trial on a busy
machine is read twice. A latency depends on the structure alone, so that the weights are those of initialisation; what
is handed over is exported from the trained weights (`final_reading.py`).
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archdsl.search.network import AnyNetwork, hash_of
from archdsl.search.policy.evaluate import ExportedFilesPolicy

FOLDER = "exported"


class ExportedFiles:
    """Files by the network's hash, the last used ones; all are for the setting of one search."""

    def __init__(self, run: Path, policy: ExportedFilesPolicy) -> None:
        """`run` is the folder of the run; nothing is made in it before the first file is asked for."""
        self._folder, self._policy = (run / FOLDER).absolute(), policy
        self._order: dict[str, None] = {}
        self._in_use = Counter[str]()
        self._lock = threading.Lock()

    @contextmanager
    def using(self, network: AnyNetwork) -> Iterator[Path]:
        """Where the file of a network is, or is to be written; it is not removed inside.

        Raises:
            OSError: the folder cannot be made.
        """
        name = f"{hash_of(network)}.onnx"
        with self._lock:
            self._folder.mkdir(exist_ok=True)
            self._in_use[name] += 1
            self._order.pop(name, None)
            self._order[name] = None
        try:
            yield self._folder / name
        finally:
            with self._lock:
                self._in_use[name] -= 1
                self._trim()

    def remove(self) -> None:
        """Remove all files, and what an earlier part of the run left."""
        with self._lock:
            self._order.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _trim(self) -> None:
        """Remove the files that were used the longest ago, down to the policy's number and size."""
        sizes = {name: _size(self._folder / name) for name in self._order}
        for name in [*self._order]:
            is_within = len(sizes) <= self._policy.most and sum(sizes.values()) <= self._policy.most_bytes
            if is_within or self._in_use[name]:
                continue
            with suppress(OSError):  # it costs room on the disk and nothing else
                (self._folder / name).unlink(missing_ok=True)
            del self._order[name], sizes[name]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0

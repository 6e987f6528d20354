"""The files of a winner: its document, its weights, a script that measures it again, and how to use it.

A search that ends with FAIL leaves none of them, but `nearest.json`, the network that came nearest.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from archdsl.files import replacing
from archdsl.language.text.writing import dump
from archdsl.runtimes.by_name import runs_files
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.verdict import Verdict
from archdsl.search.store.winner_script import script
from archdsl.search.store.winner_usage import maps_of, measured_there, stated, training_further, usage

WEIGHTS, EXPORTED = "winner.safetensors", "winner.onnx"
WINNER_FILES = ("winner.json", WEIGHTS, EXPORTED, "run_winner.py", "README.txt")


def write_winner(folder: RunFolder, settings: Settings, policy: FinalReadingPolicy, verdict: Verdict) -> None:
    """Write the winner's files, or the nearest miss; what an earlier part of the run left there is replaced.

    Raises:
        OSError: a file cannot be written.
    """
    folder.remove("nearest.json")
    if not verdict.has_winner or verdict.spec is None or verdict.reading is None:
        for name in WINNER_FILES:
            folder.remove(name)
        if verdict.verdict is not None and verdict.spec is not None:
            folder.write_text("nearest.json", dump(verdict.spec))
        return
    is_exported = runs_files(settings.runtime)
    if not is_exported:
        folder.remove(EXPORTED)
    if verdict.weights is not None:
        _copy(Path(verdict.weights), folder.path / WEIGHTS)
        if is_exported:
            _copy(Path(verdict.weights).with_suffix(".onnx"), folder.path / EXPORTED)
    folder.write_text("winner.json", dump(verdict.spec))
    measured = EXPORTED if is_exported else WEIGHTS
    folder.write_text("run_winner.py", script(verdict.spec.name, measured, verdict.reading, settings, policy))
    maps = maps_of(verdict.spec) if settings.features_only else None
    figures = stated(verdict, settings)
    how = usage(verdict.spec.name, is_exported, maps, settings.dtype == "int8", settings.optimize, figures)
    more = "" if verdict.weights is None else training_further(settings.data, settings.time_s)
    folder.write_text("README.txt", how + more + measured_there(verdict.reading.conditions))


def _copy(source: Path, target: Path) -> None:
    """Byte for byte what was measured."""
    with replacing(target) as partial:
        shutil.copyfile(source, partial)

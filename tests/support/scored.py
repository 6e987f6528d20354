"""Networks beside those of a finished run, measured and trained by a fake worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archdsl.render.comparison import comparison
from archdsl.search import score
from archdsl.search.comparison.result import Scores
from tests.support.fake_worker import Machine
from tests.support.searching import RANDOM, quicken, search

NET: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "my_net",
    "image": 32,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 40},
        {"id": "stage", "type": "mlp", "depth": 3},
        {"id": "head", "type": "mean_head"},
    ],
}
LARGE = {**NET, "name": "large", "nodes": [{**NET["nodes"][0], "width": 160}, *NET["nodes"][1:]]}


def searched_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of the small space, as a fixture of a module."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, folder.parent / "cache")
        search(folder)
    return folder


def cache_of_the_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test finds what another kept, as a fixture."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))


def scored(run: Path, *networks: Any, machine: Machine | None = None, **options: Any) -> Scores:
    return score(networks, like=run, policy=RANDOM, new_worker=(machine or Machine()).worker, **options)


def shown(scores: Scores) -> str:
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(comparison(scores), soft_wrap=True)
    return capture.get()

"""Where things are that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository: on the path of a process of its own, `tests.support` can be imported there."""
GOLDEN = ROOT / "tests" / "golden"
SPECS = ROOT / "tests" / "specs"

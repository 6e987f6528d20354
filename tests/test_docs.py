"""What the documents say is what the recorded results say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_table_of_the_zoo_is_made_from_the_recorded_differences_and_the_specs_as_they_are() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks" / "zoo_table.py"))["table"]
    results = json.loads((ROOT / "benchmarks" / "results" / "exactness.json").read_text())
    assert made(results) == (ROOT / "docs" / "zoo.md").read_text(), "python benchmarks/zoo_table.py writes it anew"


def test_every_golden_network_is_in_the_recorded_differences_and_none_is_large() -> None:
    """Beyond what rounding of the arithmetic makes: a largest relative difference that a wrong formula would exceed."""
    results = json.loads((ROOT / "benchmarks" / "results" / "exactness.json").read_text())["goldens"]
    files = (ROOT / "tests" / "golden").glob("*.npz")
    assert set(results) == {file.stem for file in files if "zoo" in json.loads(file.with_suffix(".json").read_text())}
    for row in results.values():
        assert row.get("float64", 0.0) <= 1e-8
        assert row.get("float32", 0.0) <= 3e-5
        assert row.get("last_map", 0.0) <= 1e-4

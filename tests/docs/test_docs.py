"""What docs/ says is what the recorded results, the declarations and the language itself say."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from archdsl.load.spaces import parse_space
from archdsl.load.specs import parse_spec
from archdsl.reference.types_page import reference
from tests.support.shown import ROOT, blocks, enter, hold_commands, links

DOCS = sorted((ROOT / "docs").glob("*.md"))
LANGUAGE = ROOT / "docs" / "language.md"
READERS = {"arch": parse_spec, "space": parse_space}


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


def documents() -> dict[str, str]:
    """Every document of the language reference, by its name."""
    return {json.loads(text)["name"]: text for text in blocks(LANGUAGE, "json") if '"kind"' in text}


def fragments() -> list[tuple[str, str]]:
    """The lines without a kind on that page, each with the document that they are lines of."""
    found, whole = [], "tiny"
    for text in blocks(LANGUAGE, "json"):
        whole = "little" if '"kind": "space"' in text else whole
        found += [(whole, text)] if '"kind"' not in text else []
    return found


def changed(whole: Any, lines: str) -> Any:
    """A document with lines in the place of its own: fields of the whole, or nodes from the first to the last named."""
    if not lines.startswith("{"):
        return whole | json.loads(f"{{{lines}}}")
    nodes, new = whole["nodes"], json.loads(f"[{lines}]")
    replaced = [place for place, node in enumerate(nodes) if node["id"] in {node["id"] for node in new}]
    return whole | {"nodes": [*nodes[: replaced[0]], *new, *nodes[replaced[-1] + 1 :]]}


def read(text: str) -> Any:
    """What archdsl's own reader makes of a document."""
    return READERS[json.loads(text)["kind"]](text.encode(), LANGUAGE.name)


@pytest.mark.parametrize("name", documents())
def test_every_document_of_the_language_reference_holds(name: str) -> None:
    assert read(documents()[name]).name == name


@pytest.mark.parametrize(("whole", "lines"), fragments())
def test_every_line_of_the_language_reference_holds_in_its_document(whole: str, lines: str) -> None:
    before = json.loads(documents()[whole])
    assert read(json.dumps(changed(before, lines))) != read(json.dumps(before))


def test_every_command_of_the_language_reference_prints_what_stands_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    request: pytest.FixtureRequest,
) -> None:
    enter(tmp_path, documents(), monkeypatch)
    assert hold_commands(LANGUAGE, capfdbinary, request.config.getoption("--overwrite")) >= 1


def test_the_reference_of_types_is_what_the_declarations_say() -> None:
    committed = (ROOT / "docs" / "types.md").read_text()
    assert committed == reference(), "renew it by python -m archdsl.reference.types_page"
    assert "| None |" not in committed, "a field has no description"


@pytest.mark.parametrize("page", [*DOCS, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, heading in links(page):
        assert file.exists(), file
        assert not heading or heading in headings(file), f"{file.name}#{heading}"


def headings(page: Path) -> set[str]:
    """What links call the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}

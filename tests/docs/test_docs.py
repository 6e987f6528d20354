"""What docs/ says is what the commands, the declarations and the recorded results say."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.reference.types_page import reference
from archdsl.search.trial import RUNGS
from tests.support.shown import PAGES, ROOT, Block, Session, blocks, commands, links

DOCS = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
LANGUAGES = {"console", "json", "python", "toml", "text"}
SLOW = (
    "compare-a-network.md",
    "continue-and-report.md",
    "search-from-python.md",
    "export.md",
    "export-to-python.md",
    "budgets-and-conditions.md",
    "examine-a-space.md",
    "several-machines.md",
    "train-a-network.md",
    "look-at-a-network.md",
)
"""Pages whose commands are also given by tests of their own, of smaller networks or spaces."""
RESULTS = ROOT / "benchmarks" / "results"


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=named(page), marks=pytest.mark.slow if page.name in SLOW else ()) for page in DOCS]
)
def test_everything_on_a_page_runs_and_prints_what_stands_there(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    request: pytest.FixtureRequest,
) -> None:
    renewed = Session(tmp_path, monkeypatch, capfdbinary).renewed(page)
    if request.config.getoption("--overwrite"):
        page.write_text(renewed)
    assert renewed == page.read_text(), f"if this is meant, run pytest with --overwrite ({named(page)})"


@pytest.mark.parametrize(
    ("page", "block"),
    [pytest.param(page, block, id=f"{named(page)}:{block.line}") for page in PAGES for block in blocks(page)
     if block.reason],
)  # fmt: skip
def test_what_is_not_run_says_why(page: Path, block: Block) -> None:
    """Its commands and options are looked up where the page is run."""
    assert re.match("it needs|it installs", block.reason or ""), "say what it needs"
    pytest.skip(f"{named(page)}:{block.line}: {block.reason}")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_command_hides_from_these_tests(page: Path) -> None:
    """Every block is of a kind that is run, and what is only text holds no command."""
    text = page.read_text()
    fences = re.findall(r"^[ \t]*(?:`{3,}|~{3,})", text, re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page)), "a block that is indented or not closed is not seen"
    for block in blocks(page):
        assert block.language in LANGUAGES or block.language.startswith("{"), f"{page.name}:{block.line}"
        if block.language == "text":
            assert not re.search(r"^(?:\$ |archdsl |python )", block.text, re.MULTILINE), f"{page.name}:{block.line}"
        if block.language == "console":
            assert commands(block.text), f"{page.name}:{block.line}"
    assert len(re.findall("^<!-- test: ", text, re.MULTILINE)) == sum(bool(block.mark) for block in blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_option_that_a_sentence_names_exists(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    found = {word for span in spans for word in span.split() if re.fullmatch("--[a-z][a-z-]+", word)}
    assert found <= {*options(), "--run", "--extra-index-url", "--overwrite"}
    for span in (span for span in spans if span.startswith("archdsl ")):
        name = shlex.split(span)[1]
        assert f"archdsl {name}" in command_names() or name in ("COMMAND", "--help"), span


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_of_the_repository_that_a_sentence_names_exists(page: Path) -> None:
    folders = "archdsl|benchmarks|docs|search|specs|tests"
    for path in re.findall(rf"`((?:{folders})(?:/[\w.-]+)*)`", page.read_text()):
        assert path == "archdsl" or (ROOT / path).exists(), path


@cache
def _command_line() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "_extensions" / "command_line.py"))


@cache
def command_names() -> set[str]:
    return {name for name, _, _ in _command_line()["commands"]()}


@cache
def options() -> set[str]:
    """Every option of every command."""
    parameters = (each for _, command, context in _command_line()["commands"]() for each in command.get_params(context))
    return {name for parameter in parameters for name in parameter.opts}


def test_the_reference_of_the_command_line_has_every_command_and_every_option_that_is_not_hidden() -> None:
    for name, command, context in _command_line()["commands"]():
        text = _command_line()["entry"](name, command, context)
        assert text.startswith(f"## {name}\n")
        shown = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
        assert len(re.findall("^: .", text, re.MULTILINE)) == len(shown) >= 1
        for parameter in shown:
            assert any(f"{option}" in text for option in parameter.opts) or parameter.param_type_name == "argument"


def test_the_page_of_the_python_interface_has_every_public_name() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text()
    documented = set(re.findall(r"^\.\. auto\w+:: (?:archdsl\.)?([\w.]+)", text, re.MULTILINE))
    assert documented >= {*archdsl.__all__, "search.run", "search.Result"}


def test_every_page_is_reached_from_the_first() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^[\w/-]+$", index, re.MULTILINE))
    assert {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in DOCS} == listed | {"index"}


def test_the_table_of_the_zoo_is_made_from_the_recorded_differences_and_the_specs_as_they_are() -> None:
    made = runpy.run_path(str(ROOT / "benchmarks" / "zoo_table.py"))
    results = json.loads((RESULTS / "exactness.json").read_text())
    assert made["table"](results) == made["DOCS"].read_text(), "python benchmarks/zoo_table.py writes it anew"


@pytest.mark.parametrize("name", ["fcvit_tiny", "lit_ti"])
def test_the_recorded_differences_are_those_of_the_code_as_it_is(name: str) -> None:
    """Of two networks, measured anew: rounding differs between machines, by less than ten times."""
    recorded = json.loads((RESULTS / "exactness.json").read_text())["goldens"][name]
    measured = runpy.run_path(str(ROOT / "benchmarks" / "zoo_table.py"))["of_golden"](name)
    assert measured.keys() == recorded.keys()
    for kind in ("float64", "float32"):
        assert recorded[kind] / 10 <= measured[kind] <= 10 * recorded[kind]


def test_every_golden_network_has_a_recorded_difference() -> None:
    recorded = json.loads((RESULTS / "exactness.json").read_text())["goldens"]
    facts = (file.with_suffix(".json") for file in (ROOT / "tests" / "golden").glob("*.npz"))
    assert set(recorded) == {file.stem for file in facts if "zoo" in json.loads(file.read_text())}


def test_the_reference_of_types_is_what_the_declarations_say() -> None:
    committed = (ROOT / "docs" / "reference" / "types.md").read_text()
    assert committed == reference(), "renew it by python -m archdsl.reference.types_page"
    assert "| None |" not in committed, "a field has no description"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, heading in links(page):
        assert file.exists(), file
        assert not heading or heading in headings(file), f"{file.name}#{heading}"


def headings(page: Path) -> set[str]:
    """What links call the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_the_glossary_has_every_rung_that_a_report_names() -> None:
    """In the order in which a candidate meets them."""
    page = (ROOT / "docs" / "explanation" / "glossary.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (.+) \|$", page.partition("## Rungs")[2], re.MULTILINE)
    assert [name for name, _ in listed] == list(RUNGS)
    assert all(meaning.startswith("it") for _, meaning in listed)

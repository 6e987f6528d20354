"""Private words and sentences that were replaced by the terms of the field do not come back.

Looked at are the texts and the names of the code, the README and the docs. Left out are paths of earlier versions that
people use (`archdsl.latency.lease.lease`), what has another meaning there (a function's own word), and tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.places import ROOT

SENTENCES = (
    # README
    "what the networks trained so far tell of one",
    "used only while their ranking holds",
    "broken off where its running loss",
    "the gate is the budget less",
    "What misses it by little is read again",
    "its median is where Optuna's TPE ends",
    "reach there at all their scales",
    "networks tried by hand",
    "tell of one that is so",
    "tries the one that is expected to push the front out",
    "the chance counted that it passes the gate",
    "for a better one that truly runs",
    # help of the commands
    "for everything, as 10m",
    "a run whose trials can be reused",
    "a batch, as 5ms; the winner keeps it",
    "of the host, a worker; default",
    "to end by with what there is; none",
    "a check whose networks tell of these too",
    "of the search whose time is told",
    "A table is of a space and a setting",
    "as 30M",
    "images a batch",
    "milliseconds a batch",
    "of the short training;",
    "who proposes what to try",
    # messages
    "over the gate of",
    "choices looked at",
    "every network that could be drawn was tried",
    "or is surely too slow",
    "the time was over before the first trial",
    "go on with --resume",
    "or name another folder",
    "name --data",
    "name it by --",
    "name one by its number",
    ": is no file",
    ": is no checkpoint",
    "is no safetensors file",
    "the least found is",
    "the most found is",
    "no network that was found",
    "trials are known here",
    "were trained otherwise",
    "tell nothing of these",
    "below {} nothing is said of ranks",
    "was ever wrong",
    "the same network as one before",
    "ending with what there is",
    "once more stops at once",
    "choosing what to try next",
    "none that was drawn holds",
    "cannot be told; {}",
    "has none to train with",
    "a class that training has not",
    "are sets by their names, but",
    "and are not named so",
    "arrays not read",
    "wanted are images",
    "the two halves of all rounds lie",
    "parts more; ",
    "name a folder by ARCHDSL_CACHE",
    "compare rows within a column, no column with another",
    "which nothing was chosen by",
    "always naming the largest class would",
    "if the share above is trained",
    "at least one network that was examined meets all budgets",
    "the seed is not a point of the space",
    "FAIL: no network was inside the budget.",
    "networks were measured in {}; the others are predicted by",
    # docs
    "by less than three times the number after ±",
    "no other network is both more accurate and faster",
    # docs/language.md
    "null means none; it must be written where",
    "are compared, as what they build in a classifier",
)
NAMES = (
    *("Seat", "Room", "Crew", "Means", "Heart", "Beats", "Alone", "Waiting", "declare", "hand_over"),
    *("Trying", "given_up", "take_over", "Learned", "Promise", "Twin", "aloud", "patience_s", "piped", "strangers"),
)
MODULES = ("fitted", "halving", "holes", "knobs", "lift", "phrases", "shapes")


def sources() -> list[Path]:
    """Modules of the package and of the benchmarks; the package's links lead to folders that are named themselves."""
    linked = (ROOT / "archdsl" / "search", ROOT / "archdsl" / "specs")
    found = [path for folder in ("archdsl", "search", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if not any(path.is_relative_to(link) for link in linked)]


def pages() -> list[Path]:
    return [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def texts(path: Path) -> Iterator[str]:
    """Texts on one line each: strings, docstrings, and f-strings with `{}` for what is filled in."""
    if path.suffix != ".py":
        yield " ".join(path.read_text(encoding="utf-8").split())
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield " ".join("".join(parts).split())
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def names(path: Path) -> Iterator[str]:
    """Names that a module defines, takes or uses."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.alias):
            yield from (node.asname or node.name).split(".")


@cache
def written() -> dict[str, str]:
    """All texts of a file, by its path."""
    return {str(path.relative_to(ROOT)): "\n".join(texts(path)) for path in [*sources(), *pages()]}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_that_was_replaced_is_nowhere(sentence: str) -> None:
    assert [path for path, text in written().items() if sentence in text] == []


def test_a_private_name_that_was_replaced_is_nowhere() -> None:
    found = {str(path.relative_to(ROOT)): set(names(path)) & set(NAMES) for path in sources()}
    assert {path: bad for path, bad in found.items() if bad} == {}


def test_a_module_that_was_renamed_is_nowhere() -> None:
    assert [path for path in sources() if path.stem in MODULES] == []


def test_texts_and_names_are_seen_where_they_stand(tmp_path: Path) -> None:
    """The eyes of this file: a text over two literals, a docstring over two lines, and names of every kind."""
    file = tmp_path / "seen.py"
    file.write_text(
        'def Seat(piped, *, told=1):\n    """Images a\n    batch."""\n    return f"as {piped} " "30M", x.lift\n'
    )
    assert {"Images a batch.", "as {} 30M"} <= set(texts(file))
    assert {"Seat", "piped", "told", "x", "lift"} <= set(names(file))

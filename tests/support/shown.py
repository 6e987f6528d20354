"""What a page of the documentation shows: its documents, its commands with their output, its code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from archdsl.cli import main
from tests.support.places import ROOT as ROOT

_CONSOLE = re.compile(r"```console\n\$ archdsl (?P<command>.*)\n(?P<output>(?:.*\n)*?)```\n")


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language on a page, first to last."""
    return re.findall(rf"^```{language}\n((?:.*\n)*?)```$", page.read_text(), re.MULTILINE)


def enter(folder: Path, documents: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder the current one, as a reader has it: the clone's files, and a page's documents by name."""
    for name in ("specs", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name, text in documents.items():
        (folder / f"{name}.json").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")


def hold_commands(page: Path, capture: pytest.CaptureFixture[bytes], overwrite: bool) -> int:
    """Run every command on a page and hold its output to what stands there, or write it anew; gives how many ran."""
    text = page.read_text()

    def run(found: re.Match[str]) -> str:
        main(shlex.split(found["command"]))
        return f"```console\n$ archdsl {found['command']}\n{capture.readouterr().out.decode()}```\n"

    renewed, count = _CONSOLE.subn(run, text)
    if overwrite:
        page.write_text(renewed)
    assert renewed == page.read_text(), f"if this is meant, run pytest with --overwrite ({page.name})"
    return count


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The local links on a page: a file, and the heading in it or nothing."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", page.read_text()):
        name, _, heading = target.partition("#")
        yield (page.parent / name if name else page), heading

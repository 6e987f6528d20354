"""Pages of the documentation as sessions: the blocks of a page run in order, as by a reader, in a folder of their own.

A comment right before a block says what is other than usual:

    <!-- test: run with --time 20s --trials 2 -->    the options are appended; what is printed may differ
    <!-- test: run with time_s=20; trials=2 -->      of Python: other values for these names
    <!-- test: output varies -->                     run as it stands; what is printed may differ
    <!-- test: exit code 1 -->                       run as it stands, and fails as it should
    <!-- test: not run: it needs a GPU -->           its options are looked up, nothing else
    <!-- test: needs timm -->                        of Python: run where the package is installed
    <!-- test: file acme/blocks.py -->               the block is written to that file
    <!-- test: installed acme = acme.blocks -->      ... and offered as an entry point, as pip would offer it
    <!-- test: lines of tiny -->                     nodes or fields of the document of that name
    <!-- test: printed -->                           what the Python block before prints

The folder holds `few.npz`, images in which brightness tells the class, for `--data`. A search measures for a moment
only, and its winner in one fresh process; that three are pooled is held by tests/search/test_search_real.py.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import archdsl
from archdsl.cli import main
from archdsl.search import api
from archdsl.search.comparison import api as comparison_api
from archdsl.search.doctor import doctor
from archdsl.search.loop.session import run_search
from archdsl.search.policy import Policy
from archdsl.search.policy.doctor import ExaminationPolicy
from archdsl.search.policy.evaluate import FinalistPolicy, FinalReadingPolicy, GatePolicy, MeasuringPolicy
from archdsl.search.policy.pace import Pace
from tests.support.bright_images import write_bright_images
from tests.support.in_process import InProcessWorker
from tests.support.places import ROOT as ROOT
from tests.support.timm_here import is_installed

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<mark>.*) -->\n)?```(?P<language>[^\n`]*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE
)
_COMMAND = re.compile(r"^\$ (?P<command>.*\n)(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_READERS = {"arch": archdsl.load_spec, "space": archdsl.load_space}


class Block(NamedTuple):
    """A code block of a page, with the mark before it and the line on which its text begins."""

    mark: str
    language: str
    text: str
    line: int

    @property
    def reason(self) -> str | None:
        """Why the block is not run; None where it is."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else None

    def marked(self, what: str) -> str | None:
        """What the mark says after this word; None for another mark."""
        return self.mark.removeprefix(what).strip() if self.mark.startswith(what) else None


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, first to last."""
    text = page.read_text()
    return [_block(text, found) for found in _BLOCK.finditer(text)]


def _block(page: str, found: re.Match[str]) -> Block:
    return Block(found["mark"] or "", found["language"], found["text"], page.count("\n", 0, found.start("text")) + 1)


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is printed below it."""
    return [(found["command"].strip(), found["output"]) for found in _COMMAND.finditer(text)]


class Session:
    """What a reader of one page has done so far: a folder, variables of Python, and documents."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._folder, self._capture = folder, capture
        self._variables: dict[str, Any] = {"__name__": "__main__"}
        self._documents: dict[str, dict[str, Any]] = {}
        self._printed: str | None = ""
        self._has_package = False
        programs = folder / "programs"
        for name, arguments in (("archdsl", "-m archdsl"), ("python", "")):
            _write(programs / name, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n').chmod(0o755)
        write_bright_images(folder / "few.npz", classes=2, count=80, size=32)
        monkeypatch.setattr(api, "run_search", partial(run_search, policy=QUICK, new_worker=InProcessWorker))
        quick_score = partial(comparison_api.score, policy=QUICK, new_worker=InProcessWorker)
        monkeypatch.setattr(comparison_api, "score", quick_score)
        monkeypatch.setattr(doctor, "examine", partial(doctor.examine, policy=QUICK, new_worker=InProcessWorker))
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("ARCHDSL_CACHE", str(folder / "cache"))
        monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, sys.path)]))

    def renewed(self, page: Path) -> str:
        """The page, as its commands print today; what may differ stays as it is."""
        text = page.read_text()

        def run(found: re.Match[str]) -> str:
            block = _block(text, found)
            start, end = (place - found.start() for place in found.span("text"))
            return found[0][:start] + self._run(page, block) + found[0][end:]

        return _BLOCK.sub(run, text)

    def _run(self, page: Path, block: Block) -> str:
        """Do what a block asks for; its text as it should stand there."""
        if (file := block.marked("file")) is not None:
            _write(self._folder / file, block.text)
        elif block.language == "console":
            return "".join(self._command(block, *each) for each in commands(block.text))
        elif block.language == "python":
            self._python(page, block)
        elif block.language == "json":
            self._document(block)
        elif block.language == "toml":
            assert tomllib.loads(block.text)
            if (offered := block.marked("installed")) is not None:
                self._install(*offered.split(" = "))
        elif block.marked("printed") is not None and self._printed is not None:
            return self._printed
        return block.text

    def _python(self, page: Path, block: Block) -> None:
        """Run Python; with other values than are printed, where a mark says so."""
        text = block.text
        for assignment in filter(None, (block.marked("run with") or "").split("; ")):
            name, value = assignment.split("=")
            text, count = re.subn(rf"\b{name}( ?= ?)[^,)\n]+", rf"{name}\g<1>{value}", text)
            assert count == 1, f"{name} is not set once in {block.text}"
        code = compile("\n" * (block.line - 1) + text, str(page), "exec")
        needed = block.marked("needs")
        if needed is not None and not is_installed(needed):
            self._printed = None  # what it prints is not known here
        elif block.reason is None:
            self._capture.readouterr()
            exec(code, self._variables)
            self._printed = self._capture.readouterr().out.decode()

    def _command(self, block: Block, command: str, output: str) -> str:
        """Run a command line; what should stand in the page for it."""
        if block.reason is not None:
            if command.startswith("archdsl "):
                assert self._archdsl(f"{command} --help")[0] == 0, f"no such command or option: {command}"
            return f"$ {command}\n{output}"
        options = block.marked("run with")
        code, printed = self._archdsl(f"{command} {options or ''}") if _is_plain(command) else self._shell(command)
        if options is None and block.mark != "output varies":
            assert code == int(block.marked("exit code") or 0), command
            return f"$ {command}\n{printed}"
        assert code in (0, 1), command  # 1 for a result that is no PASS, as on a busy machine
        begins, should = printed.split()[0], (output or printed).split()[0]
        is_open = (begins, should, code) == ("UNSURE", "PASS", 1)
        assert begins == should or is_open, f"{command} prints something else:\n{printed}"
        return f"$ {command}\n{output}"

    def _archdsl(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command of ours: in this process, unless a package was installed since."""
        if self._has_package:
            return self._shell(command)
        self._capture.readouterr()
        code = main(shlex.split(command)[1:])
        return code, self._capture.readouterr().out.decode()

    def _shell(self, command: str) -> tuple[int, str]:
        done = subprocess.run(["bash", "-euc", command], cwd=self._folder, stdout=subprocess.PIPE, text=True)
        return done.returncode, done.stdout

    def _document(self, block: Block) -> None:
        """Write a document to NAME.json; hold lines of one against the whole."""
        if '"kind"' in block.text:
            document = json.loads(block.text)
            name = str(document["name"])
            self._documents[name] = document
            file = _write(self._folder / f"{name}.json", block.text)
            assert _READERS[document["kind"]](file).name == name
            return
        whole = self._documents[block.marked("lines of") or [*self._documents][-1]]
        read = _READERS[whole["kind"]]
        assert read(changed(whole, block.text)) != read(whole), "the lines change nothing"

    def _install(self, name: str, module: str) -> None:
        """Offer the block types of a module that stands in the folder, as pip would."""
        info = self._folder / f"{name}-0.1.dist-info"
        _write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        _write(info / "entry_points.txt", f"[archdsl.blocks]\n{name} = {module}\n")
        self._has_package = True


QUICK = Policy(
    gate=GatePolicy(readings=1),
    measuring=MeasuringPolicy(Pace(rounds=40, warmup_s=0.05, settle_s=0.1, time_limit_s=1.0), readings=1),
    finalists=FinalistPolicy(seeds=1),
    examination=ExaminationPolicy(paced=1),
    final_reading=FinalReadingPolicy(processes=1, rounds=400, least_s=0.1, doublings=0, long_call_ms=math.inf),
)
"""What the searches of pages go by: as many rounds as a verdict needs, in one process, and one seed for a finalist."""


def changed(whole: dict[str, Any], lines: str) -> dict[str, Any]:
    """A document with lines in the place of its own: fields of the whole, or nodes from the first to the last named."""
    if not lines.startswith("{"):
        return {**whole, **json.loads(f"{{{lines}}}")}
    nodes, new = whole["nodes"], json.loads(f"[{lines}]")
    replaced = [place for place, node in enumerate(nodes) if node["id"] in {node["id"] for node in new}]
    return whole | {"nodes": [*nodes[: replaced[0]], *new, *nodes[replaced[-1] + 1 :]]}


def _is_plain(command: str) -> bool:
    """Whether a command line is one command of ours, without a shell's redirections."""
    return command.startswith("archdsl ") and not {"|", ">", "&&"} & {*shlex.split(command)}


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The local links on a page: a file, and the heading in it or nothing."""
    text = _BLOCK.sub("", page.read_text())
    for target in re.findall(r"\]\((?!https?:)([^)\s]*)\)", text):
        name, _, heading = target.partition("#")
        yield (page.parent / name if name else page), heading

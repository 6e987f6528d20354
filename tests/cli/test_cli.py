"""The command line: what it prints where, how it ends, and what it does not import."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_spec
from archdsl.cli import output
from archdsl.cli.app import app
from archdsl.cli.documents import Document
from tests.support.commands import Run, command_line, tiny_document

COMMANDS = [str(command.name) for command in app.registered_commands]

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A run of the command line in a process of its own."""
    command = [sys.executable, "-m", "archdsl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def unimported(script: str, *modules: str) -> None:
    """Run a script in a fresh process, in which these modules stay out."""
    script = f"import sys\nfrom archdsl.cli import main\n{script}\nfound = {set(modules)} & set(sys.modules)\n"
    script += "assert not found, found"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_of_every_command_imports_nothing_heavy() -> None:
    script = "assert main(['--help']) == 0\n"
    script += "".join(f"assert main([{name!r}, '--help']) == 0\n" for name in COMMANDS)
    unimported(
        script, "torch", "numpy", "networkx", "optuna", "rich", "archdsl.load.specs", "archdsl.language.document"
    )


def test_what_needs_no_weights_imports_no_torch() -> None:
    lines = ["check litv2_s lit-dat-64", "show litv2_s", "show lit_s --format dot", "cost litv2_s", "zoo", "new lit_s"]
    lines += ["new lit_s --set image=256", "schema space", "show litv2_s --json", "zoo --json"]
    unimported("".join(f"assert main({line.split()}) == 0\n" for line in lines), "torch", "optuna")


def test_every_command_tells_how_to_use_it(run: Run) -> None:
    assert all(name in run("--help").out for name in COMMANDS)
    for name in COMMANDS:
        ended = run(name, "-h")
        assert ended.code == 0
        assert "Examples:\n    archdsl " in ended.out


def test_the_version_is_told(run: Run) -> None:
    ended = run("--version")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("archdsl 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw"], "No such command 'shw'. Did you mean 'show'?"),
        (["show"], "Missing argument 'SPEC|SPACE'"),
        (["show", "litv2_s", "--colour"], "No such option: --colour"),
        (["show", "litv2_s", "--format", "mermaids"], "unknown format 'mermaids'; did you mean 'mermaid'?"),
        (["schema", "spaces"], "unknown kind of document 'spaces'; did you mean 'space'?"),
        (["bench"], "'SPEC': give at least one backbone, or --layers"),
        (["bench", "lit_s", "--layers"], "'--layers': it takes no SPEC and no --set; got lit_s"),
        (["bench", "--layers", "--set", "image=64"], "'--layers': it takes no SPEC and no --set; got --set"),
        (["bench", "litv2_s", "--dtype", "float23"], "unknown dtype 'float23'; did you mean 'float32'?"),
        (["bench", "litv2_s", "--mode", "fast"], "unknown mode 'fast'; known: compile, eager, graph"),
        (["bench", "litv2_s", "--device", "cude"], "unknown device 'cude'; did you mean 'cuda'?"),
        (["bench", "litv2_s", "--batch", "0"], "'0' is not a whole number from 1 to 65536"),
        (["bench", "litv2_s", "--rounds", "many"], "'many' is not a whole number from 1 to 100000"),
        (["train", "lit_ti", "-o", "a.safetensors", "--epochs", "abc"], "'abc' is not a number from 0.001 to 100000"),
        (["search", "--epochs", "nan"], "'nan' is not a number from 0.01 to 1000"),
        (["search", "--seed", "-1"], "'-1' is not a whole number from 0 to 2147483647"),
        (["bench", "litv2_s", "--time-limit", "90"], "'90' has no unit; write e.g. 90s, 6m, 1h30m"),
        (["bench", "litv2_s", "-o", "/nowhere/a.json"], "/nowhere/a.json cannot be written: No such file or directory"),
        (
            ["new", "litv2_s", "--name", "No Name"],
            "'No Name' is not a valid name; use lower-case letters, digits, _, - and .",
        ),
        (["new", "lit-dat-64", "--set", "image=32"], "only a backbone has fields to set; this is a search space"),
        (["show", "litv2"], 'no such zoo name: "litv2"; did you mean'),
        (["show", "litv2.json"], "no such file: litv2.json"),
        (["check", "nowhere/litv2_s"], "no such file: nowhere/litv2_s"),
        (["check", "two\nlines.json"], "no such file: two lines.json\n"),
        (["show", "two\nlines.json"], "no such file: two lines.json\n"),
    ],
)
def test_a_wrong_command_line_ends_with_2(run: Run, arguments: list[str], message: str) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "stage.dept=2"],
            "--set: stage (mlp) has no field 'dept'; got \"stage.dept=2\"; did you mean 'depth'?",
        ),
        (["--set", "stag.depth=2"], '--set: no node is called "stag"; got "stag.depth=2"; did you mean \'stage\'?'),
        (["--set", "stage.depth=0"], "nodes[1].depth: depth must be at least 1; got 0; use 1 to 64"),
    ],
)
def test_a_set_that_does_not_hold_ends_with_1(run: Run, tiny: Path, arguments: list[str], message: str) -> None:
    for command in ("show", "cost", "new", "bench"):
        assert run(command, tiny, *arguments) == (1, "", f"{message}\n")


def test_a_spec_is_asked_for_and_a_space_given(run: Run) -> None:
    ended = run("cost", "lit-dat-64")
    assert (ended.code, ended.out) == (1, "")
    draw = "archdsl new lit-dat-64 --sample 1 -o FOLDER"
    assert ended.err == f"a backbone is needed here, but lit-dat-64 is a search space; draw one from it: {draw}\n"


def test_a_space_is_asked_for_and_a_spec_given(run: Run, tiny: Path) -> None:
    for command in (["search"], ["doctor", "--no-measure"]):
        ended = run(command[0], tiny, *command[1:])
        assert (ended.code, ended.out) == (1, "")
        make = f"archdsl new {tiny} --space > space.json"
        assert ended.err == f"a search space is needed here, but {tiny} is a backbone; make one around it: {make}\n"
    told = run("search", "litv2_s").err
    assert told.endswith(
        "archdsl new litv2_s --space > space.json, or name one that ships: lit-dat-224 or lit-dat-64\n"
    )


def test_what_a_command_proposes_instead_of_a_document_of_the_other_kind_can_be_done(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    made = run("new", tiny, "--space")
    (tmp_path / "space.json").write_text(made.out, encoding="utf-8")
    for command in (["train", "-o", tmp_path / "net.safetensors"], ["bench"]):
        told = run(command[0], tmp_path / "space.json", *command[1:]).err
        assert f"archdsl new {tmp_path / 'space.json'} --sample 1 -o FOLDER" in told
        assert "Python" not in told
    drawn = run("new", tmp_path / "space.json", "--sample", "1", "-o", tmp_path / "drawn")
    assert (made.code, drawn.code) == (0, 0)
    assert run("cost", drawn.out.strip()).code == 0


def test_an_interruption_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.cli.show.open_document", interrupted)
    assert run("show", "litv2_s") == (130, "", "")


def test_a_fault_of_ours_is_one_line_and_shows_where_only_when_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("a\nb [red]")

    monkeypatch.setattr("archdsl.cli.show.open_document", faulty)
    said = "this is a bug in archdsl: KeyError: 'a\\nb [red]'"
    assert run("show", "litv2_s") == (1, "", f"{said}; archdsl -v prints where it happened\n")
    for arguments in (["-v", "show", "litv2_s"], ["show", "litv2_s", "--verbose"]):
        ended = run(*arguments)
        assert ended.code == 1
        assert ended.err.startswith("Traceback (most recent call last)")
        assert ended.err.endswith(f"{said}\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "out of memory; use a smaller image, batch or width"),
        (PermissionError(13, "Permission denied", "x.json"), "x.json: Permission denied"),
        (OSError(28, "No space left on device"), "input or output: No space left on device"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr("archdsl.cli.show.open_document", refused)
    assert run("show", "litv2_s") == (1, "", f"{message}\n")


def test_a_warning_is_one_line_on_stderr_unless_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(*_: object) -> Document:
        warnings.warn("block types of 'acme' are left out:\n  broken", stacklevel=1)
        return Document("", load_spec("litv2_s"))

    monkeypatch.setattr("archdsl.cli.show.open_document", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run("show", "litv2_s").err == "warning: block types of 'acme' are left out: broken\n"
        assert run("show", "litv2_s", "-q").err == ""


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for arguments in (["show", "litv2_s"], ["schema", "space"], ["check", "litv2_s"], ["zoo", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "archdsl", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False
        )
        assert (done.returncode, done.stderr) == (1, b"")
    os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_on_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "archdsl", "show", "litv2_s"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "No space left on device" in done.stderr


def test_a_terminal_without_the_characters_shows_others() -> None:
    done = process("show", "litv2_s", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.startswith("litv2_s: 3x224x224 -> 1000 classes, 27.84 M params")


def test_quiet_lasts_for_one_run(run: Run) -> None:
    run("-q", "zoo")
    assert output.talk().quiet
    run("zoo")
    assert not output.talk().quiet


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_a_shell_is_shown_and_names_commands(
    run: Run, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "")  # put back afterwards
    ended = run("--show-completion", shell)
    assert ended.code == 0
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert run("--show-completion").out == ended.out
    assert "_ARCHDSL_COMPLETE" in ended.out
    assert "--install-completion" in run("--help").out
    monkeypatch.setenv("_ARCHDSL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "archdsl sh")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert run().out.split() == ["show"]

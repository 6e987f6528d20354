"""Streams: a pipe, a terminal, any encoding and locale, and messages that are never wrapped."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest

from archdsl.load.specs import load_spec
from archdsl.render.console import message, print_lines, stderr, stdout
from tests.support.drawn import DRAWN, drawings, plain_environment, printer


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_environment(monkeypatch)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    return printer(monkeypatch)


def test_a_pipe_gets_no_escape_codes_and_a_terminal_gets_colour(
    printed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for drawing in drawings(load_spec(DRAWN[2])):
        assert "\x1b" not in printed(drawing)
        assert "\x1b[" in printed(drawing, stream=Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    for drawing in drawings(load_spec(DRAWN[2])):
        assert "\x1b" not in printed(drawing, stream=Terminal())


def test_a_pipe_is_80_wide_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert stdout().width == stderr().width == 80
    monkeypatch.setenv("COLUMNS", "100")
    assert (stdout().width, stdout(60).width) == (100, 60)
    for nonsense in ("", "0", "-3", "wide"):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert stdout().width == 80


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_stream_gets_only_what_it_can_encode(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    for drawing in drawings(load_spec(DRAWN[2])):
        stdout(80).print(drawing)
    print_lines(["a \N{SNOWMAN}, a lone \udcff and a [bold] :smile:"])
    text = stream.buffer.getvalue().decode(encoding)
    assert "a \\u2603, a lone \\udcff and a [bold] :smile:\n" in text
    if encoding == "ascii":
        assert "\n|-'-'\n*     sum " in text


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_drawing_can_be_piped_in_any_locale(setting: dict[str, str]) -> None:
    """In a process of its own, as the streams are made at start. Nor does a drawing wait for torch."""
    code = """
import sys
from archdsl import count, load_spec
from archdsl.render.console import stdout
from archdsl.render.tree import show
spec = load_spec("litv2_s")
stdout().print(show(spec, count(spec)))
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], env=setting, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"stage4" in done.stdout
    assert b"\x1b" not in done.stdout


def test_a_message_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    text = "/a/[path]/with:smile:/" + "long parts/" * 30
    message(text)
    print_lines([text, "second"])
    assert capsys.readouterr() == (f"{text}\nsecond\n", f"{text}\n")


def test_a_message_shows_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    message("red\x1b[31m, bell\x07")
    assert capsys.readouterr().err == "red\\x1b[31m, bell\\x07\n"

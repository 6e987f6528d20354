"""What the README shows is what the commands print. `--overwrite` renews it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archdsl.cli import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
_CONSOLE = re.compile(r"```console\n\$ archdsl (?P<command>.*)\n(?P<output>(?:.*\n)*?)```\n")
_PYTHON = re.compile(r"```python\n(?P<code>(?:.*\n)*?)```\n")
_JSON = re.compile(r"```json\n(?P<document>(?:.*\n)*?)```\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader has it: the clone's files, and the README's document as my_net.json."""
    for name in ("specs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    found = _JSON.search(README.read_text())
    assert found is not None
    (tmp_path / "my_net.json").write_text(found["document"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def test_every_command_in_the_readme_prints_what_stands_there(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], request: pytest.FixtureRequest
) -> None:
    text = README.read_text()

    def run(found: re.Match[str]) -> str:
        main(shlex.split(found["command"]))
        return f"```console\n$ archdsl {found['command']}\n{capfdbinary.readouterr().out.decode()}```\n"

    assert len(_CONSOLE.findall(text)) >= 5
    renewed = _CONSOLE.sub(run, text)
    if request.config.getoption("--overwrite"):
        README.write_text(renewed)
    assert renewed == README.read_text()


def test_the_python_in_the_readme_runs(folder: Path) -> None:
    blocks = _PYTHON.findall(README.read_text())
    assert blocks
    for code in blocks:
        exec(compile(code, "README.md", "exec"), {})

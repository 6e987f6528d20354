"""What `archdsl search` says of a parent that it cannot use: one line, before anything begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.compile import build
from archdsl.load.specs import load_spec
from archdsl.search.parent_file import parent_file
from archdsl.weights import save_model, write_published
from tests.support.commands import TINY, Run, command_line

run = pytest.fixture(command_line)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mine.safetensors` and `text.txt` in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_model(build(load_spec(TINY)), "mine.safetensors")
    Path("text.txt").write_text("no weights")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--parent missing.safetensors", "no such file: missing.safetensors; --parent takes a .safetensors of archdsl"),
        ("--parent litv2_s", "archdsl import litv2_s CHECKPOINT -o litv2_s.safetensors"),
        ("--parent none --latency-budget 60%", "60% is a share of the parent's latency"),
        ("--parent mine.safetensors --latency-budget 0%", "must be above 0%"),
        ("--parent mine.safetensors --storage postgresql://me@host/db", "leave out --parent to share the search"),
        ("--latency-budget 60% --storage postgresql://me@host/db", "give the budget in milliseconds to share the"),
        ("--parent mine.safetensors --library nowhere", "no such folder"),
        ("--parent mine.safetensors --library text.txt", "no such folder"),
    ],
)
def test_a_parent_that_cannot_be_used_is_refused(run: Run, line: str, said: str) -> None:
    ended = run("search", "--device", "cpu", "--out", "run", *line.split())
    assert ended.code == 2
    assert said in ended.err
    assert not Path("run").exists()


@pytest.mark.parametrize("content", [b"no weights", b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      "])
@pytest.mark.parametrize(
    "command",
    ["search --out run --parent", "bench", "train --data digits -o new.safetensors", "library build --out run"],
)
def test_a_broken_file_of_weights_ends_every_command_alike(run: Run, command: str, content: bytes) -> None:
    Path("broken.safetensors").write_bytes(content)
    ended = run(*command.split(), "broken.safetensors", "--device", "cpu")
    assert (ended.code, ended.out) == (1, "")
    assert "broken.safetensors" in ended.err
    assert not Path("run").exists()


def test_a_folder_is_no_parent(run: Run) -> None:
    ended = run("search", "--device", "cpu", "--out", "run", "--parent", ".")
    assert ended.code == 1
    assert "the parent has no weights that can be read" in ended.err


def test_a_published_checkpoint_is_refused_with_the_command_that_makes_a_parent_of_it(run: Run) -> None:
    write_published(build(load_spec("fcvit_tiny")), "their.pth")
    ended = run("search", "--device", "cpu", "--parent", "their.pth", "--latency-budget", "2ms")
    assert ended.code == 2
    command = "archdsl import fcvit_tiny their.pth -o their.safetensors"
    assert ended.err.strip().endswith(f"{command}, then search with --parent their.safetensors")
    assert run(*command.split()[1:]).code == 0
    assert parent_file("their.safetensors") == Path("their.safetensors").absolute()


def test_a_share_of_no_parent_is_refused(run: Run) -> None:
    Path("space.json").write_text(run("new", "lit-dat-224").out)
    ended = run("search", "space.json", "--device", "cpu", "--latency-budget", "60%")
    assert ended.code == 2
    assert "name its file with --parent" in ended.err


def test_doctor_has_no_parent(run: Run) -> None:
    ended = run("doctor", "lit-dat-64", "--device", "cpu", "--latency-budget", "60%", "--no-measure")
    assert ended.code == 2
    assert "give milliseconds" in ended.err

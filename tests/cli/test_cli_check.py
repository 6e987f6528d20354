"""`archdsl check` says a line for each document: that it is good, or what is wrong in it and where."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from archdsl.cli import documents
from tests.support.commands import TINY, Run, command_line, tiny_document

run = pytest.fixture(command_line)
tiny = pytest.fixture(tiny_document)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(TINY).replace('"depth"', '"dept"'), encoding="utf-8")
    return path


def test_check_says_a_line_for_each_document(run: Run, tiny: Path) -> None:
    ended = run("check", tiny, "litv2_s", "lit-dat-64")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:2] == [
        f"{tiny}: ok: 3 nodes, 3x32x32 -> 10, 0.00 M params",
        "litv2_s: ok: 9 nodes, 3x224x224 -> 1000, 27.84 M params",
    ]
    assert ended.out.splitlines()[2].startswith("lit-dat-64: ok: 9 nodes, 3x64x64 -> 20, ")
    assert ended.out.endswith(" variables\n")


def test_check_sets_fields_first(run: Run) -> None:
    ended = run("check", "dat_t", "--set", "stage3.window=12", "--set", "image=384")
    lines = ended.out.splitlines()
    assert (ended.code, lines[0]) == (0, "dat_t: ok: 9 nodes, 3x384x384 -> 1000, 28.39 M params")
    assert [line.split(": ")[2] for line in lines[1:]] == [
        f"stage{number} ({', '.join(types)})"
        for number, types in ((1, ("window", "shifted_window")), (2, ("window", "shifted_window")), (4, ("window",)))
    ]
    ended = run("check", "dat_t", "litv2_s", "--set", "stage3.alpha=0.5")
    assert ended.code == 1
    names = (
        "blocks, depth, from, groups, heads, id, kernel, layer_scale, local_perception, mlp, norm, offsets, out_norm, "
        "position_bias, position_embedding, stride, type, window"
    )
    assert ended.out.splitlines() == [
        f"--set: stage3 (sequence) has no field 'alpha'; got \"stage3.alpha=0.5\"; known: {names}",
        "litv2_s: ok: 9 nodes, 3x224x224 -> 1000, 27.65 M params",
    ]
    ended = run("check", "lit-dat-64", "--set", "image=32")
    assert (ended.code, "only a backbone has fields to set" in ended.err) == (2, True)


def test_check_goes_on_after_a_bad_and_a_missing_document(run: Run, tiny: Path, bad: Path) -> None:
    ended = run("check", bad, "nowhere.json", tiny)
    place = f"{bad}:1:{bad.read_text(encoding='utf-8').index(chr(34) + 'dept' + chr(34)) + 1}"
    assert ended.code == 2
    assert ended.err == "no such file: nowhere.json\n"
    assert f"{place}: nodes[1].dept: mlp has no field 'dept'; did you mean 'depth'?\n" in ended.out
    assert f"{tiny}: ok:" in ended.out
    assert run("check", bad, tiny).code == 1


UNCHECKED = "not everything was checked, because of these errors; mend them and check again"


def test_check_says_where_errors_leave_shapes_unchecked(run: Run, tmp_path: Path, bad: Path) -> None:
    assert run("check", bad).err == ""  # a stage keeps its shape whatever its fields say
    path = tmp_path / "hidden.json"
    hidden = json.loads(json.dumps(TINY))
    hidden["nodes"][0]["width"] = "wide"
    hidden["nodes"][1] = {"id": "stage", "type": "hilo", "depth": 1, "heads": 3, "window": 2}
    path.write_text(json.dumps(hidden), encoding="utf-8")
    ended = run("check", path)
    assert (ended.code, ended.out.count("\n")) == (1, 1)
    assert ended.err == f"{path}: {UNCHECKED}\n"
    hidden["nodes"][0]["width"] = 8
    path.write_text(json.dumps(hidden), encoding="utf-8")
    ended = run("check", path)
    assert (ended.code, ended.err) == (1, "")
    assert "heads" in ended.out


def test_check_says_so_of_a_space_too(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "space.json"
    path.write_text(run("new", "lit-dat-64").out.replace('"$one_of"', '"$oneof"', 1), encoding="utf-8")
    ended = run("check", path)
    assert (ended.code, ended.err) == (1, f"{path}: {UNCHECKED}\n")


def test_check_never_wraps_and_shows_no_markup(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]a b[/bold]" / ("long" * 40)
    folder.mkdir(parents=True)
    path = folder / "bad.json"
    path.write_text(json.dumps({**TINY, "image": 3}), encoding="utf-8")
    ended = run("check", path)
    assert ended.out.startswith(f"{path}:1:")
    assert ended.out.count("\n") == 1


def test_check_gives_the_same_as_json(run: Run, tiny: Path, bad: Path) -> None:
    assert json.loads(run("check", tiny, "--json").out) == {"ok": True, "errors": [], "warnings": [], "hints": []}
    ended = run("check", bad, "nowhere", tiny, "--json")
    found = json.loads(ended.out)
    assert (ended.code, ended.err, found["ok"]) == (2, "", False)
    assert all(set(error) == {"file", "line", "column", "path", "rule", "value", "remedy"} for error in found["errors"])
    unknown = next(error for error in found["errors"] if error["path"] == "nodes[1].dept")
    assert unknown["remedy"] == "did you mean 'depth'?"
    assert (unknown["file"], unknown["line"]) == (str(bad), 1)
    assert found["errors"][-1]["file"] == "nowhere"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (json.dumps(TINY), 0, "<stdin>: ok: 3 nodes"),
        ("", 1, "<stdin>: the file is empty"),
        ("{", 1, "<stdin>:1:2: the document ends inside an object"),
        ('{"kind": "house"}', 1, '<stdin>:1:10: kind: kind must be "arch" or "space"; got "house"'),
        ("\udcff", 1, "<stdin>:1:1: a document must be plain UTF-8; got byte 0xff"),
    ],
)
def test_check_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch, text: str, code: int, said: str) -> None:
    data = io.BytesIO(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    ended = run("check", "-")
    assert ended.code == code
    assert ended.out.startswith(said)


def test_an_option_like_path_stands_after_two_dashes(run: Run) -> None:
    assert run("check", "--", "-q.json") == (2, "", "no such file: -q.json\n")


def test_standard_input_has_a_name() -> None:
    assert (documents.title("-"), documents.title("litv2_s")) == ("<stdin>", "litv2_s")

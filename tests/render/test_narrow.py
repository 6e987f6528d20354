"""In a narrow terminal ids and numbers are whole or left out, in everything that a person reads."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import RenderableType
from rich.text import Text

from archdsl import zoo
from archdsl.cost import count
from archdsl.latency.layers import LAYERS, LayerBench
from archdsl.load.spaces import space_of
from archdsl.load.specs import load_spec
from archdsl.render.bench import bench_table
from archdsl.render.candidates import front_table
from archdsl.render.columns import Column, Line, Sheet, shortened, wrapped
from archdsl.render.doctor import report as doctor_report
from archdsl.render.layers import layers_table
from archdsl.render.lut import predictions, table_sheet
from archdsl.render.prose import Prose
from archdsl.render.proxy_check import report as proxy_report
from archdsl.render.report import report_text
from archdsl.render.search import screen
from archdsl.render.tables import cost_table, zoo_row, zoo_table
from archdsl.render.tree import show
from archdsl.search.doctor.doctor import examine
from archdsl.search.policy import SHIPPED
from archdsl.search.proxy_check.judged import judged
from archdsl.search.report import read_report
from archdsl.search.trial import RUNGS
from tests.support.benched import synthetic
from tests.support.commands import Run, command_line
from tests.support.displayed import FRONT, LONGER, state
from tests.support.drawn import DRAWN, document
from tests.support.proxy_checks import DATA, networks, whole
from tests.support.reported import copied_run
from tests.support.screens import text_of, too_wide
from tests.support.searching import SPACE as SEARCHED
from tests.support.searching import settings
from tests.support.tabled import SPACE, small_table

WIDTHS = (20, 30, 40, 50, 60, 80)
CUT = re.compile(r"\w(?:…|\.\.\.)")
"""A word or a number that goes on where the reader does not see it."""
DRAWING = re.compile("[━╸╺●│├┼╮╯┬┴┊└─█▏▎▍▌▋▊▉\u2800-\u28ff]+")

run = pytest.fixture(command_line)


LEFT_OUT = re.compile(r"not\s+shown\s+at\s+this\s+width:.*?\(COLUMNS=120\s+shows\s+more\)", re.DOTALL)
"""What a table says where columns are left out."""


def words(text: str) -> set[str]:
    return set(DRAWING.sub(" ", LEFT_OUT.sub(" ", text)).split()) - {"…", "\\"}


def hold_whole(what: RenderableType, names: list[str]) -> None:
    """At every width each word is one of those that a wide terminal shows, and the names are all there."""
    wide = words(text_of(what, 1000))
    for width in WIDTHS:
        text = text_of(what, width)
        assert not CUT.search(text), text
        assert words(text) <= wide, (width, words(text) - wide)
        assert width < 40 or not too_wide(text, width)
        assert set(names) <= words(text), (width, text)


@pytest.mark.parametrize("name", ["litv2_s", "dualvit_s", "dat_t", *DRAWN[1:]])
def test_backbones(name: str) -> None:
    spec = load_spec(name)
    counted, names = count(spec), [node.id for node in spec.nodes]
    hold_whole(cost_table(counted, spec), names)
    drawing = show(spec, counted)
    for width in WIDTHS:
        assert width < 40 or not too_wide(text_of(drawing, width), width)
        rows = text_of(drawing, width).split("\n\n")[1].splitlines()[1:]
        assert words("\n".join(rows)) <= words(text_of(drawing, 1000))
        assert [name for name in names if any(name in row.split() for row in rows)] == names
        assert not CUT.search("\n".join(rows))
        if width >= 30:
            assert max(map(len, rows)) <= width


def test_the_zoo() -> None:
    names = zoo.names()[:4]
    rows = [zoo_row(spec, count(spec)) for spec in map(load_spec, names)]
    hold_whole(zoo_table(rows), names)
    assert all("87.88 M" in text_of(zoo_table(rows), width) for width in WIDTHS)


def test_benchmarks() -> None:
    compared = synthetic()
    hold_whole(bench_table(compared), [*compared.latencies, "A/A"])
    p10, ratio = "5.000", "0.500 [0.500, 0.500]"
    assert all({p10, *ratio.split()} <= words(text_of(bench_table(compared), width)) for width in WIDTHS)
    names = [layer.name for layer in LAYERS[:2]]
    items = dict(zip(names, list(compared.latencies.values())[:2], strict=True))
    hold_whole(layers_table(LayerBench(LAYERS[:2], compared._replace(latencies=items))), [])


def test_tables_of_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    table = small_table(space_of(SPACE), monkeypatch)
    hold_whole(table_sheet(table), [])
    hold_whole(predictions([("a_net", 5.0), ("runs/first/winner", 12.35)], table), ["a_net", "5.000", "200"])


def test_the_doctor() -> None:
    hold_whole(doctor_report(examined(), []), ["params", "MACs", "memory"])


@cache
def examined() -> Any:
    return examine(settings(params_budget=1e6), measure=False)


def test_searches() -> None:
    names = [trial.name for trial in FRONT]
    hold_whole(front_table(FRONT, {LONGER.network_hash: LONGER}, "p10"), [*names, "61.0", "4.50"])
    busy = "the machine is busy: other processes keep 1.4 cores busy; 3 of 40 rounds were undisturbed"
    funnel = dict.fromkeys(RUNGS, 1234)
    hold_whole(screen(state(front=FRONT, gate_ms=4.7, busy=busy, funnel=funnel)), [])


def test_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(copied_run(tmp_path).parent)
    report = read_report("run")
    names = [row.name for row in report.front]
    without = replace(report, winner=None)
    hold_whole(report_text(without), names)


def test_proxy_checks() -> None:
    hold_whole(proxy_report(whole(judged(networks(), DATA, SHIPPED))), ["params", "MACs", "SynFlow"])


COMMANDS = {
    "show": ("show", "litv2_s"),
    "cost": ("cost", "litv2_s"),
    "zoo": ("zoo",),
    "report": ("report", "run"),
    "doctor": ("doctor", "tiny.json", "--no-measure", "--device", "cpu", "--params-budget", "2M"),
}


@pytest.mark.parametrize("width", [40, 60])
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_keep_to_the_width_and_crop_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(copied_run(tmp_path).parent)
    Path("tiny.json").write_text(json.dumps({**SEARCHED, "name": "tiny-litv2"}))
    ended = run(*COMMANDS[name])
    assert ended.code == 0
    assert not CUT.search(ended.out)
    assert not too_wide(ended.out, width)
    assert "lit" in ended.out


@pytest.mark.parametrize("width", [40, 60])
def test_a_check_is_one_line_that_is_not_cropped(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("check", "litv2_s").out == "litv2_s: ok: 9 nodes, 3x224x224 -> 1000, 27.84 M params\n"


def test_an_id_that_is_wider_than_the_terminal_is_printed_whole() -> None:
    name = "stage_" + "x" * 50
    nodes: list[dict[str, Any]] = [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": name, "type": "mlp", "depth": 1},
        {"id": "head", "type": "mean_head"},
    ]
    spec = document(nodes)
    assert name in text_of(show(spec, count(spec)), 40).split()
    assert name in text_of(cost_table(count(spec), spec), 40).split()


# ------------------------------------------------------------------------------------------------------------- columns


def test_columns_that_may_not_go_are_put_below_each_other() -> None:
    columns = [
        Column("name", [Text("a_long_name"), Text("b")]),
        Column("first", [Text("1.234"), Text("12.34")], right=True),
        Column("second", [Text("5.678 M"), Text("9")], right=True),
    ]
    assert text_of(Sheet(columns), 20).splitlines() == [
        "name         first",
        "   second",
        "a_long_name  1.234",
        "  5.678 M",
        "b            12.34",
        "        9",
    ]
    assert text_of(Sheet(columns), 40).splitlines()[0] == "name         first   second"


def test_a_core_column_stays_where_another_made_room() -> None:
    columns = [
        Column("", [Text("id")]),
        Column("wide", [Text("x" * 30)], drop=2),
        Column("ms", [Text("1.23")], right=True, drop=4),
    ]
    assert text_of(Sheet(columns), 20).split() == ["ms", "id", "1.23"]


def test_texts_are_short_of_whole_words() -> None:
    text = Text("hilo heads=12 window=2")
    assert [shortened(text, width).plain for width in (22, 21, 15, 14, 6, 4, 2)] == [
        "hilo heads=12 window=2",
        "hilo heads=12 …",
        "hilo heads=12 …",
        "hilo …",
        "hilo …",
        "hilo",
        "hilo",
    ]
    assert text_of(Line("training 12.5 ms of a net"), 12) == "training …\n"


def test_prose_is_broken_at_blanks_alone_and_not_before_a_unit() -> None:
    path = "/a/long-path/to/a-file.json"
    assert wrapped(f"in {path} it is", 10) == ["in", path, "it is"]
    assert wrapped("weights of 111.4 MB and 5 ms", 16) == ["weights of", "111.4 MB and", "5 ms"]


def test_a_command_that_ends_a_sentence_stands_below_it_and_can_be_copied() -> None:
    command = "archdsl search --out runs/a-long-name-of-a-run --resume --time 240s"
    text = text_of(Prose(f"UNSURE  nothing was measured; give more time: {command}"), 50)
    assert text.startswith("UNSURE  nothing was measured; give more time:\n  archdsl search ")
    assert shlex.split(text.partition(":\n")[2].replace("\\\n", "")) == shlex.split(command)
    whole = f"to continue: {command}"
    assert text_of(Prose(whole), 200) == f"{whole}\n"


def test_columns_for_which_there_is_no_room_are_named() -> None:
    columns = [Column("net", [Text("a" * 12)]), Column("params", [Text("12.5 M")], drop=2)]
    narrow = " ".join(text_of(Sheet(columns, names_left_out=True), 18).split())
    assert narrow.endswith("not shown at this width: params (COLUMNS=120 shows more)")
    assert "not shown" not in text_of(Sheet(columns), 18) + text_of(Sheet(columns, names_left_out=True), 40)

"""The command line: what it prints where, how it ends, and what it does not import."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from conftest import FOLDER

from archdsl import load_spec, zoo
from archdsl.cli import documents, main, output
from archdsl.cli.app import app
from archdsl.cli.bench import labelled
from archdsl.cli.options import check_device

TINY: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "tiny",
    "image": 32,
    "classes": 10,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": "stage", "type": "mlp", "depth": 1},
        {"id": "head", "type": "mean_head"},
    ],
}
SMALL = "--set image=32 --set stem.width=12 --set merge1.width=24 --set merge2.width=48 --set merge3.width=96"
SMALL += " --set stage3.heads=3 --set stage4.heads=3"
"""LIT and LITv2 made quick to build and to run."""

COMMANDS = [str(command.name) for command in app.registered_commands]
EXAMPLES = [
    line.strip()
    for command in app.registered_commands
    if command.callback is not None and command.name not in ("search", "doctor", "proxy-check")
    for line in (command.callback.__doc__ or "").splitlines()
    if line.strip().startswith("archdsl ")
]


SLOW = ("archdsl bench ", "archdsl report ", "archdsl import ")
"""Examples that load torch or a report in a process of their own; other tests give these commands inside this one."""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """A run of the command line in this process."""

    def run(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(TINY).replace('"depth"', '"dept"'), encoding="utf-8")
    return path


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


# What is imported


def test_help_of_every_command_imports_nothing_heavy() -> None:
    script = "assert main(['--help']) == 0\n"
    script += "".join(f"assert main([{name!r}, '--help']) == 0\n" for name in COMMANDS)
    unimported(script, "torch", "numpy", "networkx", "optuna", "rich", "archdsl.load", "archdsl.schema.document")


def test_what_needs_no_weights_imports_no_torch() -> None:
    lines = ["check litv2_s lit-dat-64", "show litv2_s", "show lit_s --format dot", "cost litv2_s", "zoo", "new lit_s"]
    lines += ["new lit_s --set image=256", "schema space", "show litv2_s --json", "zoo --json"]
    unimported("".join(f"assert main({line.split()}) == 0\n" for line in lines), "torch", "optuna")


# How it ends


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
        (["show"], "Missing argument 'SPEC'"),
        (["show", "litv2_s", "--colour"], "No such option: --colour"),
        (["show", "litv2_s", "--format", "mermaids"], "'mermaids' is no format; did you mean 'mermaid'?"),
        (["schema", "spaces"], "'spaces' is no kind of document; did you mean 'space'?"),
        (["bench"], "'SPEC': missing: name one or more, or ask for --layers"),
        (["bench", "lit_s", "--layers"], "'--layers': it takes no SPEC and no --set; got lit_s"),
        (["bench", "--layers", "--set", "image=64"], "'--layers': it takes no SPEC and no --set; got --set"),
        (["bench", "litv2_s", "--dtype", "float23"], "'float23' is no dtype; did you mean 'float32'?"),
        (["bench", "litv2_s", "--mode", "fast"], "'fast' is no mode; known: compile, eager, graph"),
        (["bench", "litv2_s", "--device", "cude"], "'cude' is no device; did you mean 'cuda'?"),
        (["bench", "litv2_s", "--batch", "0"], "'0' is not a whole number from 1 to 65536"),
        (["bench", "litv2_s", "--rounds", "many"], "'many' is not a whole number from 1 to 100000"),
        (["bench", "litv2_s", "--time-limit", "90"], "'90' has no unit; write e.g. 90s, 6m, 1h30m"),
        (["bench", "litv2_s", "-o", "/nowhere/a.json"], "/nowhere/a.json cannot be written: No such file or directory"),
        (["new", "litv2_s", "--name", "No Name"], "'No Name' is no name; use lower-case letters, digits, _, - and ."),
        (["new", "lit-dat-64", "--set", "image=32"], "only a backbone's fields can be set, and this is a search space"),
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
    ended = run("show", "lit-dat-64")
    assert (ended.code, ended.out) == (1, "")
    assert 'kind: this is a document of kind "space"' in ended.err


def test_an_interruption_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archdsl.cli.show.open_specs", interrupted)
    assert run("show", "litv2_s") == (130, "", "")


def test_a_fault_of_ours_is_one_line_and_shows_where_only_when_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("a\nb [red]")

    monkeypatch.setattr("archdsl.cli.show.open_specs", faulty)
    said = "this is a bug of archdsl: KeyError: 'a\\nb [red]'"
    assert run("show", "litv2_s") == (1, "", f"{said}; archdsl -v shows where\n")
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

    monkeypatch.setattr("archdsl.cli.show.open_specs", refused)
    assert run("show", "litv2_s") == (1, "", f"{message}\n")


def test_a_warning_is_one_line_on_stderr_unless_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(*_: object) -> list[Any]:
        warnings.warn("block types of 'acme' are left out:\n  broken", stacklevel=1)
        return [load_spec("litv2_s")]

    monkeypatch.setattr("archdsl.cli.show.open_specs", warned)
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
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr


def test_a_terminal_without_the_characters_shows_others() -> None:
    done = process("show", "litv2_s", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.startswith("litv2_s: 3x224x224 -> 1000 classes, 27.84 M params")


# check


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
    assert (ended.code, ended.out) == (0, "dat_t: ok: 9 nodes, 3x384x384 -> 1000, 28.39 M params\n")
    ended = run("check", "dat_t", "litv2_s", "--set", "stage3.alpha=0.5")
    assert ended.code == 1
    known = "blocks, depth, from, id, out_norm, position_embedding, type"
    assert ended.out.splitlines() == [
        f"--set: stage3 (sequence) has no field 'alpha'; got \"stage3.alpha=0.5\"; known: {known}",
        "litv2_s: ok: 9 nodes, 3x224x224 -> 1000, 27.65 M params",
    ]
    ended = run("check", "lit-dat-64", "--set", "image=32")
    assert (ended.code, "only a backbone's fields can be set" in ended.err) == (2, True)


def test_check_goes_on_after_a_bad_and_a_missing_document(run: Run, tiny: Path, bad: Path) -> None:
    ended = run("check", bad, "nowhere.json", tiny)
    place = f"{bad}:1:{bad.read_text(encoding='utf-8').index(chr(34) + 'dept' + chr(34)) + 1}"
    assert ended.code == 2
    assert ended.err == "no such file: nowhere.json\n"
    assert f"{place}: nodes[1].dept: mlp has no field 'dept'; did you mean 'depth'?\n" in ended.out
    assert f"{tiny}: ok:" in ended.out
    assert run("check", bad, tiny).code == 1


def test_check_never_wraps_and_shows_no_markup(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]a b[/bold]" / ("long" * 40)
    folder.mkdir(parents=True)
    path = folder / "bad.json"
    path.write_text(json.dumps({**TINY, "image": 3}), encoding="utf-8")
    ended = run("check", path)
    assert ended.out.startswith(f"{path}:1:")
    assert ended.out.count("\n") == 1


def test_check_gives_the_same_as_json(run: Run, tiny: Path, bad: Path) -> None:
    assert json.loads(run("check", tiny, "--json").out) == {"ok": True, "errors": []}
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


# new


@pytest.mark.parametrize("name", ["litv2_s", "lit-dat-64"])
def test_new_prints_the_document_as_shipped(run: Run, name: str) -> None:
    assert run("new", name) == (0, (zoo.text(name) or b"").decode(), "")


@pytest.mark.parametrize("name", ["litv2_s", "lit-dat-64"])
def test_new_renames_and_leaves_the_rest_as_it_is(run: Run, name: str) -> None:
    shipped = (zoo.text(name) or b"").decode()
    assert run("new", name, "--name", "mine.2").out == shipped.replace(f'"name": "{name}"', '"name": "mine.2"', 1)


def test_new_sets_fields(run: Run, tmp_path: Path) -> None:
    ended = run("new", "litv2_s", "--set", "stage3.depth=3", "--set", "image=192", "--name", "mine")
    (tmp_path / "mine.json").write_text(ended.out, encoding="utf-8")
    spec = load_spec(tmp_path / "mine.json")
    assert (spec.name, spec.image, spec.node("stage3").model_dump()["depth"]) == ("mine", 192, 3)
    assert '\n    {"id": "stage3", "type": "hilo", "depth": 3, "heads": 12, "window": 2},\n' in ended.out


# zoo, show, cost, schema


def test_zoo_lists_backbones_and_spaces(run: Run) -> None:
    ended = run("zoo")
    assert (ended.code, ended.err) == (0, "")
    assert all(name in ended.out for name in [*zoo.names(), *zoo.spaces()])
    found = json.loads(run("zoo", "--json").out)
    assert [row["name"] for row in found["specs"]] == zoo.names()
    assert found["spaces"] == zoo.spaces()
    row = next(row for row in found["specs"] if row["name"] == "litv2_s")
    assert (row["params"], row["image"], row["paper"]["arxiv"]) == (27_844_000, [224, 224], "2205.13213")


def test_show_draws_in_each_form(run: Run, tiny: Path) -> None:
    assert run("show", tiny).out.startswith("tiny: 3x32x32 -> 10 classes")
    assert run("show", tiny, "--set", "image=64").out.startswith("tiny: 3x64x64 -> 10 classes")
    assert run("show", tiny, "--format", "mermaid").out.startswith("flowchart TD\n")
    assert run("show", tiny, "--format", "dot").out.startswith('digraph "tiny" {\n')


def test_show_gives_the_graph_as_json(run: Run, tiny: Path) -> None:
    found = json.loads(run("show", tiny, "--json").out)
    assert [(node["id"], node["kind"], node["shape"]) for node in found["nodes"]] == [
        ("stem", "stem", "8x8x8"),
        ("stage", "stage", "8x8x8"),
        ("head", "head", "10"),
    ]
    assert found["edges"][0] == {"from": "stem", "to": "stage", "ports": {"pixels": "8x8x8"}}


def test_cost_counts_one_and_several(run: Run, tiny: Path) -> None:
    one = json.loads(run("cost", tiny, "--json").out)
    assert one["name"] == "tiny"
    assert one["params"] == sum(node["params"] for node in one["nodes"])
    several = json.loads(run("cost", tiny, "litv2_s", "--json").out)
    assert several[0] == one
    assert several[1]["macs"] == 3_723_626_496
    ended = run("cost", tiny, "litv2_s")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("in all") >= 2


def test_schema_prints_the_committed_file(run: Run) -> None:
    for kind in ("arch", "space"):
        found = json.loads(run("schema", kind).out)
        assert found["properties"]["kind"]["const"] == kind


# bench


def test_bench_measures_side_by_side(run: Run, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    few = ["--device", "cpu", "--threads", "1", "--rounds", "3", "--time-limit", "2s", "--batch", "2"]
    ended = run("bench", tiny, tiny, *few, "--json", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.err.startswith(f"measuring {tiny}, {tiny} #2: batch 2")
    found = json.loads(ended.out)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert [item["name"] for item in found["items"]] == [str(tiny), f"{tiny} #2"]
    assert found["unstable"] is True
    assert found["again"]["name"] == "A/A"
    facts = found["items"][0]["provenance"]
    assert (facts["device"], facts["batch"], facts["threads"], facts["rounds"]) == ("cpu", 2, 1, 3)
    ended = run("-q", "bench", tiny, *few)
    assert ended.err == ""
    assert "A/A" in ended.out
    assert "Unstable" in ended.out


def test_bench_measures_layers_beside_what_is_printed_of_them(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    few = ["--device", "cpu", "--threads", "1", "--rounds", "3", "--time-limit", "1s", "--batch", "1"]
    ended = run("bench", "--layers", *few, "--json", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.err.startswith("measuring MSA, HiLo")
    found = json.loads(ended.out)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    first = found["items"][0]
    assert (first["name"], first["params"], first["published"]["cpu_images_per_second"]) == ("MSA", 2362368, 505)
    assert first["images_per_second"] == pytest.approx(1e3 / first[f"{found['stat']}_ms"])
    assert first["provenance"]["image"] == [14, 14, 768]
    assert found["published"]["gpu"] == "NVIDIA GeForce RTX 3090"
    ended = run("-q", "bench", "--layers", *few)
    assert ended.err == ""
    assert "10900X  3090  here" in ended.out


def test_a_measurement_that_cannot_be_made_ends_with_1(run: Run, tiny: Path) -> None:
    ended = run("bench", tiny, "--device", "cpu", "--mode", "graph")
    assert (ended.code, ended.out) == (1, "")
    assert "mode graph replays a CUDA graph and needs a GPU" in ended.err


def test_labels_are_names_else_arguments_else_numbered() -> None:
    one, other = load_spec("lit_s"), load_spec("litv2_s")
    assert list(labelled([one, other], ["lit_s", "litv2_s"])) == ["lit_s", "litv2_s"]
    assert list(labelled([one, one, other], ["lit_s", "a/lit.json", "litv2_s"])) == ["lit_s", "a/lit.json", "litv2_s"]
    assert list(labelled([one, one, one], ["lit_s"] * 3)) == ["lit_s", "lit_s #2", "lit_s #3"]


@pytest.mark.parametrize("device", [None, "cpu", "cuda", "cuda:1"])
def test_a_device_is_taken_as_written(device: str | None) -> None:
    assert check_device(device) == device


@pytest.mark.parametrize(("device", "remedy"), [("cuda:", "write cuda:0"), ("cuda:x", "write cuda:0"), ("gpu", "cpu")])
def test_what_is_no_device_is_refused(device: str, remedy: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{device}' is no device; .*{remedy}"):
        check_device(device)


def test_quiet_lasts_for_one_run(run: Run) -> None:
    run("-q", "zoo")
    assert output.talk().quiet
    run("zoo")
    assert not output.talk().quiet


def test_standard_input_has_a_name() -> None:
    assert (documents.title("-"), documents.title("litv2_s")) == ("<stdin>", "litv2_s")


@pytest.mark.skipif(os.name == "nt", reason="the examples are written for a shell")
def checkpoint(folder: Path) -> None:
    """What the examples of import and export-weights begin with, made small."""
    import torch

    from archdsl import build, export_weights, override, save_model

    model = build(override(load_spec("lit_s"), SMALL.split()[1::2]))
    torch.save({"model": export_weights(model)}, folder / "lit_s.pth")
    save_model(model, folder / "lit_s.safetensors")


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=pytest.mark.slow if line.startswith(SLOW) else ()) for line in EXAMPLES],
)
def test_the_examples_in_the_help_work(line: str, tmp_path: Path) -> None:
    few = " --rounds 3 --time-limit 1s " + ("--batch 1" if "--layers" in line else SMALL)
    quick = {"bench": few, "import": f" {SMALL}"}.get(line.split()[1], "")
    if {"import", "export-weights"} & set(line.split()):
        checkpoint(tmp_path)
    script = f'set -eu\narchdsl() {{ "{sys.executable}" -m archdsl "$@"; }}\n{line}{quick}\n'
    if line.startswith("archdsl report"):
        shutil.copytree(FOLDER / "run", tmp_path / "runs" / "first")
    own = {**os.environ, "ARCHDSL_CACHE": str(tmp_path / "cache")}  # an example clears it
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr

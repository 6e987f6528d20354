"""A name that is none is told with what it may stand for; documents are read from files, models and dicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl import load_space, load_spec, override
from archdsl.errors import SpecError
from archdsl.load.specs import UnknownName
from tests.support.commands import TINY, Run, command_line
from tests.support.small_spaces import GOOD

run = pytest.fixture(command_line)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unknown(name: str, load: Any = load_spec) -> str:
    with pytest.raises(UnknownName) as caught:
        load(name)
    return str(caught.value)


def model_file(path: Path, header: Any) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


@pytest.mark.parametrize("file", ["mine.json", "mine.safetensors", "mine", "mine/winner.json"])
def test_a_name_of_a_file_that_is_here_is_pointed_to_it(here: Path, run: Run, file: str) -> None:
    (here / file).parent.mkdir(exist_ok=True)
    (here / file).write_text(json.dumps(TINY), encoding="utf-8")
    rule = f'no such zoo name: "mine"; to read the file, write ./{file}'
    assert unknown("mine") == unknown("mine", load_space) == rule
    for command in ("show", "check", "cost", "new", "doctor"):
        assert run(command, "mine")[::2] == (2, f"{rule}\n")


def test_a_document_goes_before_a_model_and_a_zoo_name_before_both(here: Path) -> None:
    for file in ("mine.safetensors", "mine.json", "lit_s.json"):
        (here / file).write_text("{}", encoding="utf-8")
    assert unknown("mine").endswith("write ./mine.json")
    assert load_spec("lit_s").name == "lit_s"


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "", "a\nb", "~", "*"])
def test_a_name_that_no_file_can_have_is_unknown_too(here: Path, name: str) -> None:
    assert unknown(name).startswith("no such zoo name: ")


def test_near_names_are_those_of_what_is_wanted(here: Path) -> None:
    assert unknown("litv3_s").endswith("; did you mean 'litv2_s'?")
    assert unknown("lit-dat-46", load_space).endswith("; did you mean 'lit-dat-64'?")
    assert unknown("lit-dat-46").endswith("; did you mean 'lit-dat-64'? it is a search space")
    assert unknown("fcvit_tiney", load_space).endswith("; did you mean 'fcvit_tiny'? it is a backbone")
    assert unknown("nothing_near_it", load_space).endswith("; known: lit-dat-224, lit-dat-64")


def test_a_name_of_the_other_kind_says_what_it_is(run: Run) -> None:
    for command in ("cost", "bench"):
        ended = run(command, "lit-dat-64")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("a backbone is needed here, but lit-dat-64 is a search space; draw one from it: ")
    for words in ("search", "doctor", "lut show", "proxy-check"):
        ended = run(*words.split(), "litv2_s")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("a search space is needed here, but litv2_s is a backbone; make one around it: ")
    space = "kind: this is a document of kind \"space\"; 'lit-dat-64' is a search space, not a backbone"
    backbone = "kind: this is a document of kind \"arch\"; 'litv2_s' is a backbone, not a search space"
    for load, name, rule in ((load_spec, "lit-dat-64", space), (load_space, "litv2_s", backbone)):
        with pytest.raises(SpecError, match=rule):
            load(name)


def test_a_seed_that_is_a_space_says_so() -> None:
    with pytest.raises(SpecError) as caught:
        load_space(GOOD | {"seeds": ["lit-dat-64"]})
    assert str(caught.value) == "seeds[0]: 'lit-dat-64' is a search space, not a backbone; name a backbone"


def test_a_path_without_its_ending_or_of_a_zoo_name_is_told(here: Path) -> None:
    (here / "mine.json").write_text(json.dumps(TINY), encoding="utf-8")
    assert unknown("./mine") == "no such file: mine; did you mean mine.json?"
    assert unknown("litv2_s.json") == "no such file: litv2_s.json; 'litv2_s' is a name in the zoo"
    assert unknown("./nothing.json") == "no such file: nothing.json"


def test_a_model_of_ours_is_read_by_its_header(here: Path, run: Run) -> None:
    spec = json.dumps(TINY)
    path = model_file(here / "m.safetensors", {"__metadata__": {"spec": spec, "archdsl": "1"}})
    assert load_spec("m.safetensors") == load_spec(path) == load_spec(TINY)
    assert run("check", "m.safetensors").out == "m.safetensors: ok: 3 nodes, 3x32x32 -> 10, 0.00 M params\n"
    assert run("new", "m.safetensors").code == 0


@pytest.mark.parametrize(
    "header",
    [{}, {"__metadata__": {}}, {"__metadata__": {"spec": 3, "archdsl": "1"}}, {"__metadata__": 3}],
    ids=str,
)
def test_a_safetensors_file_of_others_has_no_spec(here: Path, header: Any) -> None:
    model_file(here / "m.safetensors", header)
    with pytest.raises(SpecError, match=r"^m\.safetensors: has no spec of archdsl in its header; make one with: "):
        load_spec("m.safetensors")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"hello, world", b"\xff" * 20, b"\1\0\0\0\0\0\0\0{", b"\3\0\0\0\0\0\0\0[1]"]
    + [len(text).to_bytes(8, "little") + text for text in (b"\xff", b"[" * 100_000)],
    ids=lambda content: str(content[:20]),
)
def test_what_is_no_safetensors_file_is_refused(here: Path, content: bytes) -> None:
    (here / "m.safetensors").write_bytes(content)
    with pytest.raises(SpecError, match=r"^m\.safetensors: is not a safetensors file.*; make one with: "):
        load_spec("m.safetensors")


def test_a_part_of_a_model_is_refused(here: Path) -> None:
    tensors = {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}
    path = model_file(here / "m.safetensors", {"__metadata__": {"spec": json.dumps(TINY), "archdsl": "1"}, **tensors})
    data = path.read_bytes() + b"abcd"
    path.write_bytes(data)
    assert load_spec(path).name == "tiny"
    path.write_bytes(data[:-1])
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    whole = f"{len(data) - 1:,} of {len(data):,} bytes are there"
    assert str(caught.value) == f"{path}: is truncated: {whole}; copy or download it again"
    path.write_bytes(data[:100])
    with pytest.raises(
        SpecError, match=r"is truncated: 92 of its header's .* bytes are there; copy or download it again"
    ):
        load_spec(path)


def test_a_model_that_is_not_there_is_unknown(here: Path) -> None:
    with pytest.raises(UnknownName, match=r"no such file: n\.safetensors"):
        load_spec("n.safetensors")


# --------------------------------------------------------------------------------------------------------------- dicts


def test_a_dict_is_loaded_and_what_happens_to_it_later_does_not_matter() -> None:
    raw = json.loads(json.dumps(GOOD))
    space = load_space(raw)
    raw["nodes"][0]["width"] = 99
    raw["constraints"].append("1 == 2")
    assert space == load_space(GOOD)
    assert load_spec(load_spec("litv2_s").to_json()) == load_spec("litv2_s")
    assert load_spec(TINY | {"image": (32, 64)}).image == (32, 64)


def test_what_is_wrong_with_a_dict_is_told_by_its_path() -> None:
    raw = json.loads(json.dumps(TINY).replace('"depth"', '"dept"'))
    with pytest.raises(SpecError) as caught:
        load_spec(raw)
    assert [str(problem) for problem in caught.value.problems] == [
        "nodes[1].dept: mlp has no field 'dept'; did you mean 'depth'?",
    ]
    assert {(problem.file, problem.line) for problem in caught.value.problems} == {(None, None)}


class Odd:
    pass


ROUND: dict[str, Any] = {}
ROUND["nodes"] = [ROUND]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"image": float("nan")}, 'image: a number must be finite; got "nan"; use a finite number'),
        (
            {"nodes": [{"id": {1}}]},
            "nodes[0].id: a set is no JSON value; use dict, list, str, int, float, bool or None",
        ),
        ({"image": Odd()}, "image: a Odd is no JSON value; use dict, list, str, int, float, bool or None"),
        ({1: 2}, 'a field\'s name must be a string; got 1; write "1"'),
        (ROUND, "nodes: a document is nested at most 32 deep; give a spec, which is a few kilobytes of JSON"),
        ({"a": [0] * 200_000}, "a: a document has too many values; give a spec, which is a few kilobytes of JSON"),
    ],
    ids=["nan", "set", "object", "key", "round", "large"],
)
def test_what_is_no_json_is_told_by_its_path(raw: Any, message: str) -> None:
    for load in (load_spec, load_space):
        with pytest.raises(SpecError) as caught:
            load(raw)
        assert str(caught.value) == message


def test_override_takes_any_assignments_in_turn() -> None:
    spec = load_spec("litv2_s")
    wanted = override(spec, ["image=64", "classes=10"])
    assert override(spec, ("image=64", "classes=10")) == override(spec, iter(["image=64", "classes=10"])) == wanted
    assert override(spec, []) == override(spec, ()) == spec


@pytest.mark.parametrize("command", ["show", "check", "cost", "new", "search", "doctor", "export"])
def test_an_exported_file_is_no_spec_and_says_what_to_give(command: str, run: Run, here: Path) -> None:
    (here / "w.onnx").write_bytes(b"\x08\x0a onnx")
    words = [command, "w.onnx", *(["-o", "x.py"] if command == "export" else [])]
    source = "give the .safetensors or .json that it was exported from"
    line = f"w.onnx: is an exported network, not a spec; {source}; archdsl bench measures the file itself\n"
    ended = run(*words)
    assert (ended.code, ended.out + ended.err) == (1, line)
    (here / "w.safetensors").touch()
    ended = run(*words)
    assert (ended.code, ended.out + ended.err) == (1, line.replace(source, "give w.safetensors"))


@pytest.mark.parametrize("content", [b"PK\x03\x04zip", b"\x80\x02pickle"])
def test_a_checkpoint_is_no_spec_and_says_what_makes_one(content: bytes, run: Run, here: Path) -> None:
    remedy = "archdsl import SPEC FILE makes a .safetensors of it, which has its spec"
    for name in ("w.pth", "w.bin"):
        (here / name).write_bytes(content)
        ended = run("show", name if name == "w.pth" else f"./{name}")
        assert (ended.code, ended.out + ended.err) == (
            1,
            f"{name}: is a checkpoint of torch.save, not a spec; {remedy}\n",
        )
    assert run("show", "absent.pth")[::2] == (2, "no such file: absent.pth\n")


def test_an_exported_file_that_is_not_there_is_no_name(run: Run, here: Path) -> None:
    ended = run("show", "w.onnx")
    assert (ended.code, ended.err) == (2, "no such file: w.onnx\n")

"""An installed package adds block types through the entry point `archdsl.blocks`; a bad one is a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.installed import EVERY_KIND, NODES_OF_EVERY_KIND, SPEC, acme, install, python, run
from tests.support.places import ROOT

SCHEMAS = ROOT / "archdsl" / "schemas"

site = pytest.fixture(acme)

SPACE = SPEC | {
    "kind": "space",
    "nodes": [
        SPEC["nodes"][0],
        {"id": "stage1", "$one_of": [
            {"type": "mlp", "depth": 1},
            {"type": "acme.pool", "depth": {"$int": [1, 2]}, "window": {"$one_of": [3, 5]}}]},
        SPEC["nodes"][3],
    ],
    "constraints": ["stage1 != 'acme.pool' or stage1.acme.pool.window <= stage1.depth * 5"],
}  # fmt: skip


def test_without_the_package_the_type_is_not_known_and_with_it_it_is(site: Path, tmp_path: Path) -> None:
    code = "from archdsl.load.specs import spec_of\ntry:\n print(spec_of(SPEC).name)\nexcept Exception as e:\n print(e)"
    assert python(tmp_path, code).startswith('nodes[1].type: no such type of node; got "acme.pool"')
    assert python(site, code) == "pooled\n"


def test_an_installed_type_is_checked_drawn_counted_and_built_like_our_own(site: Path) -> None:
    code = """
from archdsl.load.specs import spec_of, override
from archdsl.language.nodes import node_models
spec = spec_of(SPEC)
print("acme.pool" in node_models(), archdsl.graph(spec).nodes["stage1"]["type"], archdsl.count(spec).nodes[1].params)
print(override(spec, ["stage1.window=7"]).node("stage1").window)
try:
    override(spec, ["stage1.window=4"])
except archdsl.SpecError as error:
    print(error)
print("torch" in sys.modules)
import torch
print(tuple(archdsl.build(spec)(torch.zeros(2, 3, 32, 32)).shape))
"""
    assert python(site, code).splitlines() == [
        f"True acme.pool {2 * (4 * 8 + 8 * 8 * 8 + 5 * 8)}",
        "7",
        "nodes[1].window: the window must be odd (stage1 reads 8x8x8 from stem); got window 4; use 5",
        "False",
        "(2, 4)",
    ]


def test_an_installed_type_is_searchable_by_being_declared(site: Path) -> None:
    code = f"""
from archdsl.load.spaces import choices_of, point, space_of
from archdsl.load.specs import spec_of
space = space_of(json.loads({json.dumps(SPACE)!r}))
wanted = {{"stage1": "acme.pool", "stage1.acme.pool.depth": 2, "stage1.acme.pool.window": 5}}
spec, used = point(space, wanted.__getitem__)
print(spec.node("stage1").window, used == wanted, choices_of(space, spec) == wanted)
"""
    assert python(site, code) == "5 True True\n"


def test_the_commands_know_an_installed_type(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "pooled.json"
    file.write_text(json.dumps(SPEC))
    shown = run(site, "-m", "archdsl", "show", str(file))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "acme.pool" in shown.stdout
    cost = run(site, "-m", "archdsl", "cost", str(file), "--json")
    assert json.loads(cost.stdout)["nodes"][1]["type"] == "acme.pool"


@pytest.mark.parametrize("document", [SPEC, SPACE], ids=["arch", "space"])
def test_the_json_schema_knows_an_installed_type(site: Path, document: dict[str, Any]) -> None:
    kind = document["kind"]
    printed = run(site, "-m", "archdsl", "schema", kind)
    assert (printed.returncode, printed.stderr) == (0, "")
    Draft202012Validator(json.loads(printed.stdout)).validate(document)
    shipped = json.loads((SCHEMAS / f"{kind}-1.schema.json").read_text())
    assert not Draft202012Validator(shipped).is_valid(document)


def test_what_a_search_measures_may_be_of_an_installed_type(site: Path) -> None:
    """Each candidate is built and timed in a process of its own."""
    code = """
from archdsl.search.worker.messages import MeasureRequest, MeasuringSetting, Pace
from archdsl.search.worker.process import Worker
setting = MeasuringSetting("cpu", 1, "float32", "eager", 1)
with Worker() as worker:
    reply = worker.ask(MeasureRequest(SPEC, setting, Pace(rounds=3, warmup_s=0.1, settle_s=0.1)), 120.0)
print(min(reply.latency.samples_ms) > 0)
"""
    assert python(site, code) == "True\n"


def test_a_package_declares_parts_of_every_kind_by_the_hooks_of_its_kind(site: Path) -> None:
    (site / "own.py").write_text(EVERY_KIND)
    install(site, "own", "own")
    code = (
        f"nodes = {NODES_OF_EVERY_KIND}\n"
        + """
from archdsl.load.specs import spec_of
spec = spec_of(SPEC | {"nodes": nodes})
print([node.params for node in archdsl.count(spec).nodes], archdsl.graph(spec).nodes["merge"]["shape"])
import torch
model = archdsl.build(spec)
print(sum(parameter.numel() for parameter in model.parameters()), tuple(model(torch.zeros(2, 3, 32, 32)).shape))
"""
    )
    params = [3 * 16 * 8 + 8, 2 * (8 * 8 + 8), 0, 4 * 8 * 16 + 16, 16 * 16 + 16, 16 * 4 + 4]
    assert python(site, code).splitlines() == [f"{params} 16x4x4", f"{sum(params)} (2, 4)"]


BAD = {
    "ImportError": ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    "half declared": ("from acme.blocks import Block, Literal\n{}raise RuntimeError('no license')\n", "no license"),
    "an exit": ("raise SystemExit('goodbye')\n", "SystemExit: goodbye"),
    "a built-in's name": (
        "from acme.blocks import Block, Literal\nclass Mine(Block):\n    type: Literal['mlp']\n",
        "the type 'mlp' is declared by archdsl.families.lit.spec already",
    ),
    "no package's name": (
        "from acme.blocks import Block, Literal\n{}",
        "a type of an installed package is written with its name, as 'bad.thing'",
    ),
}
DECLARED = "class Mine(Block):\n    type: Literal['thing']\n"


@pytest.mark.parametrize("case", BAD)
def test_a_package_that_cannot_be_used_is_a_warning_that_names_it(site: Path, case: str) -> None:
    text, reason = BAD[case]
    (site / "bad.py").write_text(text.format(DECLARED))
    install(site, "bad", "bad")
    code = """
from archdsl.load.specs import spec_of
from archdsl.language.nodes import node_models
print(spec_of(SPEC).name, archdsl.load_spec("litv2_s").name, "thing" in node_models(), node_models()["mlp"].__mro__[-5])
"""
    printed = python(site, code)
    assert "UserWarning: block types of 'bad' (bad) are left out: " in printed
    assert reason in printed
    assert printed.startswith("pooled litv2_s False ")

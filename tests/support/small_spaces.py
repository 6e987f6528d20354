"""Small spaces as Python values, one of them to be spoilt, and what is told of what is wrong."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest

from archdsl import zoo
from archdsl.errors import SpecError
from archdsl.errors import one_of as listed
from archdsl.families.common.base import Part
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.language.nodes import node_models
from archdsl.load.spaces import point, space_of
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables

Raw = dict[str, Any]

STEM: Raw = {"id": "stem", "type": "patch_stem", "width": 16}
MLP: Raw = {"id": "stage1", "type": "mlp", "depth": 1}
HEAD: Raw = {"id": "head", "type": "mean_head"}


def raw(*nodes: Raw, **header: Any) -> Raw:
    return {
        "kind": "space",
        "version": 1,
        "name": "s",
        "image": 32,
        "classes": 4,
        **header,
        "nodes": [STEM, *nodes, HEAD],
    }


def space(*nodes: Raw, **header: Any) -> Space:
    return space_of(raw(*nodes, **header))


def one_of(*values: Any, **more: Any) -> Raw:
    return {"$one_of": list(values), **{f"${key}": value for key, value in more.items()}}


def at(found: Space, **choices: Any) -> Spec:
    """The point with these choices; names are written with __ for a dot."""
    spec, used = point(found, {name.replace("__", "."): value for name, value in choices.items()}.__getitem__)
    assert used == {name.replace("__", "."): value for name, value in choices.items()}
    return spec


def values(found: Space) -> dict[str, tuple[Any, ...]]:
    return {name: variable.values for name, variable in variables(found.nodes).items()}


def refusal(document: Raw) -> list[str]:
    with pytest.raises(SpecError) as caught:
        space_of(document)
    return [str(problem) for problem in caught.value.problems]


def counted(found: Space) -> int:
    """How many different choices give a backbone that holds."""
    by_name = variables(found.nodes)
    seen = set()
    for chosen in itertools.product(*(variable.values for variable in by_name.values())):
        try:
            spec, used = point(found, dict(zip(by_name, chosen, strict=True)).__getitem__)
        except SpecError:
            continue
        seen.add((json.dumps(used, sort_keys=True), canonical_hash(spec)))
    return len(seen)


GOOD = raw(
    MLP | {"depth": one_of(1, 2, name="d"), "mlp": one_of({"type": "plain"}, {"type": "dwconv"})},
    {
        "id": "stage2",
        **one_of({"type": "mlp", "depth": {"$int": [1, 3]}}, {"type": "attention", "depth": 1, "heads": 2}),
    },
    {"id": "stage3", "type": "attention", "depth": {"$expr": "d"}, "heads": 2},
    constraints=["d == 1 or stage2 == 'mlp'"],
    budgets=[{"metric": "latency", "max": 5, "unit": "ms"}],
    objectives=["min params"],
)


def broken(path: str, value: Any) -> Raw:
    document = copy.deepcopy(GOOD)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place: Any = document
    for key in keys:
        place = place[key]
    place[last] = value
    return document


def messages_of(path: str, value: Any) -> list[str]:
    """Of the good space with this value there; a word stands for each list of known names, which grow with families."""
    words = {", ".join(sorted(node_models())): "<nodes>", listed(list(Part.kinds["head"])): "<heads>"}
    words |= {", ".join(zoo.names()): "<zoo>"}
    found = refusal(broken(path, value))
    for names, word in words.items():
        found = [message.replace(names, word) for message in found]
    return found

"""Documents with something changed: broken in every way that comes to mind, or only made larger and smaller."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from archdsl import zoo
from tests.support.places import SPECS

Keys = tuple[Any, ...]


class Mutant(NamedTuple):
    """A changed document: what it was, what was done to it, and its bytes."""

    origin: str
    change: str
    data: bytes


def originals() -> dict[str, dict[str, Any]]:
    """The published backbones, and the small specs of the tests."""
    texts = {name: zoo.text(name) or b"" for name in zoo.names()}
    texts |= {
        f"tests/{path.stem}": path.read_bytes() for path in sorted(SPECS.glob("*.json")) if path.stem != "mistakes"
    }
    return {name: json.loads(text) for name, text in texts.items()}


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """`count` mutants, the same for the same seed; about a third of them only changes sizes."""
    generator = random.Random(seed)
    documents = list(originals().items())
    for _ in range(count):
        name, document = generator.choice(documents)
        document = copy.deepcopy(document)
        change = generator.choice(_SIZES if generator.random() < 0.35 else _CHANGES)
        done = [change.__name__.strip("_")]
        data = change(document, generator)
        if data is None and generator.random() < 0.15:
            second = generator.choice(_CHANGES)
            with suppress(LookupError, TypeError, AttributeError, ValueError):  # the first took away what it works on
                data = second(document, generator)
                done.append(second.__name__.strip("_"))
        yield Mutant(name, " + ".join(done), json.dumps(document).encode() if data is None else data)


def _places(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Every place in a document but its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*keys, key)
        yield from _places(inner, (*keys, key))


def _at(document: Any, keys: Keys) -> Any:
    for key in keys:
        document = document[key]
    return document


def _any_place(document: Any, generator: random.Random) -> tuple[Any, Any]:
    """The container and the key of a place, a whole list less often than what is in it."""
    *path, last = generator.choice(list(_places(document)))
    return _at(document, tuple(path)), last


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"type": value}
    return value


def _odd(generator: random.Random) -> Any:
    small = [None, True, False, 0, -1, 1, 2.5, 3.0, "3", "", "true", [], {}, [1], [[1, 2]], {"type": "layer"}]
    large = [10**400, -(10**29), 2**63, 1e308, -1e308, 1e-308, "x" * 10_000, list(range(2000))]
    other = [{"type": 3}, {"$one_of": [1, 2]}, "\x00", "\u00e9", "\ud800", {f"k{i}": i for i in range(500)}]
    return generator.choice([*small, *large, *other, _deep(9), _deep(20), _deep(60), _deep(61)])


def _remove_a_key(document: Any, generator: random.Random) -> None:
    container, key = _any_place(document, generator)
    del container[key]


def _misspell_a_key(document: Any, generator: random.Random) -> None:
    objects = [keys for keys in _places(document) if isinstance(keys[-1], str)]
    *path, key = generator.choice(objects)
    container, middle = _at(document, tuple(path)), generator.randrange(len(key))
    wrong = generator.choice([key.upper(), key[:middle] + key[middle + 1 :], key + "s", key[::-1], f"${key}", ""])
    container[wrong] = container.pop(key)


def _put_an_odd_value(document: Any, generator: random.Random) -> None:
    container, key = _any_place(document, generator)
    container[key] = _odd(generator)


def _add_an_odd_field(document: Any, generator: random.Random) -> None:
    objects = [(), *(keys for keys in _places(document) if isinstance(_at(document, keys), dict))]
    added = generator.choice(["type", "norm", "heads", "from", "blocks", "class_token", "features", "$name", "zzz"])
    _at(document, generator.choice(objects))[added] = _odd(generator)


def _copy_a_value(document: Any, generator: random.Random) -> None:
    container, key = _any_place(document, generator)
    other, source = _any_place(document, generator)
    container[key] = copy.deepcopy(other[source])


def _make_a_cycle(document: Any, generator: random.Random) -> None:
    index = generator.randrange(len(document["nodes"]))
    later = generator.randrange(index, len(document["nodes"]))
    document["nodes"][index]["from"] = document["nodes"][later]["id"]


def _let_a_source_dangle(document: Any, generator: random.Random) -> None:
    node = generator.choice(document["nodes"])
    node["from"] = generator.choice(["nobody", "stem.class", ["stem", "nobody"], "stem.", ".", 5, [], ["stem"] * 17])


def _read_another_node(document: Any, generator: random.Random) -> None:
    node, other = generator.choice(document["nodes"]), generator.choice(document["nodes"])
    node["from"] = generator.choice([other["id"], [other["id"]], f"{other['id']}.pixels", f"{other['id']}.class"])


def _duplicate_a_node(document: Any, generator: random.Random) -> None:
    index = generator.randrange(len(document["nodes"]))
    node = copy.deepcopy(document["nodes"][index])
    if generator.random() < 0.6:
        node["id"] += "_again"
    document["nodes"].insert(index + 1, node)


def _duplicate_a_node_often(document: Any, generator: random.Random) -> None:
    index = generator.randrange(len(document["nodes"]))
    node = document["nodes"][index]
    copies = [{**copy.deepcopy(node), "id": f"{node['id']}_{i}"} for i in range(generator.choice([20, 120, 400]))]
    document["nodes"][index + 1 : index + 1] = copies


def _swap_two_nodes(document: Any, generator: random.Random) -> None:
    nodes = document["nodes"]
    first, second = generator.sample(range(len(nodes)), 2)
    nodes[first], nodes[second] = nodes[second], nodes[first]


def _remove_a_node(document: Any, generator: random.Random) -> None:
    del document["nodes"][generator.randrange(len(document["nodes"]))]


def _change_a_type(document: Any, generator: random.Random) -> None:
    nodes = document["nodes"]
    generator.choice(nodes)["type"] = generator.choice([*(node["type"] for node in nodes), "sequence", "add_join", "x"])


def _cut_off_the_text(document: Any, generator: random.Random) -> bytes:
    text = json.dumps(document)
    return text[: generator.randrange(len(text))].encode()


def _flip_bytes(document: Any, generator: random.Random) -> bytes:
    data = bytearray(json.dumps(document).encode())
    for _ in range(generator.randint(1, 4)):
        data[generator.randrange(len(data))] = generator.randrange(256)
    return bytes(data)


def _set_a_key_twice(document: Any, generator: random.Random) -> bytes:
    key = generator.choice(list(document))
    return (json.dumps(document)[:-1] + f', "{key}": {json.dumps(document[key])}}}').encode()


def _write_a_huge_document(document: Any, generator: random.Random) -> bytes:
    kind = generator.randrange(4)
    if kind == 0:
        return json.dumps({**document, **{f"field{i}": i for i in range(40_000)}}).encode()
    if kind == 1:
        generator.choice(document["nodes"]).update({f"field{i}": i for i in range(40_000)})
    elif kind == 2:
        document["nodes"] = [{"id": "a", "type": "mlp", **{f"f{i}": i for i in range(200)}}] * 250
    else:
        return b"[" * 900_000
    return json.dumps(document).encode()


def _between(generator: random.Random, low: float, high: float) -> int:
    """Small values as often as large ones."""
    return int(low * (high / low) ** generator.random())


_BOUNDS = {"width": (4, 8192), "depth": (1, 64), "heads": (1, 256), "window": (1, 128), "patch": (1, 16)}


def _change_sizes(document: Any, generator: random.Random) -> None:
    nodes = [node for node in document["nodes"] if set(_BOUNDS) & set(node)]
    for node in generator.sample(nodes, generator.randint(1, min(3, len(nodes)))):
        field = generator.choice(sorted(set(_BOUNDS) & set(node)))
        node[field] = _between(generator, *_BOUNDS[field])


def _change_the_image(document: Any, generator: random.Random) -> None:
    side = _between(generator, 16, 4096)
    document["image"] = generator.choice([side, [side, _between(generator, 16, 4096)]])


def _change_all_widths(document: Any, generator: random.Random) -> None:
    factor = generator.choice([0.25, 0.5, 2, 3, 4, 6, 8])
    for node in document["nodes"]:
        for field in set(node) & {"width", "heads"}:
            node[field] = max(int(node[field] * factor), 1)
    _change_the_image(document, generator)


def _deepen(document: Any, generator: random.Random) -> None:
    for node in document["nodes"]:
        if "depth" in node and generator.random() < 0.6:
            node["depth"] = _between(generator, 1, 64)


def _change_the_ends(document: Any, generator: random.Random) -> None:
    document["classes"] = _between(generator, 1, 100_000)
    document["channels"] = _between(generator, 1, 64)
    document["drop_path"] = generator.random()


def _change_the_blocks(document: Any, generator: random.Random) -> None:
    stages = [node for node in document["nodes"] if "depth" in node and node["type"] != "sequence"]
    for node in generator.sample(stages, min(2, len(stages))):
        node["mlp"] = {"type": generator.choice(["dwconv", "dwconv_residual"]), "kernel": generator.choice([3, 7, 31])}
        node["mlp"]["ratio"] = generator.choice([0.25, 1, 8, 16])
        node["norm"] = generator.choice(
            [{"type": "batch"}, {"type": "layer", "eps": 1}, {"type": "group", "groups": 2}]
        )
        node |= {"position_embedding": True, "local_perception": True, "out_norm": "always", "layer_scale": 10}


Change = Callable[[Any, random.Random], bytes | None]
_CHANGES: list[Change] = [
    _remove_a_key,
    _misspell_a_key,
    _put_an_odd_value,
    _put_an_odd_value,
    _add_an_odd_field,
    _copy_a_value,
    _make_a_cycle,
    _let_a_source_dangle,
    _read_another_node,
    _duplicate_a_node,
    _duplicate_a_node_often,
    _swap_two_nodes,
    _remove_a_node,
    _change_a_type,
    _cut_off_the_text,
    _flip_bytes,
    _set_a_key_twice,
    _write_a_huge_document,
]
_SIZES: list[Change] = [
    _change_sizes,
    _change_sizes,
    _change_the_image,
    _change_all_widths,
    _deepen,
    _change_the_ends,
    _change_the_blocks,
]

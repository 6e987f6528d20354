"""Who reads whom: sources by their names, ports by what they carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archdsl.errors import Keys, Problem, nearest, one_of, short
from archdsl.families.common.base import Head, Join, Stem
from archdsl.json_types import list_in
from archdsl.language.checking.draft import FEWEST_NODES, Draft
from archdsl.language.nodes import Node, node_models
from archdsl.shape import PORTS, Tokens


class Link(NamedTuple):
    """An edge: the node that is read, by its index, and which of its ports."""

    source: int
    port: str


Links = tuple[Link, ...]


def link(draft: Draft, problems: list[Problem]) -> list[Links | None]:
    """The sources of every node, or None where they cannot be known; problems are added to the list."""
    places = {name: index for index in reversed(range(len(draft.nodes))) if (name := draft.id_of(index)) is not None}
    links = [_links_of(draft, index, places, problems) for index in range(len(draft.nodes))]
    if len(draft.nodes) >= FEWEST_NODES:
        problems += _head_problems(draft)
        problems += _unread_problems(draft, places)
    problems += _feature_problems(draft, places)
    return links


def _links_of(draft: Draft, index: int, places: dict[str, int], problems: list[Problem]) -> Links | None:
    node = draft.nodes[index]
    if node is None:
        return None
    keys: Keys = ("nodes", index, "from")
    if node.kind == "stem":
        if node.sources is not None:
            problems.append(Problem(keys, "a stem reads the image", short(node.from_), 'remove "from"'))
        return ()
    if node.sources is None and index == 0:
        stems = [name for name, model in node_models().items() if issubclass(model, Stem)]
        rule = "the first node must be a stem"
        problems.append(Problem((*keys[:2], "type"), rule, short(node.type), f"start with {one_of(stems)}"))
        return None
    sources = [_source(draft, index, place, written, places, problems) for place, written in _written(draft, index)]
    clear = [source for source in sources if source is not None]
    return _by_port(draft, index, node, clear, problems) if len(clear) == len(sources) else None


def _written(draft: Draft, index: int) -> list[tuple[Keys, str]]:
    """The sources of a node as written, each with its place; the node before where none is."""
    node = draft.nodes[index]
    assert node is not None
    keys: Keys = ("nodes", index, "from")
    if node.sources is None:
        return [(keys[:2], draft.id_of(index - 1) or "")]
    if isinstance(node.from_, str):
        return [(keys, node.from_)]
    return [((*keys, place), source) for place, source in enumerate(node.sources)]


class _Source(NamedTuple):
    keys: Keys
    node: int
    port: str | None


def _source(
    draft: Draft, index: int, keys: Keys, written: str, places: dict[str, int], problems: list[Problem]
) -> _Source | None:
    """One written source: an earlier node, and the port if it is named."""
    name, _, port = written.partition(".")
    if len(keys) == 2:
        return _Source(keys, index - 1, None)
    if name not in places:
        earlier = [other for other, place in places.items() if place < index]
        problems.append(Problem(keys, "no node has this id", short(name), nearest(name, earlier)))
    elif places[name] == index:
        problems.append(Problem(keys, "a node cannot read itself", short(name), "name an earlier node"))
    elif places[name] > index:
        rule = f"a node must come after all nodes that it reads; '{name}' is nodes[{places[name]}]"
        problems.append(Problem(keys, rule, short(name), "move it up, or read an earlier node"))
    else:
        return _Source(keys, places[name], port or None)
    return None


def _by_port(draft: Draft, index: int, node: Node, sources: list[_Source], problems: list[Problem]) -> Links | None:
    """Sources put to the ports that the node reads."""
    if isinstance(node, Join):
        ports = ("pixels",) * len(sources)
        if not node.fewest <= len(sources) <= node.most:
            rule = f"{node.type} reads {node.fewest} to {node.most} sources"
            keys: Keys = ("nodes", index, "from") if node.sources else ("nodes", index)
            problems.append(Problem(keys, rule, str(len(sources)), 'list them in "from"'))
            return None
    else:
        ports = node.reads
        if len(sources) not in (1, len(ports)):
            several = f", or {len(ports)}" if len(ports) > 1 else ""
            rule = f"{node.type} reads {' and '.join(ports)}: one source{several}"
            remedy = None if several else _one_remedy(draft, sources)
            problems.append(Problem(("nodes", index, "from"), rule, f"{len(sources)} sources", remedy))
            return None
        if len(sources) == 1:
            ports = tuple(port for port in ports if port not in node.optional or _serves(draft, sources[0], port))
            sources = sources * len(ports)
    links = [_port(draft, node, source, port, problems) for source, port in zip(sources, ports, strict=True)]
    clear = tuple(link for link in links if link is not None)
    return clear if len(clear) == len(links) else None


def _gives(draft: Draft, index: int, port: str) -> bool:
    """Whether a node gives a port; False for one that is not known."""
    node = draft.nodes[index]
    return node is not None and port in node.gives


def _serves(draft: Draft, source: _Source, wanted: str) -> bool:
    """Whether a source that serves all ports has one for a port that need not be read."""
    giver = draft.nodes[source.node]
    return giver is not None and wanted in giver.gives and source.port in (None, wanted)


def _port(draft: Draft, reader: Node, source: _Source, wanted: str, problems: list[Problem]) -> Link | None:
    """The port of a source that serves a wanted one: of its name, or the one that the document names."""
    giver = draft.nodes[source.node]
    if giver is None:
        return None
    port = source.port or wanted
    if port in giver.gives and PORTS[port] is PORTS[wanted]:
        return Link(source.node, port)
    if port in giver.gives or not source.port or not giver.gives:
        rule, value = f"{reader.id} reads {wanted}, and {giver.id} gives {' and '.join(giver.gives) or 'nothing'}", None
    else:
        rule, value = f"{giver.id} has no such port; it gives {' and '.join(giver.gives)}", short(source.port)
    problems.append(Problem(source.keys, rule, value, _port_remedy(draft, source, giver, reader, wanted)))
    return None


def _one_remedy(draft: Draft, sources: list[_Source]) -> str:
    """What to do with several sources of a node that reads one map."""
    maps = [draft.id_of(source.node) for source in sources if _gives(draft, source.node, "pixels")]
    alone = len(maps) == 1 and len(sources) > 1
    return f'write "{maps[0]}"' if alone else "join maps with an add_join or a concat_join first"


def _port_remedy(draft: Draft, source: _Source, giver: Node, reader: Node, wanted: str) -> str:
    """What to read instead: another port of the same node, else another node."""
    port = source.port
    if (port or wanted) == "class" and PORTS[wanted] is Tokens and "class_token" in type(giver).model_fields:
        return f'give {giver.id} "class_token": true'
    if port is not None and wanted in giver.gives:
        return f'write "{giver.id}"'
    if set(reader.reads) == {"pixels", "semantics"} and set(giver.gives) <= set(reader.reads):
        return _pathways_remedy(draft, source.node, wanted)
    return _other_remedy(draft, reader, wanted)


def _other_remedy(draft: Draft, reader: Node, wanted: str) -> str:
    """Which earlier node gives what is wanted, or which types would."""
    place = next(index for index, node in enumerate(draft.nodes) if node is reader)
    names = [draft.id_of(index) for index in range(place) if _gives(draft, index, wanted)]
    if names:
        return f"read {names[-1]}, which gives {wanted}"
    if wanted == "class":
        makers = [name for name, model in node_models().items() if "class_token" in model.model_fields]
        return f'read a stage of type {one_of(makers)} with "class_token": true'
    return f"read a node that gives {wanted}"


def _pathways_remedy(draft: Draft, giver: int, wanted: str) -> str:
    """How a node gets both pathways where the one that it reads gives the other alone."""
    name = draft.id_of(giver)
    others = [draft.id_of(place) for place in range(giver) if _gives(draft, place, wanted)]
    if wanted == "pixels":
        return f'write "from": ["{others[-1]}", "{name}"]' if others else "read a node that gives pixels"
    if not others:
        return f'add a semantic_stem that reads {name}, and write "from": ["{name}", "semantic_stem"]'
    return f'write "from": ["{name}", "{others[-1]}"], with a semantic_merge between where the widths differ'


def _head_problems(draft: Draft) -> list[Problem]:
    heads = [index for index, node in enumerate(draft.nodes) if isinstance(node, Head)]
    if not heads and None not in draft.nodes:
        types = [name for name, model in node_models().items() if issubclass(model, Head)]
        return [Problem(("nodes",), "exactly one head is needed; there is none", None, f"end with {one_of(types)}")]
    return [
        Problem(("nodes", index), f"exactly one head is needed; nodes[{heads[0]}] is one too", None, "remove one")
        for index in heads[1:]
    ]


def _unread_problems(draft: Draft, places: dict[str, int]) -> Iterator[Problem]:
    """A node or a class token that nobody reads is a mistake in an arch document.

    Nothing is said of what stands before a source that cannot be read, or before a head that is missing: it may have
    been meant.
    """
    reads, unclear = _reads(draft, places)
    read = {index for index, _ in reads}
    for index, node in enumerate(draft.nodes):
        if node is None or isinstance(node, Head) or index < unclear:
            continue
        keys, name = ("nodes", index), node.id
        if index not in read:
            yield Problem(keys, f"no node reads {name}", None, 'name it in the "from" of a later node, or remove it')
        elif getattr(node, "class_token", False) and not {(index, "class"), (index, None)} & reads:
            rule = f"no node reads the class token of {name}"
            yield Problem((*keys, "class_token"), rule, "true", "set it false, or read it with a class_token_head")


def _reads(draft: Draft, places: dict[str, int]) -> tuple[set[tuple[int, str | None]], int]:
    """(node, port) of everything that somebody names or stands after, and the last node with a source unclear."""
    reads: set[tuple[int, str | None]] = set()
    headless = not any(node is None or isinstance(node, Head) for node in draft.nodes)
    unclear = len(draft.nodes) if headless else 0
    for index, raw in enumerate(list_in(draft.raw["nodes"])):
        node = draft.nodes[index]
        ports: tuple[str | None, ...] = node.reads if node is not None else (None,)
        written = raw.get("from") if isinstance(raw, dict) else None
        if written is None:
            reads |= {(index - 1, port) for port in ports} if not isinstance(node, Stem) else set()
            continue
        for source in written if isinstance(written, list | tuple) else [written]:
            name, _, port = str(source).partition(".")
            place = places.get(name, index)
            reads |= {(place, each) for each in ((port,) if port else ports)}
            unclear = index if place >= index else unclear
        unclear = unclear if written else index
    return reads, unclear


def _feature_problems(draft: Draft, places: dict[str, int]) -> Iterator[Problem]:
    """`features` names nodes that give a map, each once."""
    listed = (draft.header and draft.header.features) or ()
    fitting = [name for name, index in places.items() if draft.nodes[index] is None or _gives(draft, index, "pixels")]
    for place, name in enumerate(listed):
        node = draft.nodes[places[name]] if name in places else None
        if name not in places:
            yield Problem(("features", place), "no node has this id", short(name), nearest(name, fitting))
        elif node is not None and "pixels" not in node.gives:
            yield Problem(("features", place), f"{name} gives no map", short(name), "name a node that gives pixels")
        elif name in listed[:place]:
            yield Problem(
                ("features", place), "each feature must be listed only once", short(name), "remove one of the two"
            )

"""Who reads whom: sources found by name, ports by what they carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from archdsl.blocks.base import Head, Join, Stem
from archdsl.errors import Keys, Problem, nearest, short
from archdsl.schema.draft import Draft
from archdsl.shape import PORTS


class Link(NamedTuple):
    """An edge: the node that is read, by its index, and which of its ports."""

    source: int
    port: str


Links = tuple[Link, ...]


def link(draft: Draft, problems: list[Problem]) -> list[Links | None]:
    """The sources of every node, or None where they cannot be known; problems are added to the list."""
    places = {name: index for index in reversed(range(len(draft.nodes))) if (name := draft.id_of(index)) is not None}
    links = [_links_of(draft, index, places, problems) for index in range(len(draft.nodes))]
    if len(draft.nodes) >= 3:
        problems += _head_problems(draft)
        problems += _unread_problems(draft, _raw_reads(draft, places))
    problems += _feature_problems(draft, places)
    return links


def _links_of(draft: Draft, index: int, places: dict[str, int], problems: list[Problem]) -> Links | None:
    node = draft.nodes[index]
    if node is None:
        return None
    keys: Keys = ("nodes", index, "from")
    if isinstance(node, Stem):
        if node.sources is not None:
            problems.append(Problem(keys, "a stem reads the image", short(node.from_), 'remove "from"'))
        return ()
    if node.sources is None and index == 0:
        problems.append(Problem(("nodes", 0), "the first node must be a stem", node.type, "start with a stem"))  # type: ignore[attr-defined]
        return None
    found = [_source(draft, index, place, written, places, problems) for place, written in _written(draft, index)]
    return _by_port(draft, index, found, problems) if all(found) else None


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
    index: int
    port: str | None


def _source(
    draft: Draft, index: int, keys: Keys, written: str, places: dict[str, int], problems: list[Problem]
) -> _Source | None:
    """One written source: an earlier node, and the port if it is named."""
    name, _, port = written.partition(".")
    if len(keys) == 2:
        return _Source(keys, index - 1, None)
    if name not in places:
        problems.append(Problem(keys, "no node has this id", short(name), nearest(name, places)))
    elif places[name] == index:
        problems.append(Problem(keys, "a node cannot read itself", short(name), "name an earlier node"))
    elif places[name] > index:
        rule = f"a node stands after all that it reads; '{name}' stands at nodes[{places[name]}]"
        problems.append(Problem(keys, rule, short(name), "move it up, or read an earlier node"))
    else:
        return _Source(keys, places[name], port or None)
    return None


def _by_port(draft: Draft, index: int, found: list[Any], problems: list[Problem]) -> Links | None:
    """Sources put to the ports that the node reads."""
    node: Any = draft.nodes[index]
    if isinstance(node, Join):
        wanted = ("pixels",) * len(found)
        if not node.fewest <= len(found) <= node.most:
            rule = f"{node.type} reads {node.fewest} to {node.most} sources"  # type: ignore[attr-defined]
            keys = ("nodes", index, "from") if node.sources else ("nodes", index)  # type: ignore[attr-defined]
            problems.append(Problem(keys, rule, str(len(found)), 'list them in "from"'))
            return None
    else:
        wanted = node.reads
        if len(found) not in (1, len(wanted)):
            rule = f"{node.type} reads {' and '.join(wanted)}: one source for all, or {len(wanted)}"
            problems.append(Problem(("nodes", index, "from"), rule, f"{len(found)} sources"))
            return None
        found = found * len(wanted) if len(found) == 1 else found
    links = [_port(draft, node, source, port, problems) for source, port in zip(found, wanted, strict=True)]
    known = tuple(link for link in links if link is not None)
    return known if len(known) == len(links) else None


def _port(draft: Draft, reader: Any, source: _Source, wanted: str, problems: list[Problem]) -> Link | None:
    """The port of a source that serves a wanted one: of its name, or the one that the document names."""
    giver: Any = draft.nodes[source.index]
    if giver is None:
        return None
    port, name = source.port or wanted, draft.id_of(source.index)
    if port not in giver.gives:
        given = " and ".join(giver.gives) or "nothing"
        remedy = f"read a node that gives {wanted}"
        if port == "class" and "class_token" in type(giver).model_fields:
            remedy = f'give {name} "class_token": true'
        problems.append(Problem(source.keys, f"{reader.id} reads {port} of {name}, which gives {given}", None, remedy))
    elif PORTS[port] is not PORTS[wanted]:
        problems.append(Problem(source.keys, f"{reader.id} reads {wanted}, and {name}.{port} is of another kind"))
    else:
        return Link(source.index, port)
    return None


def _head_problems(draft: Draft) -> list[Problem]:
    heads = [index for index, node in enumerate(draft.nodes) if isinstance(node, Head)]
    if not heads and None not in draft.nodes:
        return [Problem(("nodes",), "exactly one head is needed; there is none", None, "end with a head")]
    return [
        Problem(("nodes", index), f"exactly one head is needed; nodes[{heads[0]}] is one too", None, "remove one")
        for index in heads[1:]
    ]


def _raw_reads(draft: Draft, places: dict[str, int]) -> set[tuple[int, str | None]]:
    """(node, port) of everything that somebody names or stands after, also where the reader is refused."""
    reads: set[tuple[int, str | None]] = set()
    for index, raw in enumerate(draft.raw["nodes"]):
        node: Any = draft.nodes[index]
        written = raw.get("from") if isinstance(raw, dict) else None
        if written is None:
            wanted = node.reads if node is not None else (None,)
            reads |= {(index - 1, port) for port in wanted} if not isinstance(node, Stem) else set()
            continue
        for source in written if isinstance(written, list | tuple) else [written]:
            name, _, port = str(source).partition(".")
            for wanted_port in (port,) if port else (node.reads if node is not None else (None,)):
                reads.add((places.get(name, -1), wanted_port))
    return reads


def _unread_problems(draft: Draft, reads: set[tuple[int, str | None]]) -> Iterator[Problem]:
    """A node or a class token that nobody reads is a mistake in an arch document."""
    read = {index for index, _ in reads}
    for index, node in enumerate(draft.nodes):
        if node is None or isinstance(node, Head):
            continue
        keys, name = ("nodes", index), node.id
        if index not in read:
            yield Problem(keys, f"nobody reads {name}", None, 'name it in the "from" of a later node, or remove it')
        elif getattr(node, "class_token", False) and not {(index, "class"), (index, None)} & reads:
            rule = f"nobody reads the class token of {name}"
            yield Problem((*keys, "class_token"), rule, "true", "set it false, or read it with a class_token_head")


def _feature_problems(draft: Draft, places: dict[str, int]) -> Iterator[Problem]:
    """`features` names nodes that give a map."""
    for place, name in enumerate((draft.header and draft.header.features) or ()):
        node: Any = draft.nodes[places[name]] if name in places else None
        if name not in places:
            yield Problem(("features", place), "no node has this id", short(name), nearest(name, places))
        elif node is not None and "pixels" not in node.gives:
            yield Problem(("features", place), f"{name} gives no map", short(name), "name a node that gives pixels")

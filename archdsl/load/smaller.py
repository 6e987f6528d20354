"""A network made smaller as a whole: fewer blocks in every stage, or fewer channels everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archdsl.cost import count
from archdsl.errors import ArchError
from archdsl.json_types import Json, JsonObject, objects_in, text_in
from archdsl.language.block_lists import as_stage, block_documents, is_listable
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.load.specs import spec_of

_DENOMINATORS = (2, 3, 4, 5, 6, 7, 8, 12, 16)
_CHANNELS = ("width", "hidden")
_HEADS, _GROUPS = "heads", "groups"


def with_fewer_blocks(spec: Spec, share: float) -> Spec:
    """The network with a share of the blocks of each stage: the first, the last, and those between evenly."""
    document, nodes = spec.to_json(), list[Json]()
    for written in objects_in(document["nodes"]):
        node = spec.node(text_in(written["id"]))
        if not is_listable(node):
            nodes.append(written)
            continue
        blocks = block_documents(node)
        count_kept = max(1, round(share * len(blocks)))
        last = max(count_kept - 1, 1)
        kept = [blocks[round(place * (len(blocks) - 1) / last)] for place in range(count_kept)]
        nodes.append(as_stage(written, kept))
    return spec_of({**document, "nodes": nodes})


def narrower(spec: Spec) -> Iterator[tuple[Fraction, Spec]]:
    """The network with a share of its channels, from the largest share below 1 on, as far as whole numbers allow.

    Heads keep their width and become fewer; where their number cannot have that share, they become narrower.
    """
    hashes = {canonical_hash(spec)}
    shares = {Fraction(part, whole) for whole in _DENOMINATORS for part in range(1, whole)}
    for share in sorted(shares, reverse=True):
        made = _narrowed(spec, share)
        if made is not None and (made_hash := canonical_hash(made)) not in hashes:
            hashes.add(made_hash)
            yield share, made


def _narrowed(spec: Spec, share: Fraction) -> Spec | None:
    """The network with such a share of its channels; None where there is none."""
    document = spec.to_json()
    nodes = [_of_fewer(node, share) for node in objects_in(document["nodes"])]
    if None in nodes:
        return None
    try:
        made = spec_of({**document, "nodes": [*nodes]})
        count(made)
    except ArchError:
        return None
    return made


def _of_fewer(part: JsonObject, share: Fraction) -> JsonObject | None:
    """A node or a block of fewer channels; None where one of its numbers has no such share."""
    made = dict(part)
    for name in _CHANNELS:
        if isinstance(before := part.get(name), int):
            if (now := before * share).denominator != 1:
                return None
            made[name] = int(now)
    if isinstance(heads := part.get(_HEADS), int):
        now = heads * share
        made[_HEADS] = kept = int(now) if now.denominator == 1 else heads
        if isinstance(groups := part.get(_GROUPS), int):
            most = max(1, round(groups * share))
            made[_GROUPS] = max(number for number in range(1, most + 1) if kept % number == 0)
    if isinstance(part.get("blocks"), list):
        blocks = [_of_fewer(block, share) for block in objects_in(part["blocks"])]
        if None in blocks:
            return None
        made["blocks"] = [*blocks]
    return made

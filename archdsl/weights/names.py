"""Our tensor names under their published ones, by the names that the declarations give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from archdsl.compile import Backbone
from archdsl.errors import WeightsError, nearest
from archdsl.families.common.base import Part
from archdsl.families.common.stage import Stage
from archdsl.families.common.tensor_names import Scheme
from archdsl.families.schemes import SCHEMES

COUNTERS = ".num_batches_tracked"
"""How a batch norm's counter ends; no published network computes with it."""


def published_names(model: Backbone, names: Iterable[str]) -> dict[str, str]:
    """Our tensor names with the published ones.

    Raises:
        WeightsError: the spec names no scheme of published weights, or one that is not known.
    """
    scheme = scheme_of(model)
    if scheme is None:
        raise WeightsError('the spec names no published weights; add "weights": ...')
    return names_by(scheme, model, names)


def names_by(scheme: Scheme, model: Backbone, names: Iterable[str]) -> dict[str, str]:
    """Our tensor names with those that a scheme gives them."""
    return {name: _placed(_inside(model, name), scheme) for name in names}


def scheme_of(model: Backbone) -> Scheme | None:
    """The scheme that the spec's `weights` names, if it names one.

    Raises:
        WeightsError: it is not known.
    """
    name = model.spec.weights
    if name is None:
        return None
    if name not in SCHEMES:
        raise WeightsError(f"no such scheme of published weights: '{name}'; {nearest(name, SCHEMES)}")
    return SCHEMES[name]


def part_of(model: Backbone, name: str) -> Part:
    """The declaration of the part that a tensor belongs to: a node, or a block of its stage."""
    node_id, _, rest = name.partition(".")
    node = model.spec.node(node_id)
    assert isinstance(node, Part)
    blocks = node.parts() if isinstance(node, Stage) else ()
    index = re.match(r"blocks\.(\d+)\.", rest)
    return blocks[int(index.group(1)) % len(blocks)][1] if blocks and index else node


def _inside(model: Backbone, name: str) -> str:
    """A name with the published parts inside its node, still under the node's id."""
    node_id, _, rest = name.partition(".")
    for theirs, mine in part_of(model, name).published.items():
        rest = re.sub(rf"(^|\.){re.escape(mine)}(?=\.|$)", rf"\g<1>{theirs}", rest, count=1)
    return f"{node_id}.{rest}"


def _placed(name: str, scheme: Scheme) -> str:
    """A name with our node's prefix replaced by the published place."""
    for ours, theirs in scheme.inside:
        name = name.replace(ours, theirs)
    for ours, theirs in scheme.prefixes:
        start = re.match(re.sub(r"\\{([a-z])\\}", r"(?P<\1>\\d+)", re.escape(ours)), name)
        if start:
            return _numbered(theirs, start.groupdict()) + name[start.end() :]
    return name


def _numbered(place: str, numbers: Mapping[str, str]) -> str:
    """A published place with its numbers put in: `{2i+1}` for a block's number i."""

    def number(hole: re.Match[str]) -> str:
        return str(int(hole["times"] or 1) * int(numbers[hole["name"]]) + int(hole["plus"] or 0))

    return re.sub(r"\{(?P<times>\d*)(?P<name>[a-z])(?P<plus>[+-]\d+)?\}", number, place)

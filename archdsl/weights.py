"""Published checkpoints into our modules, by the names that the declarations give; strict both ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from archdsl.blocks.published import SCHEMES, Scheme
from archdsl.compile import Backbone
from archdsl.errors import WeightsError, nearest

_MOST_NAMED = 10


def import_weights(model: Backbone, state_dict: Mapping[str, Tensor]) -> None:
    """Load a checkpoint's tensors, under the published names of the spec's `weights` or under ours.

    Nothing may be missing and nothing left over; derived buffers and counters are skipped by name.

    Raises:
        WeightsError: names that are missing or left over, with the nearest of the other side, or wrong shapes. The
            model is unchanged then.
    """
    ours = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    scheme = _scheme(model)
    names = {name: name for name in ours}
    if scheme is not None and not _are_ours(state_dict, ours):
        names = published_names(model, ours)
    skip = (".num_batches_tracked", *(scheme.skip if scheme else ()))
    given = {name: tensor for name, tensor in state_dict.items() if not name.endswith(skip)}
    _check(names, given, ours)
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(given[names[name]].reshape(tensor.shape))


def published_names(model: Backbone, names: Iterable[str]) -> dict[str, str]:
    """Our tensor names with the published ones.

    Raises:
        WeightsError: the spec names no scheme of published weights, or one that is not known.
    """
    scheme = _scheme(model)
    if scheme is None:
        raise WeightsError('the spec names no published weights; add "weights": ...')
    inside = {name: _inside(model, name) for name in names}
    return {name: _placed(text, scheme) for name, text in inside.items()}


def _scheme(model: Backbone) -> Scheme | None:
    name = model.spec.weights
    if name is None:
        return None
    if name not in SCHEMES:
        raise WeightsError(f"no such scheme of published weights: '{name}'; {nearest(name, SCHEMES)}")
    return SCHEMES[name]


def _are_ours(state_dict: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is in our own names: most of ours are there."""
    return sum(name in state_dict for name in ours) * 2 > len(ours)


def _inside(model: Backbone, name: str) -> str:
    """A name with the published parts inside its node, still under the node's id."""
    node_id, _, rest = name.partition(".")
    node: Any = model.spec.node(node_id)
    for theirs, mine in _tables(node, rest):
        rest = re.sub(rf"(^|\.){re.escape(mine)}(?=\.|$)", rf"\g<1>{theirs}", rest, count=1)
    return f"{node_id}.{rest}"


def _tables(node: Any, rest: str) -> list[tuple[str, str]]:
    """The (theirs, ours) names of the part that a tensor belongs to."""
    blocks = node.parts() if hasattr(node, "parts") else ()
    index = re.match(r"blocks\.(\d+)\.", rest)
    part = blocks[int(index.group(1)) % len(blocks)][1] if blocks and index else node
    return list(part.published.items())


def _placed(name: str, scheme: Scheme) -> str:
    """A name with our node's prefix replaced by the published place."""
    for ours, theirs in scheme.inside:
        name = name.replace(ours, theirs)
    for ours, theirs in scheme.prefixes:
        found = re.match(re.sub(r"\\{([a-z])\\}", r"(?P<\1>\\d+)", re.escape(ours)), name)
        if found:
            return _numbered(theirs, found.groupdict()) + name[found.end() :]
    return name


def _numbered(place: str, numbers: Mapping[str, str]) -> str:
    """A published place with its numbers put in: `{2i+1}` for a block's number i."""

    def number(hole: re.Match[str]) -> str:
        return str(int(hole["times"] or 1) * int(numbers[hole["name"]]) + int(hole["plus"] or 0))

    return re.sub(r"\{(?P<times>\d*)(?P<name>[a-z])(?P<plus>[+-]\d+)?\}", number, place)


def _check(names: Mapping[str, str], given: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    wanted = set(names.values())
    missing, left = sorted(wanted - set(given)), sorted(set(given) - wanted)
    lines = [f"missing: {name}{_near(name, left)}" for name in missing[:_MOST_NAMED]]
    lines += [f"left over: {name}{_near(name, missing)}" for name in left[:_MOST_NAMED]]
    if missing or left:
        raise WeightsError(
            f"the checkpoint does not fit: {len(missing)} tensors missing, {len(left)} left over\n" + "\n".join(lines)
        )
    wrong = [
        f"{names[name]}: the checkpoint has {tuple(given[names[name]].shape)}, the model {tuple(tensor.shape)}"
        for name, tensor in ours.items()
        if not _fits(given[names[name]].shape, tensor.shape)
    ]
    if wrong:
        raise WeightsError(f"{len(wrong)} tensors have other shapes\n" + "\n".join(wrong[:_MOST_NAMED]))


def _fits(given: torch.Size, ours: torch.Size) -> bool:
    """Equal shapes, or a published 1x1 convolution (C, D, 1, 1) that is a Linear (C, D) here."""
    return given == ours or (len(ours) == 2 and given == (*ours, 1, 1))


def _near(name: str, others: list[str]) -> str:
    near = nearest(name, others) if others else ""
    return f"; {near}" if near.startswith("did you mean") else ""

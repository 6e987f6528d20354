"""Which networks of a space to measure: few that hold every part of it, others to calibrate on, others to test with."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from archdsl.errors import MeasureError, SpecError
from archdsl.families.common.stage import Stage
from archdsl.graphs import plan
from archdsl.json_types import Scalar
from archdsl.language.canonical import canonical_hash
from archdsl.language.document import Spec
from archdsl.latency.tables.parts import parts
from archdsl.load.spaces import draw, point
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable, variables

if TYPE_CHECKING:
    from torch import nn

MOST_POINTS = 12_000
"""Points up to which a space is walked through; of a larger one so many are drawn at most."""
FRUITLESS = 500
"""Draws in a row without a part that was not seen before, after which drawing ends."""


class Survey(NamedTuple):
    """The networks to measure, by role; none of the last two roles is equal to one of another role."""

    carriers: tuple[Spec, ...]
    """Every part of the space that was found is in one of them."""
    calibration: tuple[Spec, ...]
    held_out: tuple[Spec, ...]
    keys: frozenset[str]
    """The parts of the space."""
    whole: frozenset[str]
    """Types of stages that cannot be taken apart."""
    complete: bool
    """Whether all points of the space were walked through, so that no part is missing."""


def survey(space: Space, timed: frozenset[str], calibration: int, held_out: int, seed: int = 0) -> Survey:
    """What to measure of a space; `timed` are parts whose time is known, which need no carrier.

    Raises:
        MeasureError: the space has fewer networks than that.
    """
    generator = random.Random(seed)
    pool, complete = _pool(space, generator)
    whole = indivisible(pool.values())
    keys_by_name = {name: frozenset(part.key for part in parts(spec, whole)) for name, spec in pool.items()}
    keys = frozenset[str]().union(*keys_by_name.values())
    carriers = list(_cover({name: needed - timed for name, needed in keys_by_name.items()}))
    rest = sorted(set(pool) - set(carriers))
    if len(rest) < calibration + held_out:
        needed = f"{len(carriers)} of them are needed to measure its blocks"
        rule = f"space '{space.name}' has {len(pool)} networks, and {needed}"
        asked = f"{calibration} to calibrate on and {held_out} to determine the error on"
        said = f"{rule}; the rest are too few for {asked}; give smaller"
        in_command = f"{said} --calibration and --held-out"
        raise MeasureError(f"{said} calibration and held_out", command_text=in_command)
    chosen = [pool[name] for name in generator.sample(rest, calibration + held_out)]
    return Survey(
        tuple(pool[name] for name in carriers),
        tuple(chosen[:calibration]),
        tuple(chosen[calibration:]),
        keys,
        whole,
        complete,
    )


def indivisible(specs: Iterable[Spec]) -> frozenset[str]:
    """Types of stages whose module does not hold its blocks one by one, as `blocks`, found out on the meta device."""
    import torch

    divisible: dict[str, bool] = {}
    for spec in specs:
        for step in plan(spec):
            if isinstance(step.node, Stage) and step.node.type not in divisible:
                with torch.device("meta"):
                    module = step.node.build_module(step.part_inputs(spec))
                divisible[step.node.type] = blocks_of(module, step.node.depth) is not None
    return frozenset(name for name, yes in divisible.items() if not yes)


def blocks_of(module: nn.Module, depth: int) -> list[nn.Module] | None:
    """The modules of a stage's blocks in order, or None where it does not hold them so."""
    from torch import nn

    blocks = getattr(module, "blocks", None)
    return list(blocks) if isinstance(blocks, nn.ModuleList) and len(blocks) == depth else None


def _pool(space: Space, generator: random.Random) -> tuple[dict[str, Spec], bool]:
    """Distinct networks by hash: all of a small space, many of a large one; and whether these are all."""
    by_name = variables(space.nodes)
    small = all(variable.values for variable in by_name.values())
    small = small and math.prod(len(variable.values) for variable in by_name.values()) <= MOST_POINTS
    pool: dict[str, Spec] = {}
    seen, fruitless = set[str](), 0
    for choices in _all(by_name) if small else _drawn(by_name, generator):
        try:
            spec, _ = point(space, choices.__getitem__)
        except SpecError:
            continue
        held = {part.key for part in parts(spec)}
        fruitless = 0 if held - seen else fruitless + 1
        seen |= held
        pool.setdefault(canonical_hash(spec), spec)
        if not small and fruitless >= FRUITLESS:
            break
    return pool, small


def _all(by_name: Mapping[str, Variable]) -> Iterator[dict[str, Scalar]]:
    for values in itertools.product(*(variable.values for variable in by_name.values())):
        yield dict(zip(by_name, values, strict=True))


def _drawn(by_name: Mapping[str, Variable], generator: random.Random) -> Iterator[dict[str, Scalar]]:
    for _ in range(MOST_POINTS):
        yield {name: draw(variable, generator) for name, variable in by_name.items()}


def _cover(wanted: dict[str, frozenset[str]]) -> Iterator[str]:
    """Names whose sets together hold everything, each the one that adds most."""
    left = frozenset[str]().union(*wanted.values())
    while left:
        name = max(wanted, key=lambda name: len(wanted[name] & left))
        yield name
        left -= wanted[name]

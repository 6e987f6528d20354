"""What a compiled network does step by step: which module runs on what, and what is kept of it for how long."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from archdsl.language.plan import Step

Port = tuple[int, str]
"""A step, by its index, and the name of one of its ports."""


class ScheduledStep(NamedTuple):
    """One step at run time: its module's name, what it reads and gives, what of it is kept, what nobody needs after."""

    name: str
    reads: tuple[Port, ...]
    gives: tuple[Port, ...]
    kept: frozenset[Port]
    done: tuple[Port, ...]
    feature: bool


def schedule(steps: tuple[Step, ...]) -> Iterator[ScheduledStep]:
    """The steps of a plan as they run."""
    last: dict[Port, int] = {}
    for index, step in enumerate(steps):
        for link in step.links:
            last[link.source, link.port] = index
    for index, step in enumerate(steps):
        reads = tuple((link.source, link.port) for link in step.links)
        done = tuple(port for port, at in last.items() if at == index)
        gives = tuple((index, name) for name in step.outputs)
        kept = frozenset(gives) if step.node.kind == "head" else frozenset(port for port in gives if port in last)
        yield ScheduledStep(step.node.id, reads, gives, kept, done, step.feature)


def steps_for(steps: Sequence[ScheduledStep], names: Container[str]) -> list[ScheduledStep]:
    """The steps that the outputs of some of them need, which are named; they alone are features."""
    needed: set[Port] = set()
    kept = []
    for step in reversed(steps):
        if step.name in names or not needed.isdisjoint(step.gives):
            needed.update(step.reads)
            kept.append(step._replace(feature=step.name in names))
    return kept[::-1]

"""What an inheritance did: tensor by tensor, in sum, and block by block of the refit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archdsl.json_types import JsonObject
from archdsl.numbers import params_text

State = Literal["copied", "cropped", "resized", "widened", "new", "dropped"]
STATES: tuple[State, ...] = ("copied", "cropped", "resized", "widened", "new", "dropped")
"""`copied`: the same shape. `cropped`: even slices of a larger one. `resized`: a table, or the kernel of patches, from
another grid. `widened`: a smaller one's values and new ones. `new`: no counterpart. `dropped`: a tensor of the parent
that nothing was taken from."""


@dataclass(frozen=True)
class InheritedTensor:
    """One tensor, and where its values came from.

    name: in the network; of a dropped one in the parent. parameters: how many it has; 0 for statistics of a norm.
    source: the parent's tensor. note: which entries were taken, from which grid, or how it starts.
    """

    name: str
    state: State
    shape: tuple[int, ...]
    parameters: int
    source: str | None = None
    source_shape: tuple[int, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class RefittedBlock:
    """One block, merge or stem of the refit.

    before and after: the squared error to the parent's activation on all images, over the energy of what the block
    adds; None where there was no target. outcome: `fitted`, `kept` (the inherited weights were the better ones),
    `exact` (there was nothing to fit), `skipped` (no target of its shape, frozen, or no time left) or `not finite` (the
    fit gave NaN or infinities, and was undone).
    """

    name: str
    outcome: Literal["fitted", "kept", "exact", "skipped", "not finite"]
    before: float | None = None
    after: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Sum:
    """Tensors in one state, their parameters, and the share of these in all parameters (of the parent: `dropped`)."""

    tensors: int
    parameters: int
    share: float


@dataclass(frozen=True)
class Inheritance:
    """The report of `archdsl.inherit`; as a text it is a table of the nodes and blocks.

    tensors: all of the network, in the order of its state_dict. dropped: the parent's that nothing was taken from.
    blocks: each node and block with the parent's that it came from, None where it is new. refits: empty without
    images. notes: what else should be known, such as how the classes were matched.
    """

    name: str
    parent: str
    tensors: tuple[InheritedTensor, ...]
    dropped: tuple[InheritedTensor, ...]
    blocks: tuple[tuple[str, str | None], ...]
    refits: tuple[RefittedBlock, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Of the network."""
        return sum(tensor.parameters for tensor in self.tensors)

    @property
    def sums(self) -> dict[State, Sum]:
        """By state; all but `dropped` add up to the network's parameters."""
        sums = {}
        for state in STATES:
            some = [each for each in (*self.tensors, *self.dropped) if each.state == state]
            whole = self.parameters
            if state == "dropped":
                whole = sum(tensor.parameters for tensor in self.dropped) + self._taken_of_parent
            count = sum(tensor.parameters for tensor in some)
            sums[state] = Sum(len(some), count, count / whole if whole else 0.0)
        return sums

    @property
    def _taken_of_parent(self) -> int:
        """Parameters of the parent's tensors that something was taken from."""
        sizes = {each.source: each.source_shape for each in self.tensors if each.source and each.parameters}
        return sum(_count(shape) for shape in sizes.values() if shape is not None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was inherited."""
        return all(tensor.state == "new" for tensor in self.tensors)

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        return {
            "name": self.name,
            "parent": self.parent,
            "parameters": self.parameters,
            "sums": {
                state: {"tensors": one.tensors, "parameters": one.parameters, "share": one.share}
                for state, one in self.sums.items()
            },
            "blocks": [{"name": name, "parent": parent} for name, parent in self.blocks],
            "tensors": [_tensor_json(tensor) for tensor in self.tensors],
            "dropped": [_tensor_json(tensor) for tensor in self.dropped],
            "refits": [
                {"name": one.name, "outcome": one.outcome, "before": one.before, "after": one.after, "note": one.note}
                for one in self.refits
            ],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """The sums, then a line a node or block, then the refit."""
        lines = [f"{self.name} from {self.parent}: {_shares(self.sums)} of {params_text(self.parameters)} parameters"]
        lines += _aligned(self.rows)
        if dropped := sorted({_part(tensor.name) for tensor in self.dropped}):
            count = params_text(self.sums["dropped"].parameters)
            lines.append(f"dropped: {', '.join(dropped)} ({count} parameters)")
        lines += [f"note: {note}" for note in self.notes]
        if self.refits:
            lines += ["", "refit: error before and after, of what the block adds"]
            lines += _aligned([_refit_row(one) for one in self.refits])
        return "\n".join(lines)

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """A node or block, the parent's that it came from (`<- stage3.blocks.5`, or `new`), and how its tensors did."""
        return [self._row(name, parent) for name, parent in self.blocks]

    def _row(self, name: str, parent: str | None) -> tuple[str, str, str]:
        inside = [tensor for tensor in self.tensors if _part(tensor.name) == name]
        counts = {state: sum(tensor.state == state for tensor in inside) for state in STATES}
        states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        return name, f"<- {parent}" if parent is not None else "new", states or "no tensors"


def _part(name: str) -> str:
    """The node or block that a tensor belongs to: `stage3.blocks.2` of `stage3.blocks.2.norm1.weight`."""
    keys = name.split(".")
    return ".".join(keys[:3]) if len(keys) > 3 and keys[1] == "blocks" else keys[0]


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _shares(sums: dict[State, Sum]) -> str:
    return ", ".join(f"{sums[state].share:.1%} {state}" for state in STATES[:5] if sums[state].tensors)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _refit_row(one: RefittedBlock) -> tuple[str, ...]:
    before, after = ("" if error is None else f"{error:.2e}" for error in (one.before, one.after))
    return one.name, before, after, one.outcome, one.note


def _tensor_json(tensor: InheritedTensor) -> JsonObject:
    return {
        "name": tensor.name,
        "state": tensor.state,
        "shape": list(tensor.shape),
        "parameters": tensor.parameters,
        "source": tensor.source,
        "source_shape": None if tensor.source_shape is None else list(tensor.source_shape),
        "note": tensor.note,
    }

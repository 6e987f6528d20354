"""Parameters, MACs and memory from the declarations' closed formulas: no torch, thousands of specs a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from archdsl import late
from archdsl.errors import Problem
from archdsl.families.common.stage import Stage
from archdsl.graphs import Link, Step, plan
from archdsl.json_types import JsonObject
from archdsl.language.arguments import check_spec
from archdsl.language.document import Spec
from archdsl.numbers import bytes_text, macs_text, params_text
from archdsl.shape import Cost

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}

MOST_PARAMS = 10**9
MOST_MACS = 3 * 10**12
MOST_MEMORY = 16 * 10**9
"""Bounds on a whole document: parameters, MACs for one image, bytes of weights and peak activations in float32.

Beyond them a document is refused before anything is allocated; inside them it builds and runs on a machine of 24 GB, in
minutes on two cores. LITv2-B at 1536 pixels takes a third of the MACs and a tenth of the memory.
"""


class NodeCount(NamedTuple):
    """What one node costs."""

    id: str
    type: str
    shape: str
    params: int
    macs: int
    activations: int


class Count(NamedTuple):
    """What a backbone costs, for one image.

    params: trainable parameters. macs: multiply-adds of convolutions and matrix products. activations: elements alive
    at the worst moment of an inference pass, as `archdsl.shape.Cost` says: the caller's image and what later nodes or
    the caller still need are among them.
    """

    nodes: tuple[NodeCount, ...]
    params: int
    macs: int
    activations: int

    def __repr__(self) -> str:
        """`Count(27.84 M params, 3.724 G MACs, 13.85 MB peak activations in float32, 9 nodes)`"""
        memory = f"{self.activation_bytes() / 1e6:.4g} MB peak activations in float32"
        return (
            f"Count({self.params / 1e6:.4g} M params, {self.macs / 1e9:.4g} G MACs, {memory}, {len(self.nodes)} nodes)"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the nodes."""
        html: str = late.call("count_html", self)
        return html

    def weight_bytes(self, dtype: str = "float32") -> int:
        """Memory of the parameters."""
        return self.params * BYTES[dtype]

    def activation_bytes(self, dtype: str = "float32", batch: int = 1) -> int:
        """Peak memory of the activations of an inference pass."""
        return self.activations * BYTES[dtype] * batch

    def memory_bytes(self, dtype: str = "float32", batch: int = 1) -> int:
        """Weights and peak activations together."""
        return self.weight_bytes(dtype) + self.activation_bytes(dtype, batch)

    def as_json(self) -> JsonObject:
        """The facts for programs; memory in bytes at float32 and batch 1."""
        return {
            "params": self.params,
            "macs": self.macs,
            "weight_bytes": self.weight_bytes(),
            "activation_bytes": self.activation_bytes(),
            "nodes": [
                node._asdict() | {"weight_bytes": 4 * node.params, "activation_bytes": 4 * node.activations}
                for node in self.nodes
            ],
        }


def cost_of(step: Step, spec: Spec) -> Cost:
    """What one step costs, by its part's formulas."""
    return step.node.infer_cost(step.part_inputs(spec))


def count(spec: Spec, features_only: bool = False, cost_of: Callable[[Step, Spec], Cost] = cost_of) -> Count:
    """Params, MACs and memory of a backbone, a node and in all, for one image.

    Exact for the published variants. `features_only` counts the dense-prediction form; `cost_of` may remember.
    """
    check_spec("count", spec)
    return spec.once(("count", features_only), lambda: _counted(spec, features_only, cost_of))


def _counted(spec: Spec, features_only: bool, cost_of: Callable[[Step, Spec], Cost]) -> Count:
    steps = plan(spec, features_only)
    costs = [cost_of(step, spec) for step in steps]
    held = _held(steps)
    nodes = tuple(
        NodeCount(step.node.id, step.node.type, _shape(step), *cost) for step, cost in zip(steps, costs, strict=True)
    )
    return Count(
        nodes,
        sum(cost.params for cost in costs),
        sum(cost.macs for cost in costs),
        max(cost.activations + beside for cost, beside in zip(costs, held, strict=True)),
    )


def _shape(step: Step) -> str:
    return str(next(iter(step.outputs.values()))) if step.node.kind != "head" else str(step.outputs["logits"].channels)


def _held(steps: tuple[Step, ...]) -> list[int]:
    """Elements that are alive beside what each step counts itself: the caller's image, and what others still need."""
    last = {link: index for index, step in enumerate(steps) for link in step.links}
    held = [0 if step.node.kind == "stem" else _image_elements(steps) for step in steps]
    for index, step in enumerate(steps):
        held[index] -= sum(shape.elements for place, shape in enumerate(step.inputs) if _read_before(step, place))
        for port, shape in step.outputs.items():
            link = Link(index, port)
            for other in range(index + 1, last.get(link, index) + 1):
                held[other] += shape.elements * (link not in steps[other].links)
        if step.feature:
            _hold_feature(steps, index, last.get(Link(index, "pixels"), index), held)
    return held


def _image_elements(steps: tuple[Step, ...]) -> int:
    return steps[0].inputs[0].elements


def _read_before(step: Step, place: int) -> bool:
    """Whether a step reads the same port under an earlier place, which is one tensor all the same."""
    return bool(step.links) and step.links[place] in step.links[:place]


def _hold_feature(steps: tuple[Step, ...], index: int, last: int, held: list[int]) -> None:
    """A map that is handed out stays to the end: beside the raw one if it is normed, else after its last reader."""
    node, shape = steps[index].node, steps[index].outputs["pixels"]
    normed = isinstance(node, Stage) and node.out_norm == "features"
    for other in range(index + 1 if normed else last + 1, len(steps)):
        held[other] += shape.elements


def limit_problems(counted: Count) -> list[Problem]:
    """Whether a document stays inside the bounds on whole documents; told at the node that costs most."""
    memory = [BYTES["float32"] * (node.params + node.activations) for node in counted.nodes]
    limits = (
        ("parameters", params_text, counted.params, MOST_PARAMS, [node.params for node in counted.nodes]),
        ("MACs for one image", macs_text, counted.macs, MOST_MACS, [node.macs for node in counted.nodes]),
        ("of memory for one image in float32", bytes_text, counted.memory_bytes(), MOST_MEMORY, memory),
    )
    return [
        Problem(
            ("nodes", parts.index(max(parts))),
            f"a document has at most {text(most)} {name}",
            f"{text(value)}, most of it here",
            "make width, depth or image smaller",
        )
        for name, text, value, most, parts in limits
        if value > most
    ]

"""The space document: an arch document with holes, and what a search over it must keep to and strive for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from archdsl import late
from archdsl.errors import ShapeError, one_of
from archdsl.families.common.fields import Integer, Number
from archdsl.json_types import Json
from archdsl.language.header import Header
from archdsl.language.patterns import DEVICE

Metric = Literal["latency", "throughput", "params", "macs", "memory"]

UNITS: dict[str, dict[str, float]] = {
    "latency": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "throughput": {"/s": 1.0, "K/s": 1e3},
    "params": {"K": 1e3, "M": 1e6, "G": 1e9},
    "macs": {"M": 1e6, "G": 1e9},
    "memory": {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "MB": 1e6, "GB": 1e9},
}
"""Units of each metric in its base: ms, images a second, parameters, multiply-adds, bytes."""

MEASURED = ("latency", "throughput")
"""Metrics that are measured, under a setting; a document bounds one of them."""


def bounds_of(metric: str) -> tuple[str, str]:
    """The bound that a metric has, `min` of a throughput and `max` of all else, and the other one."""
    return ("min", "max") if metric == "throughput" else ("max", "min")


def _in_json_schema(schema: JsonDict) -> None:
    """In a JSON Schema: which of the two bounds a metric has, and the name by which old documents write the runtime."""
    former: JsonDict = {"description": "the former name of runtime", "deprecated": True}
    properties = schema["properties"]
    assert isinstance(properties, dict)
    runtime = properties["runtime"]
    assert isinstance(runtime, dict)
    properties["mode"] = {**runtime, **former}
    schema["if"] = {"properties": {"metric": {"const": "throughput"}}}
    schema["then"] = {"required": ["min"], "properties": {"max": {"type": "null"}}}
    schema["else"] = {"required": ["max"], "properties": {"min": {"type": "null"}}}


class Budget(BaseModel):
    """A bound on one metric: `min` of a throughput, `max` of all else. What follows `unit` says how one measures."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_in_json_schema)

    metric: Metric
    max: Annotated[Number, Field(gt=0, le=1e12)] | None = None
    min: Annotated[Number, Field(gt=0, le=1e12)] | None = None
    unit: Literal["us", "ms", "s", "/s", "K/s", "K", "M", "G", "KiB", "MiB", "GiB", "MB", "GB"]
    stat: Literal["min", "p10", "p50", "p90"] | None = None
    device: Annotated[str, Field(pattern=DEVICE)] | None = None
    threads: Annotated[Integer, Field(ge=1, le=1024)] | None = None
    batch: Annotated[Integer, Field(ge=1, le=65536)] | None = None
    dtype: Literal["float32", "float16", "bfloat16", "int8"] | None = None
    runtime: Annotated[
        Literal["eager", "graph", "compile", "onnxruntime", "openvino"] | None,
        Field(validation_alias=AliasChoices("runtime", "mode")),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _one_runtime(cls, written: Json) -> Json:
        """`mode`, the former name of `runtime`, beside it: one of the two goes unless they differ."""
        if not isinstance(written, dict) or not {"runtime", "mode"} <= written.keys():
            return written
        runtime, mode = written["runtime"], written["mode"]
        if None not in (runtime, mode) and runtime != mode:
            return written  # `mode` is refused as a field too many
        gone = "mode" if mode is None or runtime is not None else "runtime"
        return {name: value for name, value in written.items() if name != gone}

    def check(self) -> None:
        """Raises `ShapeError` for a bound, a unit or a field that the metric does not have."""
        wanted, other = bounds_of(self.metric)
        if getattr(self, other) is not None:
            rule = f"a {self.metric} budget has '{wanted}', not '{other}'"
            raise ShapeError(rule, remedy=f"write '{wanted}'", field=other)
        if getattr(self, wanted) is None:
            raise ShapeError(f"{wanted} is required", remedy=f'add "{wanted}"')
        if self.unit not in UNITS[self.metric]:
            raise ShapeError(
                f"{self.metric} is not given in this unit", self.unit, f"use {one_of(list(UNITS[self.metric]))}", "unit"
            )
        if self.metric not in MEASURED:
            for name in ("stat", "device", "threads", "batch", "dtype", "runtime"):
                if getattr(self, name) is not None:
                    rule = f"only a latency or throughput budget has '{name}'"
                    raise ShapeError(rule, remedy="remove it", field=name)

    @property
    def limit(self) -> float:
        """The bound in the metric's base unit: ms, images a second, parameters, multiply-adds or bytes."""
        return (self.max or self.min or 0) * UNITS[self.metric][self.unit]


def latency_of(throughput: float, batch: int) -> float:
    """The ms a batch that so many images a second allow."""
    return 1e3 * batch / throughput


Objective = Literal["max proxy_accuracy", "min latency", "min params", "min macs"]
Seed = (
    Annotated[str, Field(max_length=64)]
    | Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(min_length=1, max_length=64)]
)


class SpaceHeader(Header):
    """Everything in a space document but its nodes."""

    kind: Literal["space"]  # type: ignore[assignment]  # the other kind
    constraints: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(max_length=64)] = ()
    budgets: Annotated[tuple[Budget, ...], Field(max_length=8)] = ()
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=4)] = (
        "max proxy_accuracy",
        "min latency",
    )
    seeds: Annotated[tuple[Any, ...], Field(max_length=32)] = ()
    parent: Annotated[str, Field(min_length=1, max_length=400)] | None = None
    """A trained network whose weights the points of the space inherit: the path of a `.safetensors`, or the name of one
    that ships.
    """


class Space(SpaceHeader):
    """All backbones that the holes allow. `nodes` stay as written; `archdsl.spaces.resolve` resolves them."""

    nodes: Annotated[tuple[dict[str, Any], ...], Field(min_length=3, max_length=256)]

    def __repr__(self) -> str:
        """`Space('lit-dat-64', image 64x64, 9 nodes, 2 constraints, 2 budgets)`"""
        height, width = self.image_size
        counts = [f"{len(self.nodes)} nodes", f"{len(self.constraints)} constraints", f"{len(self.budgets)} budgets"]
        return f"Space({self.name!r}, image {height}x{width}, {', '.join(counts)})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """What a notebook shows: the nodes with their alternatives, the variables and the budgets."""
        html: str = late.call("space_html", self)
        return html

    def budget(self, metric: str) -> Budget | None:
        """The document's bound on a metric, if it has one."""
        return next((budget for budget in self.budgets if budget.metric == metric), None)

"""What a search was asked for: kept in `run.json`, equal on resuming, part of every cached result's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from archdsl.errors import WrongUse, short
from archdsl.json_types import Json, JsonObject
from archdsl.numbers import bytes_text, macs_text, params_text, plain_text
from archdsl.runtimes.setting import runtime_of, with_runtime
from archdsl.search.request import Sampler as Sampler
from archdsl.spaces.space import Space

METRICS = {"params": "params", "macs": "MACs", "memory": "memory"}
"""What is counted of a network without building it, and what messages call it."""
COST_TEXTS: dict[str, Callable[[int], str]] = {"params": params_text, "macs": macs_text, "memory": bytes_text}
"""How a count of each is written."""


@dataclass(frozen=True)
class Budgets:
    """What a network may cost; None where there is no limit."""

    latency_ms: float | None = None
    """Of one batch, at the statistic."""
    throughput: float | None = None
    """Images per second, where the latency was asked for so."""
    params: float | None = None
    macs: float | None = None
    """Of one image."""
    memory: float | None = None
    """Bytes of weights and peak activations at the batch."""

    @property
    def static(self) -> dict[str, float]:
        """The limits that are checked without building anything, by metric."""
        limits = {"params": self.params, "macs": self.macs, "memory": self.memory}
        return {metric: limit for metric, limit in limits.items() if limit is not None}

    def allows_ms(self, latency_ms: float) -> bool:
        """Whether a latency is inside the budget."""
        return self.latency_ms is None or latency_ms <= self.latency_ms


class Conditions(TypedDict):
    """What a latency holds for on a machine."""

    device: str
    batch: int
    dtype: str
    runtime: str
    threads: int | None
    features_only: bool
    optimize: bool
    target: str | None


class Settings(BaseModel):
    """Everything that decides a search's outcome but the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: dict[str, JsonValue]
    """The space document, as JSON values."""
    latency_budget_ms: Annotated[float, Field(gt=0)] | None = None
    throughput_budget: Annotated[float, Field(gt=0)] | None = None
    """Images per second, where the latency budget was given so."""
    params_budget: Annotated[float, Field(gt=0)] | None = None
    macs_budget: Annotated[float, Field(gt=0)] | None = None
    memory_budget: (
        Annotated[float, Field(gt=0, description="bytes: weights and peak activations at the batch")] | None
    ) = None
    asked_budgets: tuple[str, ...] | None = None
    """Budgets that were named, though the space may have the same: "latency" (a throughput is one), "params", "macs",
    "memory". None in older runs.
    """
    device: str
    stat: Literal["min", "p10", "p50", "p90"]
    batch: Annotated[int, Field(ge=1)] = 1
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    runtime: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")] = "eager"
    target: str | None = None
    """The URL of another machine, whose CPU measures; `device` is then where networks are trained."""
    features_only: bool = False
    """Whether the latency is that of the backbone for dense prediction, without its head."""
    optimize: bool = False
    """Whether the latency is that of the inference form (`archdsl.optimize`); training and scores know it not."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """As asked for."""
    chosen_threads: Annotated[int, Field(ge=1)] | None = None
    """What measuring uses where none are asked for: chosen once, when the run begins."""
    parent: str | None = None
    """The path of the trained network that candidates inherit from; None: each begins with initial weights."""
    library: str | None = None
    """The folder of a library of the parent's fitted blocks, whose networks are tried first."""
    fits_library: bool = False
    """Whether alternatives to the parent's blocks are fitted first, where the time is long enough."""
    leaves_space: bool = False
    """Whether narrower copies of the parent may be tried that are no points of the space, which nobody named."""
    trains_parent: bool = False
    """Whether a seed of the space is trained first as a parent, where there is none and the time is long enough."""
    latency_share: Annotated[float, Field(gt=0, le=10)] | None = None
    """Of the parent's latency, where the budget was asked for so; `latency_budget_ms` is what it comes to."""
    data: str = "shapetex"
    epochs: Annotated[float, Field(gt=0, le=1000)] = 2.0
    least_steps: Annotated[int, Field(ge=0)] = 0
    """Of a training, to which the epochs are raised; 0 where the epochs were asked for, and in older runs."""
    images: Annotated[int, Field(ge=1)] = 2000
    trials: Annotated[int, Field(ge=1)] | None = None
    time_s: Annotated[float, Field(gt=0)] | None = None
    sampler: Sampler = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    also: tuple[dict[str, JsonValue], ...] = ()
    """Documents of networks that are tried before the space's own, points of it or not."""

    @model_validator(mode="before")
    @classmethod
    def _named_today(cls, written: Json) -> Json:
        """Settings of an earlier version, whose `runtime`, here and in the space's budgets, was called `mode`."""
        if not isinstance(written, dict):
            return written
        try:
            runtime_of(_text(written.get("runtime")), _text(written.get("mode")))
        except WrongUse as error:
            raise ValueError(str(error)) from None
        space = {"space": _space_today(written["space"])} if "space" in written else {}
        return with_runtime(written) | space

    @cached_property
    def space_document(self) -> Space:
        """The space as a document, validated when it is first asked for."""
        return Space.model_validate(self.space)

    @property
    def budgets(self) -> Budgets:
        """What a network may cost, as one value; `run.json` has a name for each."""
        return Budgets(
            self.latency_budget_ms, self.throughput_budget, self.params_budget, self.macs_budget, self.memory_budget
        )

    @property
    def measuring_device(self) -> str:
        """The device that networks are measured on: the CPU of another machine, where one is named."""
        return self.device if self.target is None else "cpu"

    @property
    def measuring_place(self) -> str:
        """The same with its machine, as messages name it."""
        return self.target or self.device

    def measuring(self) -> Conditions:
        """What a latency depends on beside the network and the machine."""
        return {
            "device": self.measuring_device,
            "batch": self.batch,
            "dtype": self.dtype,
            "runtime": self.runtime,
            "threads": self.threads or self.chosen_threads,
            "features_only": self.features_only,
            "optimize": self.optimize,
            "target": self.target,
        }

    def training_key(self) -> JsonObject:
        """What a proxy accuracy depends on beside the network."""
        return self.model_dump(include={"data", "images", "seed"})

    def differences(self, other: Settings) -> list[str]:
        """Options in which two settings differ, both values told; how long to go on may differ."""
        mine, theirs = self.model_dump(), other.model_dump()
        free = ["trials", "time_s", "chosen_threads", "asked_budgets", "leaves_space"]
        if self.latency_share is not None and self.latency_share == other.latency_share:
            free.append("latency_budget_ms")  # known once the parent was measured
        kept = [name for name in mine if name not in free]
        return [difference_text(name, theirs[name], mine[name]) for name in kept if mine[name] != theirs[name]]


def _text(value: Json) -> str | None:
    return None if value is None else str(value)


def _space_today(space: Json) -> Json:
    """A space document whose budgets name the runtime as today; what is none is left to be refused."""
    if not isinstance(space, dict) or not isinstance(budgets := space.get("budgets"), list | tuple):
        return space
    return {**space, "budgets": [with_runtime(each) if isinstance(each, dict) else each for each in budgets]}


def difference_text(field: str, before: Json, now: Json) -> str:
    """`--latency-budget: 5ms in the run, 6ms now`: a field of the settings, and values of it, as people type them."""
    if isinstance(before, dict) and isinstance(now, dict):
        place, before, now = _difference(field, before, now)
        return f"SPACE, {place.removeprefix('space.')}: {before} in the run, {now} now"
    if field == "trains_parent":
        words = {True: "a seed that is trained first", False: "none"}
        return f"--parent: {words[before is True]} in the run, {words[now is True]} now"
    if field == "fits_library":
        words = {True: "one that the search fits", False: "none"}
        return f"--library: {words[before is True]} in the run, {words[now is True]} now"
    if field == "also":
        return _networks_text(before, now)
    option, scale, unit = _TYPED.get(field, (f"--{field.replace('_', '-')}", 1.0, ""))
    return f"{option}: {_typed(before, scale, unit)} in the run, {_typed(now, scale, unit)} now"


_TYPED = {
    "latency_budget_ms": ("--latency-budget", 1.0, "ms"),
    "latency_share": ("--latency-budget", 0.01, "%"),
    "throughput_budget": ("--throughput-budget", 1.0, "/s"),
    "params_budget": ("--params-budget", 1e6, "M"),
    "macs_budget": ("--macs-budget", 1e6, "M"),
    "memory_budget": ("--memory-budget", 1e6, "MB"),
    "least_steps": ("least steps of a training", 1.0, ""),
}


def _typed(value: Json, scale: float, unit: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{plain_text(value / scale, 12).replace(',', '')}{unit}"
    return "none" if value is None else str(value)


def _networks_text(before: Json, now: Json) -> str:
    """The networks by their names; where these are equal, the first field of a document in which they differ."""
    both = [[*written] if isinstance(written, list | tuple) else [] for written in (before, now)]
    listed = [", ".join(str(each["name"]) for each in some if isinstance(each, dict)) or "none" for some in both]
    if listed[0] == listed[1]:
        place, first, second = _difference("--also", *both)
        return f"{place}: {first} in the run, {second} now"
    return f"--also: {listed[0]} in the run, {listed[1]} now"


def _difference(place: str, before: Json, now: Json) -> tuple[str, str, str]:
    """Where two values differ first, and how."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [name for name in ("name", *before, *now) if before.get(name) != now.get(name)]
        return _difference(f"{place}.{names[0]}", before.get(names[0]), now.get(names[0]))
    if isinstance(before, list) and isinstance(now, list):
        pairs = list(zip_longest(before, now))
        index = next(index for index, (former, latter) in enumerate(pairs) if former != latter)
        return _difference(f"{place}[{index}]", *pairs[index])
    return place, short(before), short(now)

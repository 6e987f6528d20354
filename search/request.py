"""What a search may be asked for: the settings that a caller names, from Python or on the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from archdsl.json_types import Json, JsonObject

Sampler = Literal["auto", "gp", "tpe", "nsga2", "evolution", "random"]
"""The search algorithm; `search/propose/samplers.py` says what each is."""
Role = Literal["both", "measure", "train"]
"""What a machine does in a study that machines share."""


@dataclass(frozen=True, kw_only=True)
class SettingsRequest:
    """Settings as a caller names them: None where nothing is named, and then the space or a default decides.

    `archdsl.search.run`, `archdsl doctor` and the proxy check fill it; `defaults.settings_of` makes `Settings` of it.
    """

    latency_budget_ms: float | None = None
    """Maximum latency of one batch in ms, at `stat`."""
    latency_share: float | None = None
    """The same as a share of the parent's latency, 0.6 for 60 %."""
    parent: str | None = None
    """The path of a trained network that candidates inherit from; "none" for none; by default that of the space."""
    library: str | None = None
    """The folder of a library of the parent's fitted blocks; none by default."""
    throughput_budget: float | None = None
    """Minimum images per second at `batch`: a latency budget of batch / throughput. One of the two is named."""
    params_budget: float | None = None
    """Maximum parameters."""
    macs_budget: float | None = None
    """Maximum multiply-adds of one image."""
    memory_budget: float | None = None
    """Maximum bytes of weights and peak activations at `batch`."""
    device: str | None = None
    """`cpu`, `cuda` or `cuda:N`; by default that of the space's budget, else CUDA if there is one."""
    batch: int | None = None
    """Images per batch when measured; by default that of the space's budget, else 1."""
    dtype: str | None = None
    """What is measured: `float32`, `float16`, `bfloat16` or `int8`; by default that of the space's budget, else
    `float32`.
    """
    runtime: str | None = None
    """What executes the network when measured; by default that of the space's budget, else that of the device."""
    target: str | None = None
    """The URL of another machine that measures, `ssh://user@host`; by default this one does."""
    features_only: bool | None = None
    """Whether the latency is that of the backbone for dense prediction, which gives maps and has no head."""
    optimize: bool | None = None
    """Whether the latency is that of the inference form, which `archdsl.optimize` gives."""
    threads: int | None = None
    """CPU threads when measured; by default the faster of one and all physical cores, decided when the run begins."""
    stat: str | None = None
    """The statistic of the latency; by default that of the space's budget, else `p50`."""
    data: str | None = None
    """Training data by its name or path; `shapetex` by default."""
    epochs: float | None = None
    """Epochs of a short training; by default 2, or as many as `LEAST_STEPS` steps take where the data is small."""
    images: int | None = None
    """Training images of an epoch; 2,000 by default."""
    trials: int | None = None
    """Distinct networks to measure, over all resumes."""
    time_s: float | None = None
    """Seconds for everything, over all resumes."""
    sampler: Sampler | None = None
    """The search algorithm; `auto` by default."""
    seed: int | None = None
    """Of sampling, data order and initial weights; 0 by default."""
    also: list[Json] | None = None
    """Documents of networks that are tried before the space's own; none by default."""

    @property
    def named_budgets(self) -> tuple[str, ...]:
        """The budgets that are named, by the names of `Settings.asked_budgets`."""
        latency = self.latency_budget_ms or self.latency_share or self.throughput_budget
        limits = {"latency": latency, "params": self.params_budget, "macs": self.macs_budget}
        limits["memory"] = self.memory_budget
        return tuple(metric for metric, limit in limits.items() if limit is not None)

    @property
    def named(self) -> JsonObject:
        """What is named, by the names of `Settings`."""
        values: JsonObject = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

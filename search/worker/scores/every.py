"""All scores of a network at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.data.loading import Data
    from archdsl.language.document import Spec
    from archdsl.search.worker.scores.surroundings import Batch

IMAGES = 32
"""Images that NASWOT compares; the other scores are shown half of them."""
NAMES = ("params", "macs", "snip", "synflow", "dss", "naswot", "expressivity", "progressivity", "trainability")
_LEAST = -1e9
"""In place of minus infinity, which JSON has not."""


class Scored(NamedTuple):
    """Scores by name, and the seconds that those took which run the network."""

    scores: dict[str, float]
    seconds: dict[str, float]


def scored(spec: Spec, data: Data, seed: int, device: str | torch.device = "cpu") -> Scored:
    """All scores of a network with initial weights by the seed; a score that is no finite number is very low."""
    import torch

    from archdsl.compile import build
    from archdsl.cost import count
    from archdsl.search.worker.scores.static import static
    from archdsl.search.worker.scores.surroundings import Batch

    data = data.to(device)
    shown = Batch(data.normalise(data.train_images[:IMAGES]), data.train_labels[:IMAGES])
    where = torch.device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else [], device_type=where.type):
        torch.manual_seed(seed)
        model = build(spec).to(where)
    scores, seconds = static(count(spec)), dict[str, float]()
    for name, score in _scores().items():
        began = time.monotonic()
        scores |= score(model, shown)
        seconds[name] = round(time.monotonic() - began, 3)
    return Scored({name: _finite(scores[name]) for name in NAMES}, seconds)


def _scores() -> dict[str, Callable[[nn.Module, Batch], dict[str, float]]]:
    """What runs the network, by name; one may give several scores."""
    from archdsl.search.worker.scores.az_nas import az_nas
    from archdsl.search.worker.scores.dss import dss
    from archdsl.search.worker.scores.flow import linearised
    from archdsl.search.worker.scores.naswot import naswot
    from archdsl.search.worker.scores.snip import snip
    from archdsl.search.worker.scores.surroundings import Batch
    from archdsl.search.worker.scores.synflow import synflow

    def flow(model: nn.Module, batch: Batch) -> dict[str, float]:
        pipes = linearised(model, batch.images.shape[1:])
        return {"synflow": synflow(pipes), "dss": dss(pipes)}

    def half(batch: Batch) -> Batch:
        return Batch(*(part[: IMAGES // 2] for part in batch))

    return {
        "snip": lambda model, batch: {"snip": snip(model, half(batch))},
        "flow": flow,
        "naswot": lambda model, batch: {"naswot": naswot(model, batch)},
        "az_nas": lambda model, batch: az_nas(model, half(batch))._asdict(),
    }


def _finite(score: float) -> float:
    return max(score, _LEAST) if math.isfinite(score) or score == -math.inf else _LEAST

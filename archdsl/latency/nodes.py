"""How a network's latency is shared among its nodes: each runs by itself on what it reads, in eager mode."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Unpack

from archdsl.json_types import JsonObject
from archdsl.language.arguments import check_spec
from archdsl.language.document import Spec
from archdsl.latency.measuring import host_of, seeded
from archdsl.latency.provenance import provenance
from archdsl.latency.rounds import Pace, measure_all
from archdsl.latency.stats import default_stat
from archdsl.runtimes.runner import noise, placed, refusing, steady
from archdsl.runtimes.setting import Setting
from archdsl.timing.device_lock import OnWait
from archdsl.timing.rounds import Rounds

if TYPE_CHECKING:
    from torch import Tensor, nn

_WHOLE = ""
"""The network among its nodes, none of which has an empty id."""


class NodeLatencies(NamedTuple):
    """Ms per batch of each node in document order, and of the network as it runs; `stat` over undisturbed rounds.

    The nodes' sum is not the network's latency: alone, a node finds its input in the cache.
    """

    nodes: dict[str, float]
    whole_ms: float
    stat: str
    rounds: int
    origin: JsonObject

    @property
    def sum_ms(self) -> float:
        """All nodes together."""
        return sum(self.nodes.values())

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        nodes: JsonObject = {
            name: {"ms": ms, "share": ms / self.sum_ms if self.sum_ms else 0.0} for name, ms in self.nodes.items()
        }
        facts: JsonObject = {"stat": self.stat, "rounds": self.rounds, "ms": self.whole_ms, "sum_ms": self.sum_ms}
        return {**facts, "nodes": nodes, "provenance": self.origin}


def node_latencies(
    spec: Spec,
    device: str | None = None,
    batch: int = 1,
    threads: int | None = None,
    *,
    on_wait: OnWait | None = None,
    **pace: Unpack[Pace],
) -> NodeLatencies:
    """The nodes of a spec, built with seeded weights, measured side by side in float32 and eager mode.

    `threads` default to all physical cores of a CPU; `on_wait` is called while another process measures there.

    Raises:
        MeasureError: the setting is refused, or the forward pass fails.
    """
    import torch

    check_spec("node_latencies", spec)
    setting = Setting.checked(device, batch, "float32", "eager")
    image = (spec.channels, *spec.image_size)
    with steady(setting.device, threads, on_wait) as used, torch.inference_mode(), refusing(setting, image):
        model, x = placed(seeded(spec, setting.device), setting), noise(setting, image)
        parts = {name: partial(model.get_submodule(name), *read) for name, read in _inputs(model, x).items()}
        runners = {_WHOLE: partial(model, x), **parts}
        rounds = measure_all(runners, device=setting.device, host=host_of(setting, used or 1), **pace)
        origin = provenance(setting.device, setting.dtype, batch, setting.runtime, used).as_json()
    stat = default_stat(setting.device)
    taken = {name: _ms(found, name or spec.name, stat, origin) for name, found in rounds.items()}
    count = len(rounds[_WHOLE].ms)
    return NodeLatencies({node.id: taken[node.id] for node in spec.nodes}, taken[_WHOLE], stat, count, origin)


def _inputs(model: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """What each node reads in a forward pass of the network, as copies."""
    read: dict[str, tuple[Tensor, ...]] = {}

    def keep(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read[name] = tuple(tensor.clone() for tensor in inputs)

    hooks = [part.register_forward_pre_hook(partial(keep, name)) for name, part in model.named_children()]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return read


def _ms(found: Rounds, name: str, stat: str, origin: JsonObject) -> float:
    from archdsl.latency.result import Latency

    disturbed = frozenset(number for number, counts in enumerate(found.undisturbed) if not counts)
    return Latency(name, found.ms, origin, disturbed).stat(stat)

"""How a network's latency is shared among its nodes.

In eager mode each node runs by itself on what it reads. What other runtimes run is one whole; there a node's share is
what the network takes up to it, less what it takes up to the node before.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, Unpack

from archdsl.json_types import JsonObject
from archdsl.language.arguments import check_spec
from archdsl.language.document import Spec
from archdsl.latency.measuring import compare, host_of, seeded, seeded_by
from archdsl.latency.provenance import provenance
from archdsl.latency.ready import OnProgress
from archdsl.latency.rounds import Pace, measure_all
from archdsl.latency.stats import default_stat
from archdsl.runtimes.runner import noise, placed, refusing, steady
from archdsl.runtimes.setting import Setting
from archdsl.timing.device_lock import OnWait
from archdsl.timing.rounds import Rounds

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.compile import Backbone

_WHOLE = ""
"""The network among its nodes, none of which has an empty id."""


class NodeLatencies(NamedTuple):
    """Ms per batch of each node in document order, and of the network as it runs; `stat` over undisturbed rounds.

    way: "alone", each by itself: the nodes' sum is not the network's latency then, as a node finds its input in the
        cache. "difference", between the network up to a node and up to the one before: the sum is the network's
        latency, and where a node takes less than the noise its number may be below 0.
    """

    nodes: dict[str, float]
    whole_ms: float
    stat: str
    rounds: int
    origin: JsonObject
    way: Literal["alone", "difference"] = "alone"

    @property
    def sum_ms(self) -> float:
        """All nodes together."""
        return sum(self.nodes.values())

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        nodes: JsonObject = {
            name: {"ms": ms, "share": ms / self.sum_ms if self.sum_ms else 0.0} for name, ms in self.nodes.items()
        }
        facts: JsonObject = {
            "way": self.way,
            "stat": self.stat,
            "rounds": self.rounds,
            "ms": self.whole_ms,
            "sum_ms": self.sum_ms,
        }
        return {**facts, "nodes": nodes, "provenance": self.origin}


def node_latencies(
    spec: Spec,
    device: str | None = None,
    batch: int = 1,
    threads: int | None = None,
    *,
    runtime: str = "eager",
    on_wait: OnWait | None = None,
    on_progress: OnProgress | None = None,
    **pace: Unpack[Pace],
) -> NodeLatencies:
    """The nodes of a spec, built with seeded weights, measured side by side in float32.

    In eager mode each node runs alone, and `threads` default to all physical cores of a CPU; in another runtime the
    network is prepared up to each node, and `threads` are those of `measure`. `on_wait` is called while another process
    measures there, `on_progress` with what is done now.

    Raises:
        MeasureError: the setting is refused, or a forward pass fails.
    """
    check_spec("node_latencies", spec)
    if runtime != "eager":
        return _differences(spec, (device, batch, "float32", runtime, threads), on_wait, on_progress, pace)
    return _alone(spec, device, batch, threads, on_wait, pace)


def _differences(
    spec: Spec,
    setting: tuple[str | None, int, str, str, int | None],
    on_wait: OnWait | None,
    on_progress: OnProgress | None,
    pace: Pace,
) -> NodeLatencies:
    """The network up to each node, side by side; each node's share is the difference to the one before."""
    from archdsl.compile import Backbone, build

    whole = seeded_by(lambda: build(spec), Setting.checked(*setting[:4]).device).eval()
    assert isinstance(whole, Backbone)
    names = [node.id for node in spec.nodes]
    order = [step.node.id for step in spec.plan()]
    networks = {name: _up_to(whole, name) for name in order}
    image = (spec.channels, *spec.image_size)
    compared = compare(networks, *setting, image=image, on_wait=on_wait, on_progress=on_progress, **pace)
    taken = [compared.latencies[name].stat(compared.stat) for name in order]
    own = {name: ms - before for name, ms, before in zip(order, taken, [0.0, *taken], strict=False)}
    last = compared.latencies[order[-1]]
    nodes = {name: own[name] for name in names}
    return NodeLatencies(nodes, taken[-1], compared.stat, len(last.samples), last.provenance, "difference")


def _up_to(model: Backbone, node: str) -> nn.Module:
    """The network up to a node: images -> what later nodes read."""
    from torch import nn

    class UpTo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
            read = self.model.forward_to(x, node)
            return read if len(read) > 1 else read[0]

    return UpTo()


def _alone(
    spec: Spec, device: str | None, batch: int, threads: int | None, on_wait: OnWait | None, pace: Pace
) -> NodeLatencies:
    """Each node by itself on what it reads."""
    import torch

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

"""Mixers alone, side by side, in the setting of the single-layer benchmark that LITv2's authors published.

Theirs (github.com/HubHop/vit-attention-benchmark): a 14x14 map of 768 channels, 12 heads, 64 images in float32, each
layer as its authors use it at 1/16 of the image. Parameters and MACs are checked against theirs; images a second are
measured anew beside theirs, which were taken on other machines, without warm-up and with the graph for gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Unpack

from archdsl.families.common.block import Block
from archdsl.json_types import Json, JsonObject
from archdsl.language.nodes import declared
from archdsl.latency.measuring import compare
from archdsl.latency.ready import OnProgress
from archdsl.latency.result import Comparison
from archdsl.latency.rounds import Pace
from archdsl.runtimes.setting import sleep_while_waiting
from archdsl.shape import Cost, Map
from archdsl.timing.device_lock import OnWait

if TYPE_CHECKING:
    from torch import nn

MAP = Map(768, 14, 14, 16)
BATCH = 64
SOURCE = "https://github.com/HubHop/vit-attention-benchmark"
MACHINES = {"cpu": "Intel Core i9-10900X", "gpu": "NVIDIA GeForce RTX 3090", "torch": "1.8.1"}
"""What theirs was measured on, in 2022."""
PACE: Pace = {"rounds": 12, "warmup_s": 0.1, "time_limit_s": 40.0}
"""Under a minute on two cores, where a call lasts half a second."""


class Printed(NamedTuple):
    """What the authors print of a layer.

    params: in millions. mmacs: for one image, in millions, as fvcore counts. cpu, gpu: images a second on `MACHINES`.
    """

    params: float
    mmacs: float
    cpu: int
    gpu: int


class Layer(NamedTuple):
    """A mixer in the words of the language, with what is printed of it.

    beside: MACs of one image that theirs counts and ours by convention does not; `note` says which.
    """

    name: str
    block: JsonObject
    printed: Printed
    beside: int = 0
    note: str = ""

    def cost(self) -> Cost:
        """Parameters and MACs of the mixer alone."""
        return self._block().mixer_cost(MAP)

    def module(self) -> nn.Module:
        """The mixer, (B, 14, 14, 768) -> (B, 14, 14, 768), with weights that are the same each time."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            mixer = self._block().mixer(MAP)
        assert mixer is not None
        return mixer

    def _block(self) -> Block:
        block = dict(declared())[str(self.block["type"])].model_validate(self.block)
        assert isinstance(block, Block)
        block.mixer_out(MAP)
        return block


_UNBIASED: JsonObject = {"heads": 12, "window": 7, "position_bias": {"type": "none"}}
_KEYS = MAP.elements  # as many keys as positions
_DEFORMABLE: JsonObject = {"heads": 12, "groups": 3, "kernel": 5, "offsets": {"type": "scaled", "range": 2}}

LAYERS = (
    Layer("MSA", {"type": "attention", "heads": 12}, Printed(2.36, 521.43, 505, 4403)),
    Layer("HiLo", {"type": "hilo", "heads": 12, "window": 2, "alpha": 0.9}, Printed(2.20, 298.30, 1029, 5104)),
    Layer("window 7", {"type": "window", **_UNBIASED}, Printed(2.36, 477.17, 631, 4537)),
    Layer(
        "shifted 7",
        {"type": "shifted_window", **_UNBIASED},
        Printed(2.36, 477.17, 374, 4351),
        note="theirs shifts by 3, ours by 4; the counts are the same",
    ),
    Layer(
        "DAT",
        {"type": "deformable", **_DEFORMABLE, "position_bias": {"type": "sampled"}},
        Printed(2.38, 528.69, 223, 3074),
        beside=4 * (_KEYS + 12 * MAP.positions**2) + 5 * _KEYS,
        note="theirs, 528.69 M, counts 4 MACs an element sampled and 5 an element normed as well",
    ),
)
"""Every layer of theirs that is a block type of ours."""


class LayerBench(NamedTuple):
    """Layers measured in one run; the first of them twice."""

    layers: tuple[Layer, ...]
    comparison: Comparison

    def rate(self, name: str) -> float:
        """Images a second by the comparison's statistic."""
        latency = self.comparison.latencies[name]
        return 1e3 * latency.origin.batch / latency.stat(self.comparison.stat)

    def as_json(self) -> JsonObject:
        """The same facts for programs."""
        rows = zip(self.layers, self.comparison.rows(), strict=True)
        items: list[Json] = [self._facts(layer) | row for layer, row in rows]
        return {"published": {"source": SOURCE, **MACHINES}, **self.comparison.as_json(), "items": items}

    def _facts(self, layer: Layer) -> JsonObject:
        """The facts of a layer beside its latency."""
        cost, printed = layer.cost(), layer.printed
        published: JsonObject = {
            "params": round(printed.params * 1e6),
            "macs": round(printed.mmacs * 1e6),
            "cpu_images_per_second": printed.cpu,
            "gpu_images_per_second": printed.gpu,
        }
        return {
            "block": layer.block,
            "params": cost.params,
            "macs": cost.macs,
            "macs_counted_beside": layer.beside,
            "note": layer.note,
            "published": published,
            "images_per_second": self.rate(layer.name),
        }


def bench_layers(
    device: str | None = None,
    batch: int = BATCH,
    dtype: str = "float32",
    runtime: str | None = None,
    threads: int | None = None,
    *,
    mode: str | None = None,
    stat: str | None = None,
    on_wait: OnWait | None = None,
    on_progress: OnProgress | None = None,
    **pace: Unpack[Pace],
) -> LayerBench:
    """The layers measured side by side, MSA twice; `stat` defaults to the device's, `pace` is what differs from `PACE`.

    `on_wait` is called with a sentence while another process measures on the device; by default it prints to stderr.
    `on_progress` is called as by `compare`.

    Raises:
        MeasureError: the setting is refused, or a forward pass fails.
    """
    sleep_while_waiting()
    modules = {layer.name: layer.module() for layer in LAYERS}
    image = (MAP.height, MAP.width, MAP.channels)  # channels last, as inside a stage
    chosen: Pace = {**PACE, **pace}
    setting = (device, batch, dtype, runtime, threads)
    comparison = compare(
        modules, *setting, mode=mode, image=image, stat=stat, on_wait=on_wait, on_progress=on_progress, **chosen
    )
    return LayerBench(LAYERS, comparison)

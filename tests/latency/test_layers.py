"""The layer benchmark: counts are the published ones, and the table says whose numbers are whose."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archdsl.latency import Comparison, Latency
from archdsl.latency.layers import LAYERS, MAP, Layer, LayerBench, bench_layers
from archdsl.latency.provenance import provenance
from archdsl.render.layers import layers_table
from tests.support.meta_counter import count_module
from tests.support.screens import text_of

STEADY = tuple(100 + 0.1 * (number % 5) for number in range(20))


every_layer = pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])


@every_layer
def test_params_and_macs_are_the_published_ones_to_their_last_digit(layer: Layer) -> None:
    """results/attention_benchmark.csv of the authors; beside ours they count what the note says."""
    cost = layer.cost()
    assert round(cost.params / 1e6, 2) == layer.printed.params
    assert round((cost.macs + layer.beside) / 1e6, 2) == layer.printed.mmacs
    assert not layer.beside or layer.note


def test_without_sampling_and_norms_dat_counts_what_torch_does() -> None:
    (layer,) = (layer for layer in LAYERS if layer.name == "DAT")
    assert round(layer.cost().macs / 1e6, 2) == 525.49


@every_layer
def test_what_is_measured_is_what_is_counted(layer: Layer) -> None:
    cost, x = layer.cost(), torch.zeros(1, MAP.height, MAP.width, MAP.channels, device="meta")
    counted = count_module(layer.module().to("meta"), x)
    assert (counted.params, counted.macs) == (cost.params, cost.macs)


def test_a_layer_has_the_same_weights_each_time_and_leaves_the_seed_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again = LAYERS[0].module(), LAYERS[0].module()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(left, other) for left, other in zip(first.parameters(), again.parameters(), strict=True))


def test_layers_are_measured_side_by_side_in_one_run() -> None:
    found = bench_layers("cpu", batch=1, threads=1, rounds=3, warmup_s=0.0, time_limit_s=0.1)
    assert list(found.comparison.latencies) == [layer.name for layer in found.layers]
    items: Any = found.as_json()["items"]
    for layer, item in zip(found.layers, items, strict=True):
        assert item["images_per_second"] == pytest.approx(1e3 / item["p50_ms"])
        assert item["provenance"]["image"] == [14, 14, 768]
        assert item["macs"] + item["macs_counted_beside"] == pytest.approx(item["published"]["macs"], abs=5e3)
        assert item["block"] == layer.block
    assert found.comparison.unstable  # three rounds are too few to tell


GOLDEN = """\
layer  params      MACs  10900X  3090  here  spread  ratio          [95 %]
MSA    2.36 M  521.43 M     505  4403   640    0.2%  1.000  [1.000, 1.000]
HiLo   2.20 M  298.30 M    1029  5104  1280    0.2%  0.500  [0.500, 0.500]

Ratio: p10 divided by that of MSA; A/A is MSA measured again.
Each round measures all 2 in turn, MSA twice; a network measured alone, as for a
search's verdict, is usually faster.
images per second, batch 64, 14x14x768, float32, eager, 20 rounds
Some CPU @ 2 GHz, 2 threads, torch 2.13.0
here: measured, by p10 of the latencies. Params and MACs (for one image) are
computed.
10900X, 3090: published by LITv2's authors for an i9-10900X and an RTX 3090
(2022, torch 1.8.1, batch 64, no warm-up). Other machines and another torch:
compare rows within a column, not columns."""


def rendered(again: float = 1.0, width: int = 80) -> str:
    """The table of two layers, made up; `again` is what the first takes the second time."""
    facts = provenance("cpu", "float32", 64, "eager", 2).as_json()
    facts |= {"device_name": "Some CPU @ 2 GHz", "torch": "2.13.0", "omp_wait_policy": "default"}
    facts |= {"rounds": 20, "image": [14, 14, 768], "cpu_share": 1.8}
    latencies = {
        name: Latency(name, tuple(factor * ms for ms in STEADY), facts)
        for name, factor in {"MSA": 1, "HiLo": 0.5}.items()
    }
    comparison = Comparison("p10", latencies, Latency("A/A", tuple(again * ms for ms in STEADY), facts))
    text = text_of(layers_table(LayerBench(LAYERS[:2], comparison)), width, soft_wrap=False)
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_the_table_is_as_drawn() -> None:
    assert rendered() == GOLDEN


def test_the_table_says_plainly_what_is_unstable() -> None:
    assert "Unstable: MSA measured twice differs by 10.0%." in rendered(again=1.1)


def test_a_narrow_table_keeps_the_numbers_of_both() -> None:
    heading = rendered(width=60).splitlines()[0]
    assert all(title in heading for title in ("10900X", "3090", "here", "spread"))
    assert "95 %" not in heading

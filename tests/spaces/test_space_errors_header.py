"""Budgets, objectives, seeds and the rest of a space's header: what is wrong is told where it is."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl.load.sources import next_commands
from tests.support.small_spaces import messages_of

BAD: dict[str, tuple[str, Any, list[str]]] = {
    "a budget in another unit": (
        "budgets/0/unit",
        "M",
        ["budgets[0].unit: latency is not given in this unit; got M; use us, ms or s"],
    ),
    "a budget with a field of another": (
        "budgets/0",
        {"metric": "params", "max": 5, "unit": "M", "batch": 2},
        ["budgets[0].batch: only a latency or throughput budget has 'batch'; remove it"],
    ),
    "a budget of nothing": (
        "budgets/0/max",
        0,
        ["budgets[0].max: max must be more than 0; got 0; use more than 0 and at most 1000000000000, such as 5"],
    ),
    "a budget for what is no metric": (
        "budgets/0/metric",
        "flops",
        ['budgets[0].metric: metric must be "latency", "throughput", "params", "macs" or "memory"; got "flops"'],
    ),
    "a throughput at most": (
        "budgets/0",
        {"metric": "throughput", "max": 200, "unit": "K/s", "batch": 2},
        [
            "budgets[0].max: a throughput budget has 'min', not 'max'; "
            'write {"metric": "throughput", "min": 200, "unit": "K/s", "batch": 2}'
        ],
    ),
    "a throughput at most, without a unit": (
        "budgets/0",
        {"metric": "throughput", "max": 100},
        [
            "budgets[0].max: a throughput budget has 'min', not 'max'; "
            'write {"metric": "throughput", "min": 100, "unit": "/s"}'
        ],
    ),
    "a latency at least": (
        "budgets/0",
        {"metric": "latency", "min": 5, "unit": "us"},
        [
            "budgets[0].min: a latency budget has 'max', not 'min'; "
            'write {"metric": "latency", "max": 5, "unit": "us"}'
        ],
    ),
    "a memory at least, with its unit in the number": (
        "budgets/0",
        {"metric": "memory", "min": "5 GB"},
        [
            "budgets[0].min: a memory budget has 'max', not 'min'; "
            'write {"metric": "memory", "max": 5, "unit": "GB"}'
        ],
    ),
    "parameters at least, in words": (
        "budgets/0",
        {"metric": "params", "min": "few"},
        ['budgets[0].min: a params budget has \'max\', not \'min\'; write {"metric": "params", "max": 5, "unit": "M"}'],
    ),
    "a latency at least and at most": (
        "budgets/0",
        {"metric": "latency", "min": 5, "max": 6, "unit": "ms"},
        ["budgets[0].min: a latency budget has 'max', not 'min'; remove 'min'"],
    ),
    "a latency with its unit in the number": (
        "budgets/0",
        {"metric": "latency", "max": "1ms"},
        ['budgets[0].max: max must be a number; got "1ms"; write "max": 1, "unit": "ms"'],
    ),
    "parameters with their unit in the number and beside it": (
        "budgets/0",
        {"metric": "params", "max": "2.5m", "unit": "M"},
        ['budgets[0].max: max must be a number; got "2.5m"; write "max": 2.5, "unit": "M"'],
    ),
    "a throughput with its unit in the number": (
        "budgets/0",
        {"metric": "throughput", "min": "100/s"},
        ['budgets[0].min: min must be a number; got "100/s"; write "min": 100, "unit": "/s"'],
    ),
    "a latency in bytes": (
        "budgets/0",
        {"metric": "latency", "max": "5 MB", "unit": "ms"},
        ['budgets[0].max: max must be a number; got "5 MB"; write a number, and beside it "unit": "us", "ms" or "s"'],
    ),
    "a latency as a text without a unit": (
        "budgets/0",
        {"metric": "latency", "max": "5", "unit": "ms"},
        ['budgets[0].max: max must be a number; got "5"; write 5'],
    ),
    "a budget without a bound": (
        "budgets/0",
        {"metric": "throughput", "unit": "/s"},
        ['budgets[0]: min is required; add "min"'],
    ),
    "latency and throughput at once": (
        "budgets",
        [{"metric": "latency", "max": 5, "unit": "ms"}, {"metric": "throughput", "min": 200, "unit": "/s"}],
        [
            "budgets[1]: a document bounds latency or throughput: a throughput is the batch over the latency; "
            'got "throughput"; remove one of the two'
        ],
    ),
    "a misspelt field of a budget": (
        "budgets/0/treads",
        1,
        ["budgets[0].treads: a budget has no field 'treads'; did you mean 'threads'?"],
    ),
    "two budgets of one metric": (
        "budgets",
        [{"metric": "params", "max": 5, "unit": "M"}, {"metric": "params", "max": 6, "unit": "M"}],
        ['budgets[1]: each metric must have only one budget; got "params"; remove one of the two'],
    ),
    "an objective that is none": (
        "objectives/0",
        "min parms",
        [
            'objectives[0]: an objective must be "max proxy_accuracy", "min latency", "min params" or "min macs"; '
            'got "min parms"; did you mean "min params"?'
        ],
    ),
    "weights that are none": (
        "weights",
        "litv",
        ["weights: no such scheme of published weights; got \"litv\"; did you mean 'litv2'?"],
    ),
    "features that are none": (
        "features",
        ["stage9"],
        ["features[0]: no node has this id; got \"stage9\"; did you mean 'stage3'?"],
    ),
    "the other kind": (
        "kind",
        "arch",
        ['kind: this is a document of kind "arch", and one of kind "space" is read here; ' + next_commands("arch")],
    ),
    "a newer version": (
        "version",
        2,
        ["version: the document's version is newer than this archdsl reads (1); got 2; upgrade archdsl"],
    ),
    "seeds that are none": (
        "seeds",
        [5],
        [
            "seeds[0]: a seed must be a zoo name, or [name, override, ...]; got 5; "
            'write "litv2_s", or ["litv2_s", "image=64"]'
        ],
    ),
    "an unknown zoo name": (
        "seeds",
        ["litv3_s"],
        ["seeds[0]: no such zoo name; got \"litv3_s\"; did you mean 'litv2_s'?"],
    ),
    "a file for a zoo name": (
        "seeds",
        ["./specs/litv2_s.json"],
        ['seeds[0]: no such zoo name; got "./specs/litv2_s.json"; known: <zoo>'],
    ),
    "a seed with a bad override": (
        "seeds",
        [["litv2_s", "imag=32"]],
        ["seeds[0]: the document has no field 'imag'; got \"imag=32\"; did you mean 'image'?"],
    ),
    "a seed whose override does not fit": (
        "seeds",
        [["litv2_s", "stage3.heads=5"]],
        [
            "seeds[0]: nodes[5].heads: width 384 must be a multiple of heads (stage3 reads 384x14x14 from merge2); "
            "got heads 5; use 3, 4 or 6"
        ],
    ),
    "a seed of another size": (
        "seeds",
        ["litv2_s"],
        [
            'seeds[0]: the seed is not a network of the space: its image is 224, the space\'s 32; got "litv2_s"; '
            "change its overrides or the space"
        ],
    ),
    "a seed of other nodes": (
        "seeds",
        [["litv2_s", "image=32"]],
        [
            "seeds[0]: the seed is not a network of the space: the space has no node 'merge1'; "
            'got ["litv2_s", "image=32"]; change its overrides or the space'
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_where_it_is(case: str) -> None:
    path, value, messages = BAD[case]
    assert messages_of(path, value) == messages

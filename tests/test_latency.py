"""Latencies are tested for form and for what the protocol promises, never for their value."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from archdsl import latency
from archdsl.errors import MeasureError
from archdsl.latency import Comparison, Latency, Runner, compare, measure, measure_all, prepare, ratio, steady
from archdsl.latency.provenance import count_cores, parse_quota, physical_cores, provenance
from archdsl.render.bench import bench_table, milliseconds

QUICK: dict[str, Any] = {"device": "cpu", "threads": 1, "image": (3, 8, 8), "rounds": 4, "warmup_s": 0.0}
QUICK |= {"sample_ms": 0.1, "time_limit_s": 0.5}
STEADY = tuple(10 + 0.01 * (number % 5) for number in range(20))


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))


class Clock:
    """A timer for fake runners, whose call takes `ms[runner]`; it keeps the order of what it timed."""

    def __init__(self, **ms: float) -> None:
        self.ms, self.log = ms, list[tuple[str, int]]()
        self.now = ""
        self.runners: dict[str, Runner] = {name: self.runner(name) for name in ms}

    def runner(self, name: str) -> Runner:
        def run() -> None:
            self.now = name

        return run

    def __call__(self, run: Runner, calls: int) -> float:
        run()
        self.log.append((self.now, calls))
        return self.ms[self.now] * calls


# The protocol


def test_each_round_takes_one_sample_of_each_runner() -> None:
    clock = Clock(a=1.0, b=4.0)
    samples = measure_all(clock.runners, rounds=6, warmup_s=0.01, timer=clock)
    assert samples == {"a": (1.0,) * 6, "b": (4.0,) * 6}
    rounds = [{name for name, _ in part} for part in zip(*[iter(clock.log[-24:])] * 4, strict=True)]
    assert rounds == [{"a", "b"}] * 6


def test_a_sample_is_as_many_calls_as_last_long_enough_and_one_call_before_it_is_not_kept() -> None:
    clock = Clock(a=0.3, b=4.0)
    measure_all(clock.runners, rounds=2, sample_ms=2.0, warmup_s=0, timer=clock)
    assert set(clock.log[-8:]) == {("a", 1), ("a", 7), ("b", 1)}


def test_before_a_long_call_there_is_none_that_is_not_kept() -> None:
    clock = Clock(a=150.0, b=4.0)
    measure_all(clock.runners, rounds=2, warmup_s=0, timer=clock)
    assert [name for name, _ in clock.log[-6:]].count("a") == 2
    assert [name for name, _ in clock.log[-6:]].count("b") == 4


def test_the_order_of_the_runners_changes_between_rounds_and_is_the_same_in_each_run() -> None:
    first, second = Clock(a=2.0, b=2.0, c=2.0), Clock(a=2.0, b=2.0, c=2.0)
    for clock in (first, second):
        measure_all(clock.runners, rounds=8, warmup_s=0, timer=clock)
    assert first.log == second.log
    assert len({tuple(part) for part in zip(*[iter(first.log[-48:])] * 6, strict=True)}) > 1


def test_warm_up_is_ten_calls_and_so_many_seconds() -> None:
    short, long = Clock(a=1000.0), Clock(a=1.0)
    measure_all(short.runners, rounds=1, warmup_s=3, timer=short)
    measure_all(long.runners, rounds=1, warmup_s=0.05, timer=long)
    assert len(short.log) == 10 + 1
    assert len(long.log) == 50 + 1


def test_warm_up_that_never_settles_ends() -> None:
    speeds = itertools.count(1)
    assert len(measure_all({"a": lambda: None}, rounds=2, warmup_s=0.01, timer=lambda *_: 2.0 ** next(speeds))) == 1


def test_past_the_time_limit_no_round_begins_but_for_three() -> None:
    clock = Clock(a=100.0)
    assert len(measure_all(clock.runners, rounds=40, warmup_s=0, time_limit_s=0.1, timer=clock)["a"]) == 3
    assert len(measure_all(clock.runners, rounds=40, warmup_s=0, time_limit_s=60, timer=clock)["a"]) == 40


# What a measurement says


def test_statistics_are_ordered() -> None:
    samples = tuple(np.random.default_rng(0).gamma(2, size=50) + 1)
    item = Latency("x", samples, {})
    assert min(samples) == item.min_ms <= item.p10_ms <= item.p50_ms <= item.p90_ms <= max(samples)
    assert item.spread == pytest.approx(item.p50_ms / item.p10_ms - 1)


@pytest.mark.parametrize(
    ("samples", "facts", "unstable"),
    [
        (STEADY, {}, False),
        (tuple(value * (1 + (number >= 10) * 0.06) for number, value in enumerate(STEADY)), {}, True),
        (tuple(value * (1 + (number >= 10) * 0.04) for number, value in enumerate(STEADY)), {}, False),
        (tuple(value * (3 if number % 3 else 1) for number, value in enumerate(STEADY)), {}, False),
        (STEADY[:9], {}, True),
        (STEADY[:1], {}, True),
        (STEADY, {"cpu_share": 0.02}, True),
        (STEADY, {"cpu_share": 1.9}, False),
        (STEADY, {"cpu_share": None}, False),
    ],
    ids=["steady", "drift", "small-drift", "noise-above-p10", "few", "one", "starved", "busy", "gpu"],
)
def test_drift_few_rounds_and_starvation_are_unstable(
    samples: tuple[float, ...], facts: dict[str, Any], unstable: bool
) -> None:
    assert Latency("x", samples, facts).unstable is unstable


def test_the_bootstrap_interval_holds_the_true_ratio_and_uses_the_pairing() -> None:
    random = np.random.default_rng(1)
    shared = random.gamma(2, size=60) + 1
    base = tuple(10 * shared * random.normal(1, 0.01, 60))
    above = tuple(12.5 * shared * random.normal(1, 0.01, 60))
    found = ratio(above, base, "p50")
    assert found.low < 1.25 < found.high
    assert found.low < found.value < found.high
    unpaired = ratio(tuple(random.permutation(above)), base, "p50")
    assert found.high - found.low < unpaired.high - unpaired.low
    assert ratio(above, base, "p50") == found


def test_a_difference_must_exceed_the_noise() -> None:
    assert synthetic(again=1.001).differs("fast")
    assert not synthetic(again=1.6).differs("fast")
    assert not synthetic(again=1.001).differs("slow")
    assert synthetic(again=1.06).unstable
    assert not synthetic(again=1.001).unstable


# Measuring


def test_a_measurement_carries_its_samples_and_where_they_come_from() -> None:
    model = tiny()
    weight, training = next(model.parameters()), model.training
    item = measure(model, dtype="fp16", batch=2, **QUICK)
    assert 3 <= len(item.samples) <= 4
    assert all(sample > 0 for sample in item.samples)
    assert item.provenance.items() >= {"dtype": "float16", "batch": 2, "mode": "eager", "threads": 1}.items()
    assert item.provenance["image"] == [3, 8, 8]
    assert item.provenance["rounds"] == len(item.samples)
    assert json.loads(json.dumps(item.as_json()))["p10_ms"] == item.p10_ms
    assert (weight.dtype, model.training, weight.requires_grad) == (torch.float32, training, True)


def test_a_module_tells_its_image_by_its_spec() -> None:
    class Spec:
        name, channels, image = "small", 3, 8

    model = tiny()
    model.spec = Spec()  # type: ignore[assignment]
    item = measure(model, **QUICK | {"image": None})
    assert (item.name, item.provenance["image"]) == ("small", [3, 8, 8])


def test_a_comparison_measures_the_first_item_twice() -> None:
    found = compare({"one": tiny(), "two": tiny()}, **QUICK)
    assert list(found.latencies) == list(found.ratios) == ["one", "two"]
    assert found.ratios["one"] == (1, 1, 1)
    assert found.again.name == "A/A"
    assert found.stat == "p10"
    assert {len(item.samples) for item in found.latencies.values()} == {len(found.again.samples)}
    text = json.loads(json.dumps(found.as_json()))
    assert [row["name"] for row in text["items"]] == ["one", "two"]


def test_a_runner_runs_the_model_without_gradients_in_evaluation() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((tuple(x.shape), x.dtype, self.training, torch.is_inference_mode_enabled()))
            return x

    prepare(Spy(), (3, 4, 5), "cpu", 2, "bf16")()
    assert seen == [((2, 3, 4, 5), torch.bfloat16, False, True)] * 2


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_what_torch_shares_is_restored(threads: int) -> None:
    cudnn = torch.backends.cudnn
    before = threads, cudnn.benchmark, cudnn.allow_tf32
    inside = []

    def failing() -> None:
        with steady("cpu", threads + 1) as used:
            inside.append((used, torch.get_num_threads(), cudnn.benchmark, cudnn.allow_tf32))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert inside == [(threads + 1, threads + 1, True, False)]
    assert (torch.get_num_threads(), cudnn.benchmark, cudnn.allow_tf32) == before
    with steady("cpu") as used:
        assert used == physical_cores() == torch.get_num_threads()


def test_the_statistic_and_the_device_default_to_what_is_there() -> None:
    assert (latency.default_stat("cuda:1"), latency.default_stat("cpu")) == ("p50", "p10")
    assert latency.default_device() == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "graph"}, "mode graph replays a CUDA graph and needs a GPU; got device cpu; use eager or compile"),
        ({"mode": "fast"}, "mode must be eager, graph or compile; got 'fast'"),
        ({"dtype": "int8"}, "dtype must be float32, float16 or bfloat16; got 'int8'"),
        ({"batch": 0}, "batch must be at least 1; got 0"),
        ({"threads": 0}, "threads must be at least 1; got 0"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"device": "gpu"}, "device must be cpu, cuda or cuda:N; got 'gpu'"),
        ({"image": (3, 0, 8)}, "image must be (channels, height, width), each at least 1; got (3, 0, 8)"),
        ({"image": None}, "the image size of Sequential is unknown; give one, such as image=(3, 224, 224)"),
        ({"batch": 10**12}, "out of memory: eager float32 at 1000000000000x3x8x8 on cpu; use a smaller batch or image"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_measured_is_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(MeasureError) as caught:
        measure(tiny(), **QUICK | wrong)
    assert str(caught.value) == message


def test_a_forward_pass_that_fails_is_told_with_its_setting() -> None:
    with pytest.raises(MeasureError, match=r"^the forward pass fails: eager float32 at 1x4x8x8 on cpu: .*channels"):
        measure(tiny(), **QUICK | {"image": (4, 8, 8)})


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MeasureError, match=r"^torch sees no device cuda:1 here; use cpu$"):
        measure(tiny(), **QUICK | {"device": "cuda:1"})


def test_a_comparison_refuses_nothing_and_unknown_statistics() -> None:
    with pytest.raises(MeasureError, match="compare needs one item or more"):
        compare({})
    with pytest.raises(MeasureError, match="statistic must be min, p10, p50 or p90; got 'mean'"):
        compare({"one": tiny()}, stat="mean", **QUICK)


# Provenance


def test_provenance_has_the_same_keys_everywhere() -> None:
    facts = provenance("cpu", "float32", 1, "eager", 2)
    assert set(facts) == {
        *("device", "dtype", "batch", "mode", "threads", "device_name", "driver", "clocks", "torch", "cuda", "cudnn"),
        *(
            "python",
            "os",
            "archdsl",
            "cpu",
            "cpus",
            "physical_cores",
            "malloc",
            "omp_wait_policy",
            "load_average",
            "date",
        ),
    }
    assert json.loads(json.dumps(facts)) == facts
    assert facts["driver"] is None
    assert physical_cores() >= 1


def test_the_allocator_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert "MALLOC_ARENA_MAX=2" in provenance("cpu", "float32", 1, "eager", 2)["malloc"]


def test_hyperthreads_are_one_core() -> None:
    block = "processor\t: {}\nmodel name\t: X\nphysical id\t: {}\ncore id\t\t: {}\n"
    text = "\n".join(block.format(cpu, cpu // 4, cpu % 2) for cpu in range(8))
    assert count_cores(text, set(range(8))) == 4
    assert count_cores(text, {0, 2}) == 1
    assert count_cores("processor\t: 0\n\nprocessor\t: 1\n", {0, 1}) == 2
    assert count_cores("", {0, 1, 2}) == 3


def test_a_quota_is_a_number_of_cpus() -> None:
    assert parse_quota("150000 100000\n") == 1.5
    assert parse_quota("max 100000\n") is None
    assert parse_quota("") is None


# The table


def synthetic(again: float = 1.002) -> Comparison:
    facts = {"device_name": "Some CPU @ 2 GHz", "batch": 1, "dtype": "float32", "mode": "eager", "threads": 2}
    facts |= {"torch": "2.13.0", "driver": None, "rounds": 20, "image": [3, 224, 224], "cpu_share": 1.8}
    factors = {"litv2_s": 1.0, "fast": 0.5, "slow": 1.0}
    items = {name: Latency(name, tuple(factor * ms for ms in STEADY), facts) for name, factor in factors.items()}
    return Comparison("p10", items, Latency("A/A", tuple(again * ms for ms in STEADY), facts))


def rendered(comparison: Comparison) -> str:
    console = Console(width=80, color_system=None, file=io.StringIO())
    console.print(bench_table(comparison))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


GOLDEN = """\
ms         min    p10    p50    p90  spread          ratio [95 %]
litv2_s  10.00  10.00  10.02  10.04    0.2%                     1
fast     5.000  5.000  5.010  5.020    0.2%  0.500 [0.500, 0.500]
slow     10.00  10.00  10.02  10.04    0.2%  1.000 [1.000, 1.000]
A/A      10.02  10.02  10.04  10.06    0.2%  1.002 [1.002, 1.002]

No difference from litv2_s is shown for slow.
Ratio of p10 to litv2_s; A/A is litv2_s measured again.
ms per batch, batch 1, 3x224x224, float32, eager, 20 rounds
Some CPU @ 2 GHz, 2 threads, torch 2.13.0"""

UNSTABLE = """\
Unstable: litv2_s, fast, A/A.
Unstable: litv2_s measured twice differs by 8.0%.
Measure again, on a quieter machine or with more rounds."""


def test_the_table_is_as_drawn() -> None:
    assert rendered(synthetic()) == GOLDEN


def test_the_table_says_plainly_what_is_unstable() -> None:
    found = synthetic(again=1.08)
    short = {name: item._replace(samples=item.samples[:6]) for name, item in found.latencies.items() if name != "slow"}
    found = found._replace(latencies=short, again=found.again._replace(samples=found.again.samples[:6]))
    assert UNSTABLE in rendered(found)


def test_a_long_name_fits_the_width() -> None:
    found = synthetic()
    name = "a" * 64
    text = rendered(found._replace(latencies={name: found.first, "b": found.latencies["fast"]}))
    assert max(map(len, text.splitlines()[:6])) <= 80
    assert text.count("a" * 8) >= 4


def test_milliseconds_have_four_digits() -> None:
    assert [milliseconds(value) for value in (0.1174, 12.346, 123.46, 1234.5)] == ["0.117", "12.35", "123.5", "1234"]


# ------------------------------------------------------------------------------------------------------------ threads


@pytest.mark.parametrize(("alone", "together", "best"), [(0.002, 0.02, 1), (0.02, 0.002, 4)])
def test_threads_are_those_on_which_the_networks_are_faster(
    monkeypatch: pytest.MonkeyPatch, alone: float, together: float, best: int
) -> None:
    """Unless they are said, or code was compiled for some."""
    monkeypatch.setattr("archdsl.latency.threads.physical_cores", lambda: 4)
    monkeypatch.setattr("archdsl.latency.runner.physical_cores", lambda: 4)

    class Waits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(alone if torch.get_num_threads() == 1 else together)
            return x

    before = torch.get_num_threads()
    few = {name: value for name, value in QUICK.items() if name != "threads"}
    assert measure(Waits(), **few).provenance["threads"] == best
    assert compare({"a": Waits(), "b": Waits()}, **few).latencies["b"].provenance["threads"] == best
    assert measure(Waits(), threads=3, **few).provenance["threads"] == 3
    assert torch.get_num_threads() == before

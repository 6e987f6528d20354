"""Measuring: what a latency carries, on which threads, and what is refused; tested for form, never for its value."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl import latency
from archdsl.errors import MeasureError
from archdsl.latency import compare, measure, prepare, steady
from archdsl.timing.cores import physical_cores

QUICK: dict[str, Any] = {"device": "cpu", "threads": 1, "image": (3, 8, 8), "rounds": 4, "warmup_s": 0.0}
QUICK |= {"sample_ms": 0.1, "time_limit_s": 0.5}


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))


def test_a_measurement_carries_its_samples_and_where_they_come_from() -> None:
    model = tiny()
    weight, training = next(model.parameters()), model.training
    item = measure(model, dtype="fp16", batch=2, **QUICK)
    assert 3 <= len(item.samples) <= 4
    assert all(sample > 0 for sample in item.samples)
    assert item.provenance.items() >= {"dtype": "float16", "batch": 2, "runtime": "eager", "threads": 1}.items()
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
    assert found.ratios == {"one": None, "two": None}  # of under ten rounds there is none
    assert found.again.name == "A/A"
    assert found.stat == "p50"
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
    assert (latency.default_stat("cuda:1"), latency.default_stat("cpu")) == ("p50", "p50")
    assert latency.default_device() == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("alone", "together", "best"), [(0.002, 0.02, 1), (0.02, 0.002, 4)])
def test_threads_are_those_on_which_the_networks_are_faster(
    monkeypatch: pytest.MonkeyPatch, alone: float, together: float, best: int
) -> None:
    """Unless they are said, or code was compiled for some."""
    monkeypatch.setattr("archdsl.latency.threads.physical_cores", lambda: 4)
    monkeypatch.setattr("archdsl.runtimes.runner.physical_cores", lambda: 4)

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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"runtime": "graph"},
            "runtime graph replays a CUDA graph and needs a GPU; got device cpu; use eager or compile",
        ),
        ({"runtime": "fast"}, "runtime must be eager, graph, compile, onnxruntime or openvino; got 'fast'"),
        (
            {"dtype": "int8"},
            "runtime eager has no dtype int8: exported files alone are quantised; "
            "use --runtime onnxruntime or openvino",
        ),
        ({"dtype": "int4"}, "dtype must be float32, float16, bfloat16 or int8; got 'int4'"),
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

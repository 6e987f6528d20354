"""Latency: measured milliseconds per batch, always with its spread and with where it comes from.

The protocol is short samples in many rounds, everything that is compared side by side in each round: on a shared CPU
a median over long samples moves by tens of percent where p10 over short ones moves by a few. Caches are warm, gradients
off, TF32 off and cuDNN may choose its algorithm. What is compared is compared within one run, never across two.
"""

from __future__ import annotations

import copy
import gc
import math
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import numpy as np

from archdsl.errors import MeasureError, one_of
from archdsl.provenance import physical_cores, provenance

if TYPE_CHECKING:
    from torch import nn

Runner = Callable[[], None]
"""One forward pass; on a GPU it returns before the pass has ended."""

Timer = Callable[[Runner, int], float]
"""Milliseconds that so many calls of a runner take together."""

Image = tuple[int, int, int]
"""(C, H, W) of one input."""

STATS = {"min": 0, "p10": 10, "p50": 50, "p90": 90}
MODES = ("eager", "graph", "compile")
DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
DTYPES |= {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
SAMPLE_MS = {"cpu": 2.0, "cuda": 30.0}
AGAIN = "A/A"
TOLERANCE = 0.05
"""Drift within a run, or difference between twice the same, above which a measurement is called unstable."""


class Latency(NamedTuple):
    """One model's latency; a sample is the mean of one round's calls, in ms per batch, in the order of the rounds."""

    name: str
    samples: tuple[float, ...]
    provenance: dict[str, Any]

    def stat(self, name: str) -> float:
        """`min`, `p10`, `p50` or `p90` of the samples, in ms per batch."""
        return float(np.percentile(self.samples, STATS[checked_stat(name)]))

    @property
    def min_ms(self) -> float:
        """The fastest round."""
        return self.stat("min")

    @property
    def p10_ms(self) -> float:
        """What a quiet moment of a shared machine gives; steadier than the minimum."""
        return self.stat("p10")

    @property
    def p50_ms(self) -> float:
        """The median round."""
        return self.stat("p50")

    @property
    def p90_ms(self) -> float:
        """What nine rounds of ten stay under."""
        return self.stat("p90")

    @property
    def spread(self) -> float:
        """(p50 - p10) / p10: how far an ordinary round lies above a quiet one."""
        return (self.p50_ms - self.p10_ms) / self.p10_ms

    @property
    def drift(self) -> float:
        """How far p10 of the second half of the rounds lies from p10 of the first half, relative."""
        half = len(self.samples) // 2
        first, second = (float(np.percentile(part, 10)) for part in (self.samples[:half], self.samples[half:]))
        return abs(second / first - 1)

    @property
    def unstable(self) -> bool:
        """Whether it drifts by more than 5 %, has under ten rounds, too few to tell, or was starved.

        Starved: the process got less than half a core. Each pass of two threads then waits for the other's turn at a
        busy core, every round alike, so that neither spread nor drift shows it.
        """
        share = self.provenance.get("cpu_share")
        starved = share is not None and share < 0.5
        return starved or len(self.samples) < 10 or self.drift > TOLERANCE

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        numbers = {f"{stat}_ms": self.stat(stat) for stat in STATS}
        state = {"spread": self.spread, "unstable": self.unstable, "samples_ms": list(self.samples)}
        return {"name": self.name, **numbers, **state, "provenance": self.provenance}


class Ratio(NamedTuple):
    """A ratio of two latencies and the 95 % interval that it lies in; below 1 the first of the two is faster."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Latencies of one interleaved run; `again` is the first item, built and measured a second time."""

    stat: str
    latencies: dict[str, Latency]
    again: Latency

    @property
    def first(self) -> Latency:
        """What the others are compared with."""
        return next(iter(self.latencies.values()))

    @property
    def ratios(self) -> dict[str, Ratio]:
        """Each item's latency over the first item's."""
        return {name: ratio(item.samples, self.first.samples, self.stat) for name, item in self.latencies.items()}

    @property
    def noise(self) -> Ratio:
        """The first item over itself; how far it is from 1 is what this run cannot tell apart."""
        return ratio(self.again.samples, self.first.samples, self.stat)

    @property
    def unstable(self) -> bool:
        """Whether any latency is, or the same model measured twice differs by more than 5 %."""
        latencies = (*self.latencies.values(), self.again)
        return abs(self.noise.value - 1) > TOLERANCE or any(item.unstable for item in latencies)

    def differs(self, name: str) -> bool:
        """Whether an item is shown to differ from the first: its interval excludes 1, its ratio exceeds the noise."""
        found = self.ratios[name]
        return not found.low <= 1 <= found.high and abs(found.value - 1) > abs(self.noise.value - 1)

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        ratios = self.ratios
        rows = [
            item.as_json() | {"ratio": ratios[name]._asdict(), "differs": self.differs(name)}
            for name, item in self.latencies.items()
        ]
        again = self.again.as_json() | {"ratio": self.noise._asdict()}
        return {"stat": self.stat, "unstable": self.unstable, "items": rows, "again": again}


def ratio(samples: tuple[float, ...], base: tuple[float, ...], stat: str, resamples: int = 1000) -> Ratio:
    """Ratio of a statistic of two runners measured in the same rounds, with its paired-bootstrap interval.

    Rounds are drawn with replacement, the same for both, since what disturbs a round disturbs both. Seeded.
    """
    above, below = np.asarray(samples), np.asarray(base)
    rounds = np.random.default_rng(0).integers(0, len(above), (resamples, len(above)))
    percent = STATS[checked_stat(stat)]
    drawn = np.percentile(above[rounds], percent, axis=1) / np.percentile(below[rounds], percent, axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Ratio(float(np.percentile(above, percent) / np.percentile(below, percent)), float(low), float(high))


def default_device() -> str:
    """`cuda` if there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def default_stat(device: str) -> str:
    """The median on a GPU; p10 on a CPU, whose median is its neighbours' noise."""
    return "p50" if device.startswith("cuda") else "p10"


def checked_stat(name: str) -> str:
    """The statistic's name; raises MeasureError where there is none of that name."""
    if name not in STATS:
        raise MeasureError(f"statistic must be {one_of(list(STATS))}; got '{name}'")
    return name


class Setting(NamedTuple):
    """What a latency holds for; `Setting.checked` makes one."""

    device: str
    batch: int
    dtype: str
    mode: str

    @classmethod
    def checked(cls, device: str | None, batch: int, dtype: str, mode: str) -> Setting:
        """Canonical names; raises MeasureError for what is unknown or cannot run here."""
        device = checked_device(device or default_device())
        if not isinstance(batch, int) or batch < 1:
            raise MeasureError(f"batch must be at least 1; got {batch}")
        if dtype not in DTYPES:
            raise MeasureError(f"dtype must be {one_of(list(dict.fromkeys(DTYPES.values())))}; got '{dtype}'")
        if mode not in MODES:
            raise MeasureError(f"mode must be {one_of(MODES)}; got '{mode}'")
        if mode == "graph" and device == "cpu":
            raise MeasureError("mode graph replays a CUDA graph and needs a GPU; got device cpu; use eager or compile")
        return cls(device, batch, DTYPES[dtype], mode)


def checked_device(device: str) -> str:
    """The device as named; raises MeasureError where it is none, or not here."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise MeasureError(f"device must be cpu, cuda or cuda:N; got '{device}'")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != "cpu" and int(device.partition(":")[2] or 0) >= count:
        here = one_of(["cpu", *(f"cuda:{number}" for number in range(count))])
        raise MeasureError(f"torch sees no device {device} here; use {here}")
    return device


def prepare(
    model: nn.Module,
    image: Image,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "eager",
) -> Runner:
    """A runner of a copy of the model on seeded noise (batch, C, H, W); weights and input are of `dtype`.

    It has run once: what compiling, capturing or a first call costs is over. Call it within `steady`.

    Raises:
        MeasureError: the setting is refused, or the forward pass fails, for want of memory or otherwise.
    """
    import torch

    setting = Setting.checked(device, batch, dtype, mode)
    with _refusing(setting, image), _on(setting.device):
        place = {"device": setting.device, "dtype": getattr(torch, setting.dtype)}
        net = copy.deepcopy(model).eval().requires_grad_(False).to(**place)
        x = torch.randn(batch, *image, generator=torch.Generator().manual_seed(0)).to(**place)
        return _runner(torch.compile(net, dynamic=False) if mode == "compile" else net, x, mode)


def _runner(net: Any, x: Any, mode: str) -> Runner:
    """The forward pass as a call, run once; as a replay of its captured kernels in mode `graph`."""
    import torch

    def run() -> None:
        with torch.inference_mode():
            net(x)

    if mode != "graph":
        # Every model compared is a recompilation of the same blocks' code; past the limit it would silently run eager.
        with torch._dynamo.config.patch(recompile_limit=256) if mode == "compile" else nullcontext():
            run()
        return run
    cuda: Any = torch.cuda  # partly untyped
    side = cuda.Stream()
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side):  # capture needs cuDNN's choice and every lazy buffer made before
        for _ in range(3):
            run()
    cuda.current_stream().wait_stream(side)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        run()
    return partial(_replay, graph, run)


def _replay(graph: Any, _owner: Runner) -> None:
    """Replays; the captured pass is held beside the graph because the graph reads its weights and input in place."""
    graph.replay()


@contextmanager
def steady(device: str, threads: int | None = None) -> Iterator[int | None]:
    """Fixes what torch shares between models, and restores it: threads, TF32 (off), cuDNN's choice (on).

    Yields the threads: as asked, else the physical cores on a CPU; None on a GPU, where they are left as they are.
    """
    import torch

    if threads is not None and threads < 1:
        raise MeasureError(f"threads must be at least 1; got {threads}")
    cudnn = torch.backends.cudnn
    kept = torch.get_num_threads(), torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    threads = threads or (physical_cores() if device == "cpu" else None)
    try:
        torch.set_num_threads(threads or kept[0])
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32, cudnn.benchmark = False, True
        with _on(device):
            yield threads
    finally:
        torch.set_num_threads(kept[0])
        torch.set_float32_matmul_precision(kept[1])
        cudnn.allow_tf32, cudnn.benchmark = kept[2:]


def _on(device: str) -> AbstractContextManager[Any]:
    """Makes a GPU the current one: streams, events and graphs belong to it."""
    import torch

    return nullcontext() if device == "cpu" else torch.cuda.device(device)


@contextmanager
def _refusing(setting: Setting, image: Image) -> Iterator[None]:
    """Turns torch's errors into a MeasureError of one line that names the setting."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        full = isinstance(error, MemoryError) or re.search(r"out of memory|can't allocate memory", said)
        what = f"{setting.mode} {setting.dtype} at {setting.batch}x{'x'.join(map(str, image))} on {setting.device}"
        if full:
            raise MeasureError(f"out of memory: {what}; use a smaller batch or image") from error
        plain = (setting.mode, setting.dtype) == ("eager", "float32")
        remedy = "give an image that the model takes" if plain else "try mode eager and dtype float32"
        raise MeasureError(f"the forward pass fails: {what}: {said}; {remedy}") from error


class _Watch:
    """A timer that adds up what it timed."""

    def __init__(self, timer: Timer) -> None:
        self.timer, self.spent_ms = timer, 0.0

    def __call__(self, run: Runner, calls: int) -> float:
        passed = self.timer(run, calls)
        self.spent_ms += passed
        return passed


def measure_all(
    runners: Mapping[str, Runner],
    *,
    device: str = "cpu",
    rounds: int = 40,
    sample_ms: float | None = None,
    warmup_s: float = 0.5,
    time_limit_s: float | None = None,
    timer: Timer | None = None,
) -> dict[str, tuple[float, ...]]:
    """Samples in ms per call, one a runner and round; each round takes the runners in another order (seeded).

    A sample is as many calls as last `sample_ms` (2 on a CPU, 30 on a GPU). Past `time_limit_s`, warm-up included, no
    round begins, but for the first three.
    """
    if rounds < 1:
        raise MeasureError(f"rounds must be at least 1; got {rounds}")
    watch = _Watch(timer or (_wall_timer if device == "cpu" else _event_timer))
    limit_ms = math.inf if time_limit_s is None else time_limit_s * 1e3
    sample_ms = sample_ms or SAMPLE_MS[device.partition(":")[0]]
    samples: dict[str, list[float]] = {name: [] for name in runners}
    order = random.Random(0)
    with _no_collection():
        warm = {name: _warm_up(run, watch, warmup_s, limit_ms / 2 / len(runners)) for name, run in runners.items()}
        calls = {name: max(1, math.ceil(sample_ms / max(passed, 1e-6))) for name, passed in warm.items()}
        for done in range(rounds):
            if done >= 3 and watch.spent_ms > limit_ms:
                break
            for name in order.sample(list(runners), len(runners)):
                if len(runners) > 1:
                    watch(runners[name], 1)  # not kept: the caches hold what the runner before it used
                samples[name].append(watch(runners[name], calls[name]) / calls[name])
    return {name: tuple(taken) for name, taken in samples.items()}


def _warm_up(run: Runner, watch: _Watch, seconds: float, limit_ms: float) -> float:
    """Calls for at least ten calls and `seconds`, until the median of five moves by under 2 %; that median in ms.

    Gives up on settling after ten times `seconds`, a second at least.
    """
    begin, before, group = watch.spent_ms, math.inf, list[float]()
    limit_ms = min(limit_ms, max(seconds * 1e4, 1e3))
    for call in range(1, 1_000_000):
        group = [*group[-4:], watch(run, 1)]
        passed = watch.spent_ms - begin
        if call % 5 == 0:
            median = statistics.median(group)
            settled = abs(median - before) < 0.02 * before < math.inf
            if settled and passed >= seconds * 1e3:
                break
            before = median
        if passed >= limit_ms:
            break
    return statistics.median(group)


def _wall_timer(run: Runner, calls: int) -> float:
    """Wall time on the CPU."""
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) * 1e3


def _event_timer(run: Runner, calls: int) -> float:
    """Time between two events on the GPU, launches included where the GPU waits for them."""
    import torch

    cuda: Any = torch.cuda  # partly untyped
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    cuda.synchronize()
    begin.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Garbage is collected before, not in the middle of a sample."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Pace(TypedDict, total=False):
    """How long to measure; see `measure_all`."""

    rounds: int
    sample_ms: float | None
    warmup_s: float
    time_limit_s: float | None


def measure(
    subject: Any,
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "eager",
    threads: int | None = None,
    *,
    image: Image | None = None,
    **pace: Unpack[Pace],
) -> Latency:
    """The latency of a spec, built with seeded weights, or of an `nn.Module`, which is left as it is.

    `image` is needed for a module without a `spec`; `threads` default to the physical cores on a CPU.

    Raises:
        MeasureError: the setting is refused, or the forward pass fails.
    """
    setting = Setting.checked(device, batch, dtype, mode)
    return _latencies({_name(subject): subject}, setting, threads, image, pace)[0]


def compare(
    items: Mapping[str, Any],
    device: str | None = None,
    batch: int = 1,
    dtype: str = "float32",
    mode: str = "eager",
    threads: int | None = None,
    *,
    image: Image | None = None,
    stat: str | None = None,
    **pace: Unpack[Pace],
) -> Comparison:
    """Specs or modules measured side by side, the first of them twice; `stat` defaults to the device's.

    Raises:
        MeasureError: there is nothing to measure, the setting is refused, or a forward pass fails.
    """
    if not items or AGAIN in items:
        raise MeasureError(f"compare needs one item or more, none of them named '{AGAIN}'; got {list(items)}")
    setting = Setting.checked(device, batch, dtype, mode)
    stat = checked_stat(stat or default_stat(setting.device))
    *latencies, again = _latencies({**items, AGAIN: next(iter(items.values()))}, setting, threads, image, pace)
    return Comparison(stat, {item.name: item for item in latencies}, again)


def _latencies(
    subjects: Mapping[str, Any], setting: Setting, threads: int | None, image: Image | None, pace: Pace
) -> list[Latency]:
    """Builds, prepares and measures everything in one run."""
    import torch

    if setting.mode == "compile":
        torch._dynamo.reset()
    images = {name: _image(subject, image) for name, subject in subjects.items()}
    with steady(setting.device, threads) as threads:
        runners = {name: prepare(_module(item), images[name], *setting) for name, item in subjects.items()}
        wall, busy = time.perf_counter(), time.process_time()
        with _refusing(setting, next(iter(images.values()))):
            samples = measure_all(runners, device=setting.device, **pace)
        share = (time.process_time() - busy) / (time.perf_counter() - wall)
        origin = provenance(setting.device, setting.dtype, setting.batch, setting.mode, threads)
    origin["cpu_share"] = round(share, 3) if setting.device == "cpu" else None
    return [
        Latency(name, taken, origin | {"image": list(images[name]), "rounds": len(taken)})
        for name, taken in samples.items()
    ]


def _module(subject: Any) -> nn.Module:
    """A module as it is; a spec built with weights that are the same each time."""
    import torch

    if isinstance(subject, torch.nn.Module):
        return subject
    from archdsl.compile import build

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module: nn.Module = build(subject)
    return module


def _image(subject: Any, image: Image | None) -> Image:
    """The (C, H, W) asked for, else the spec's own."""
    if image is None:
        spec: Any = getattr(subject, "spec", subject)
        size = getattr(spec, "image", None)
        if size is None:
            raise MeasureError(f"the image size of {_name(subject)} is unknown; give one, such as image=(3, 224, 224)")
        image = (spec.channels, *((size, size) if isinstance(size, int) else size))
    if len(image) != 3 or min(image) < 1:
        raise MeasureError(f"image must be (channels, height, width), each at least 1; got {image}")
    return image


def _name(subject: Any) -> str:
    """The spec's name, else the class's."""
    return str(getattr(getattr(subject, "spec", subject), "name", None) or type(subject).__name__)

"""Options that `search`, `doctor` and `proxy-check` share; their names are those of the library's parameters."""

from __future__ import annotations

from typing import Annotated, TypedDict

import typer
from typer.models import OptionInfo

from archdsl.cli import options
from archdsl.cli.units import amount, latency_budget, memory, rate

Space = Annotated[
    str | None,
    typer.Argument(
        metavar="SPACE",
        help="name or path of a search space, or the run.json of a search for its space "
        "(default: lit-dat-224 on a GPU, lit-dat-64 on a CPU)",
    ),
]
Device = Annotated[
    str | None,
    options.device_option("measure and train on"),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        parser=options.whole(256),
        show_default=False,
        help="networks evaluated in parallel; on GPUs, one per GPU (default: 1)",
    ),
]
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs",
        metavar="X",
        parser=options.number(0.01, 1000),
        help="epochs of short training (default: 2, or on small data as many as make 150 steps)",
    ),
]


def _latency_budget(metavar: str, share: str) -> OptionInfo:
    """`--latency-budget`; `share` says of what it may be a share."""
    option: OptionInfo = typer.Option(
        "--latency-budget",
        metavar=metavar,
        parser=latency_budget,
        help=f"maximum latency of one batch, e.g. 5ms{share} (default: the budget of the space, if any)",
    )
    return option


class ThroughputBudget(TypedDict):
    """A latency budget in images a second."""

    throughput_budget: Annotated[
        float | None,
        typer.Option(
            "--throughput-budget",
            metavar="RATE",
            parser=rate,
            help="minimum images per second at --batch, e.g. 200/s (default: the budget of the space, if any)",
        ),
    ]


class LatencyBudgets(ThroughputBudget):
    """The budget that is measured; one of the two."""

    latency_budget_ms: Annotated[float | None, _latency_budget("TIME", "")]


class ParentLatencyBudgets(ThroughputBudget):
    """As `LatencyBudgets`, where a parent is measured too."""

    latency_budget_ms: Annotated[
        float | None,
        _latency_budget("TIME|SHARE", "; in a search with a parent also a share of the parent's latency, e.g. 60%"),
    ]


class StaticBudgets(TypedDict):
    """Budgets that are checked without measuring."""

    params_budget: Annotated[
        float | None,
        typer.Option(
            "--params-budget",
            metavar="N",
            parser=amount,
            help="maximum parameters, e.g. 30M (default: the budget of the space, if any)",
        ),
    ]
    macs_budget: Annotated[
        float | None,
        typer.Option(
            "--macs-budget",
            metavar="N",
            parser=amount,
            help="maximum MACs of one image, e.g. 4G (default: the budget of the space, if any)",
        ),
    ]
    memory_budget: Annotated[
        float | None,
        typer.Option(
            "--memory-budget",
            metavar="SIZE",
            parser=memory,
            help="maximum memory of weights and peak activations, e.g. 200MB "
            "(default: the budget of the space, if any)",
        ),
    ]


class Conditions(TypedDict):
    """What a latency holds for."""

    device: Device
    batch: Annotated[
        int | None,
        options.batch_option("images per batch (default: 1)"),
    ]
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="float32|float16|bfloat16|int8",
            callback=options.check_dtype,
            help="data type when measured; int8 in onnxruntime and openvino (default: float32)",
        ),
    ]
    runtime: options.Runtime
    features_only: Annotated[
        bool | None,
        typer.Option(
            "--features-only",
            help="measure the backbone for dense prediction, which gives maps and has no head",
            show_default=False,
        ),
    ]
    optimize: Annotated[
        bool | None,
        typer.Option(
            "--optimize",
            help="measure the inference form: the same function, folded and fused for this device",
            show_default=False,
        ),
    ]
    threads: options.Threads
    stat: options.Stat


class TrainingData(TypedDict):
    """What networks are trained on, and the seed of it."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|PATH",
            help="training data: shapetex, digits, a folder with one folder per class, an .npz file, or hf:NAME "
            "(default: shapetex)",
        ),
    ]
    images: Annotated[
        int | None,
        typer.Option(
            "--images", metavar="N", parser=options.whole(10_000_000), help="training images at most (default: 2000)"
        ),
    ]
    seed: Annotated[
        int | None,
        options.seed_option("sampling, data order and initial weights"),
    ]

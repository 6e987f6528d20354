"""`archdsl search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli import options, output
from archdsl.cli.units import amount, duration_ms, memory, rate, seconds

Space = Annotated[
    str | None,
    typer.Argument(metavar="SPACE", help="name or path of a search space (default: the shipped one for the device)"),
]
LatencyBudget = Annotated[
    float | None,
    typer.Option(
        "--latency-budget",
        metavar="TIME",
        parser=duration_ms,
        help="largest allowed latency of one batch, e.g. 5ms (by default the median of undisturbed rounds)",
    ),
]
ThroughputBudget = Annotated[
    float | None,
    typer.Option(
        "--throughput-budget",
        metavar="RATE",
        parser=rate,
        help="smallest allowed images per second at --batch, e.g. 200/s",
    ),
]
ParamsBudget = Annotated[
    float | None, typer.Option("--params-budget", metavar="N", parser=amount, help="maximum parameters, e.g. 30M")
]
MacsBudget = Annotated[
    float | None, typer.Option("--macs-budget", metavar="N", parser=amount, help="maximum MACs of one image, e.g. 4G")
]
MemoryBudget = Annotated[
    float | None,
    typer.Option(
        "--memory-budget",
        metavar="SIZE",
        parser=memory,
        help="maximum memory of weights and peak activations, e.g. 200MB",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="cpu|cuda|cuda:N",
        callback=options.check_device,
        help="device to measure and train on (default: cuda if there is one)",
    ),
]
Batch = Annotated[
    int | None, typer.Option("--batch", metavar="N", parser=options.whole(65536), help="images per batch (default: 1)")
]
Dtype = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="float32|float16|bfloat16",
        callback=options.check_dtype,
        help="data type of weights and images when measured (default: float32)",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        parser=options.whole(1_000_000),
        help="stop after this many distinct networks (default: no limit)",
    ),
]
Limit = Annotated[
    float | None,
    typer.Option(
        "--time",
        metavar="TIME",
        parser=seconds,
        help="stop after this much wall-clock time in all, e.g. 6m (default 10m)",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|PATH",
        help="training data: shapetex (default), digits, a folder with a folder per class, an .npz file, or hf:NAME",
    ),
]
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs",
        metavar="X",
        min=0.01,
        max=1000,
        help="epochs of short training (default: 2, or as many as 150 steps take)",
    ),
]
Images = Annotated[
    int | None,
    typer.Option("--images", metavar="N", parser=options.whole(10_000_000), help="training images (default: 2000)"),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="auto|gp|tpe|nsga2|evolution|random",
        callback=options.check_sampler,
        help="search algorithm (default: auto)",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="seed of sampling and training (default: 0)"),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder of the run (default: runs/TIME-SPACE)")]
Resume = Annotated[bool, typer.Option("--resume", help="continue the run in --out")]
Earlier = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="DIR",
        help="reuse the trainings of an earlier run where they fit; they do not count as trials; may be repeated",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", parser=options.whole(256), help="networks tried in parallel; on GPUs, one per GPU"
    ),
]
TrialTime = Annotated[
    float | None,
    typer.Option(
        "--trial-time",
        metavar="TIME",
        parser=seconds,
        help="a trial that takes longer counts as failed, e.g. 10m (default: no limit)",
    ),
]
TrialMemory = Annotated[
    float | None,
    typer.Option(
        "--trial-memory", metavar="SIZE", parser=memory, help="host memory one worker may use (default: an equal share)"
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", metavar="URL", help="database through which machines share the study: postgresql://USER@HOST/DB"
    ),
]
RoleOption = Annotated[
    str, typer.Option("--role", metavar="train|measure|both", help="what this machine does in a shared study")
]


def command(
    space: Space = None,
    latency_budget: LatencyBudget = None,
    throughput_budget: ThroughputBudget = None,
    params_budget: ParamsBudget = None,
    macs_budget: MacsBudget = None,
    memory_budget: MemoryBudget = None,
    device: Device = None,
    batch: Batch = None,
    dtype: Dtype = None,
    runtime: options.Runtime = None,
    mode: options.Mode = None,
    threads: options.Threads = None,
    stat: options.Stat = None,
    trials: Trials = None,
    time: Limit = None,
    data: DataOption = None,
    epochs: Epochs = None,
    images: Images = None,
    sampler: SamplerOption = None,
    seed: Seed = None,
    out: Out = None,
    resume: Resume = False,
    earlier: Earlier = None,
    workers: Workers = 1,
    trial_time: TrialTime = None,
    trial_memory: TrialMemory = None,
    storage: Storage = None,
    role: RoleOption = "both",
    as_json: options.Json = False,
) -> None:
    """Search for the most accurate backbone inside a latency budget, as measured on this device.

    Candidates over a budget are never trained. The winner's file is measured again in fresh processes. PASS, FAIL or
    UNSURE is printed; only PASS has exit code 0. The run's folder holds the winner's files (winner.json,
    winner.safetensors, run_winner.py, README.txt), verdict.json, front.json, trials.jsonl and report.html;
    `archdsl report` prints it.

    \b
    Examples:
      archdsl search --latency-budget 5ms
      archdsl search lit-dat-64 --latency-budget 3ms --time 6m --out runs/first
      archdsl search --throughput-budget 300/s --batch 16 --time 6m
      archdsl search --out runs/first --resume --time 20m
      archdsl search my_space.json --out runs/second --from runs/first
      archdsl search --latency-budget 5ms --workers 2
      archdsl search --latency-budget 5ms --storage postgresql://me@host/studies --role train
    """
    from archdsl.render.console import stderr, stdout
    from archdsl.render.search import Display, summary
    from archdsl.search.api import run

    if resume and out is None:
        raise typer.BadParameter("name the run's folder by --out", param_hint="'--resume'")
    runtime = options.runtime_of(runtime, mode)
    with Display(stderr(), output.talk().quiet) as display:
        result = run(
            space,
            latency_budget_ms=latency_budget,
            throughput_budget=throughput_budget,
            params_budget=params_budget,
            macs_budget=macs_budget,
            memory_budget=memory_budget,
            device=device,
            batch=batch,
            dtype=dtype,
            runtime=runtime,
            threads=threads,
            stat=stat,
            data=data,
            epochs=epochs,
            images=images,
            trials=trials,
            time_s=time,
            sampler=sampler,  # type: ignore[arg-type]  # it is checked inside
            seed=seed,
            out=out,
            resume=resume,
            earlier=earlier or (),
            workers=workers,
            trial_time_s=trial_time,
            trial_memory=trial_memory,
            storage=storage,
            role=role,  # type: ignore[arg-type]  # it is checked inside
            watcher=display,
        )
    if as_json:
        output.result_json(result.as_json())
    else:
        stdout().print(summary(result), soft_wrap=True)
    if result.interrupted:
        raise typer.Exit(130)
    if result.verdict.verdict in ("FAIL", "UNSURE"):
        raise typer.Exit(1)

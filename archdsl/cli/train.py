"""`archdsl train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, TypedDict, Unpack

import typer

from archdsl.cli import output
from archdsl.cli.documents import open_specs
from archdsl.cli.options import (
    Force,
    Json,
    Name,
    Set,
    batch_option,
    chosen,
    device_option,
    number,
    seed_option,
    threads_option,
    whole,
)
from archdsl.cli.units import memory, seconds
from archdsl.cli.unpacking import with_options

_DTYPES = ("float32", "bfloat16", "float16")


def _recipes() -> tuple[str, ...]:
    from archdsl.training.named_recipes import NAMES

    return NAMES


class TrainOptions(TypedDict):
    """The options of a training, by the names of `archdsl.train`."""

    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PATH|NAME|hf:NAME",
            help="a folder with one folder per class, a .npz file, shapetex, digits, or a Hugging Face dataset "
            "(default: shapetex)",
        ),
    ]
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="weights to start from: a .safetensors of archdsl or a published checkpoint (default: those in SPEC, "
            "if it is a .safetensors; else initial weights)",
        ),
    ]
    teacher: Annotated[
        Path | None,
        typer.Option(
            "--teacher",
            metavar="FILE",
            help="a .safetensors of archdsl with the same classes, whose outputs are learnt beside the labels "
            "(knowledge distillation; default: none)",
        ),
    ]
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            metavar="fast|paper",
            callback=chosen("recipe", _recipes),
            show_default=False,
            help="fast: for minutes on a CPU; paper: as the spec's family was trained (default: fast)",
        ),
    ]
    freeze: Annotated[
        list[str],
        typer.Option(
            "--freeze",
            metavar="NODE",
            help="a node that keeps its weights, or 'all but head'; may be repeated (default: none)",
        ),
    ]
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            metavar="X",
            parser=number(0.001, 100_000),
            help="passes over the training images (default: the recipe's; with --time, as many as fit)",
        ),
    ]
    time_s: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="TIME",
            parser=seconds,
            help="finish in this time, evaluation included, e.g. 6m (default: no limit)",
        ),
    ]
    batch: Annotated[
        int | None,
        batch_option("images per step, in all processes together (default: the recipe's)"),
    ]
    lr: Annotated[
        float | None,
        typer.Option("--lr", metavar="X", help="peak learning rate at this batch (default: the recipe's)"),
    ]
    seed: Annotated[
        int,
        seed_option("initial weights, image order, augmentation and the split of the images"),
    ]
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            metavar="N",
            parser=whole(1_000_000_000),
            help="training images at most (default: all; of a built-in set 2,000)",
        ),
    ]
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=whole(256, least=0),
            help="processes that read images (default: up to 4 for a folder that is larger than --memory, else 0)",
        ),
    ]
    memory_bytes: Annotated[
        float | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            parser=memory,
            help="images of a folder that take more memory than this are read from their files in each epoch "
            "(default: 512MiB)",
        ),
    ]
    device: Annotated[
        str | None,
        device_option("train on"),
    ]
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="float32|bfloat16|float16",
            callback=chosen("dtype", lambda: _DTYPES),
            help="data type of training, by autocast (default: bfloat16 on a GPU that has it, else float32)",
        ),
    ]
    ema: Annotated[
        float | None,
        typer.Option(
            "--ema",
            metavar="X",
            help="write a moving average of the weights with this decay, e.g. 0.999 (default: none)",
        ),
    ]
    mixup: Annotated[
        float | None, typer.Option("--mixup", metavar="X", help="strength of mixup; 0 is off (default: the recipe's)")
    ]
    cutmix: Annotated[
        float | None, typer.Option("--cutmix", metavar="X", help="strength of CutMix; 0 is off (default: the recipe's)")
    ]
    grad_checkpointing: Annotated[
        bool,
        typer.Option("--grad-checkpointing", help="recompute activations in the backward pass: less memory, more time"),
    ]
    threads: Annotated[
        int | None,
        threads_option(
            "CPU threads (default: one or all physical cores, whichever trains faster; OMP_NUM_THREADS bounds them)"
        ),
    ]
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="write logs for TensorBoard to this folder (default: none)"),
    ]
    resume: Annotated[bool, typer.Option("--resume", help="continue an interrupted training of the same command")]


@with_options(TrainOptions, recipe="fast", freeze=(), seed=0, grad_checkpointing=False, resume=False)
def command(
    spec: Name,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="file to write")],
    assignments: Set = None,
    force: Force = False,
    *,
    as_json: Json = False,
    **options: Unpack[TrainOptions],
) -> None:
    """Train a network on images with labels, and write it to one file.

    The file holds the weights, the classes, the preprocessing, the accuracy on images that were not trained with, and
    how it was trained. The number of classes is that of the data. A log is written beside it, one line per epoch. After
    an interruption the same command with --resume continues; nothing is trained twice. Start it with torchrun to train
    in several processes.

    \b
    Examples:
      archdsl train dat_t --set image=64 --data photos --time 10m -o photos.safetensors
      archdsl train litv2_s --weights litv2_s.pth --data photos --freeze "all but head" --epochs 5 -o head.safetensors
      archdsl train winner.safetensors --data photos --epochs 20 -o longer.safetensors
      archdsl train small.json --data photos --teacher longer.safetensors -o small.safetensors
    """
    import archdsl
    from archdsl.render.console import stderr
    from archdsl.render.training import TrainingDisplay
    from archdsl.training.options import MEMORY_BYTES
    from archdsl.training.processes import processes
    from archdsl.training.unfinished import check_output, state_file

    if processes().is_first:
        check_output(out, options["resume"], force)
    (document,) = open_specs([spec], assignments)
    if options["weights"] is None and spec.endswith(".safetensors"):
        options["weights"] = Path(spec)
    options["memory_bytes"] = MEMORY_BYTES if options["memory_bytes"] is None else options["memory_bytes"]
    is_first = processes().is_first
    try:
        with TrainingDisplay(stderr(), output.talk().quiet or not is_first) as display:
            trained = archdsl.train(document, out=out, force=force, **options, watcher=display)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        if state_file(out).exists():
            again = shlex.join(["archdsl", *sys.argv[1:]])
            output.error(f"interrupted; to continue: {again}{'' if options['resume'] else ' --resume'}")
        raise
    if not is_first:
        return None
    for line in trained.warnings:
        output.remark(f"warning: {line}")
    if as_json:
        return output.result_json(trained.as_json())
    return output.lines(*trained.lines())

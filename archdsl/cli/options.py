"""Arguments and options that commands share, each with its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Annotated, get_args

import typer
from typer.models import OptionInfo

from archdsl.cli import output
from archdsl.errors import nearest
from archdsl.search.request import Role, Sampler

Name = Annotated[str, typer.Argument(metavar="SPEC", help="zoo name, or path of a .json or .safetensors file")]
Document = Annotated[
    str,
    typer.Argument(
        metavar="SPEC|SPACE", help="name of a backbone or a search space, path of a .json or .safetensors file, or -"
    ),
]
Names = Annotated[list[str], typer.Argument(metavar="SPEC", help="zoo names, or paths of .json or .safetensors files")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="set a field of a backbone, e.g. stage3.depth=8 or image=[224,320]; may be repeated",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="replace the output file where it is there already")]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]


def chosen(what: str, allowed: Callable[[], Iterable[str]]) -> Callable[[str | None], str | None]:
    """A check for an option that takes one of some names; they are asked for when a value is there to be checked."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in (names := list(allowed())):
            raise typer.BadParameter(f"unknown {what} '{value}'; {nearest(value, names)}")
        return value

    return check


def _dtypes() -> Iterable[str]:
    from archdsl.runtimes.setting import DTYPES

    return DTYPES


def _runtimes() -> Iterable[str]:
    from archdsl.runtimes.by_name import runtimes

    return runtimes()


def _stats() -> Iterable[str]:
    from archdsl.latency.stats import STATS

    return STATS


check_dtype = chosen("dtype", _dtypes)
check_runtime = chosen("runtime", _runtimes)
chosen_sampler = chosen("sampler", lambda: get_args(Sampler))
chosen_role = chosen("role", lambda: get_args(Role))

Runtime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="eager|graph|compile|onnxruntime|openvino",
        callback=check_runtime,
        help="what executes the network (default: graph on a GPU; on a CPU onnxruntime where installed, else eager)",
    ),
]
Mode = Annotated[
    str | None, typer.Option("--mode", hidden=True, callback=chosen("mode", _runtimes), help="former name of --runtime")
]


Optimize = Annotated[
    bool, typer.Option("--optimize", help="use the inference form: the same function, folded and fused for this device")
]


def check_target(value: str | None) -> str | None:
    """`ssh://user@host[:port]`; whether the machine is there is found out when it is used."""
    if value is not None:
        from archdsl.runtimes.target import Target

        Target.parse(value)
    return value


Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="ssh://USER@HOST",
        callback=check_target,
        is_eager=True,  # so that a warning about this machine knows of it
        help="measure on another machine's CPU, through ssh, in onnxruntime (the default) or openvino",
    ),
]

Stat = Annotated[
    str | None,
    typer.Option(
        "--stat",
        metavar="min|p10|p50|p90",
        callback=chosen("statistic", _stats),
        help="statistic of the latency; p50 is the median (default: p50)",
    ),
]


def runtime_of(runtime: str | None, mode: str | None) -> str | None:
    """What `--runtime` says, or `--mode`, its former name; None where neither is given."""
    if None not in (runtime, mode) and runtime != mode:
        rule = f"'{runtime}' differs from --mode '{mode}', its former name"
        raise typer.BadParameter(f"{rule}; give --runtime alone", param_hint="'--runtime'")
    return mode if runtime is None else runtime


def check_device(value: str | None) -> str | None:
    """`cpu`, `cuda` or `cuda:N`; whether it is here is found out when it is used."""
    name, colon, number = (value or "cpu").partition(":")
    if name not in ("cpu", "cuda") or (colon and (name == "cpu" or not (number.isascii() and number.isdigit()))):
        remedy = "write cuda:0" if name == "cuda" else nearest(name, ("cpu", "cuda"))
        raise typer.BadParameter(f"unknown device '{value}'; {remedy}")
    return value


def whole(most: int, least: int = 1) -> Callable[[str | int], int]:
    """The reader of a whole number from `least` to `most`; typer hands it the default too."""

    def read(value: str | int) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise typer.BadParameter(f"'{text[:40]}' is not a whole number from {least} to {most}")
        return int(text)

    return read


def number(least: float, most: float) -> Callable[[str | float], float]:
    """The reader of a number from `least` to `most`."""

    def read(value: str | float) -> float:
        with suppress(ValueError):
            if least <= float(value) <= most:
                return float(value)
        raise typer.BadParameter(f"'{str(value)[:40]}' is not a number from {least:g} to {most:g}")

    return read


def device_option(use: str) -> OptionInfo:
    """`--device`, of a command that does this on it, as `measure on`."""
    option: OptionInfo = typer.Option(
        "--device",
        metavar="cpu|cuda|cuda:N",
        callback=check_device,
        help=f"device to {use} (default: cuda if there is one)",
    )
    return option


def whole_option(name: str, most: int, text: str) -> OptionInfo:
    """An option that takes a whole number from 1 to `most`; the text of the help says the default."""
    option: OptionInfo = typer.Option(name, metavar="N", parser=whole(most), show_default=False, help=text)
    return option


def batch_option(text: str) -> OptionInfo:
    """`--batch`."""
    return whole_option("--batch", 65536, text)


def seed_option(use: str) -> OptionInfo:
    """`--seed`, 0 by default; `use` says of what it is the seed."""
    option: OptionInfo = typer.Option(
        "--seed",
        metavar="N",
        parser=whole(2**31 - 1, least=0),
        show_default=False,
        help=f"seed of {use} (default: 0)",
    )
    return option


def threads_option(text: str) -> OptionInfo:
    """`--threads`, with a warning where this machine, if it is the one that is measured, has fewer cores."""
    option: OptionInfo = typer.Option(
        "--threads", metavar="N", parser=whole(1024), show_default=False, help=text, callback=_warn_of_few_cores
    )
    return option


def _warn_of_few_cores(context: typer.Context, threads: int | None) -> int | None:
    if threads is not None and context.params.get("target") is None:
        from archdsl.timing.cores import physical_cores

        if threads > (cores := physical_cores()):
            has = f"has {cores} physical cores" if cores > 1 else "has one physical core"
            output.remark(f"warning: this machine {has}; {threads} threads wait for each other")
    return threads


def rounds_option(text: str) -> OptionInfo:
    """`--rounds`."""
    return whole_option("--rounds", 100_000, text)


Threads = Annotated[
    int | None,
    threads_option("CPU threads (default: all physical cores if they are 1.5 times faster than one, else 1)"),
]

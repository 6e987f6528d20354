"""Quantities as people write them on a command line: `5ms`, `1h30m`, `30M`, `1.5GiB`. The unit is always written."""

from __future__ import annotations

import re

import typer

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?"
_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_AMOUNT = {"K": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_RATE = {"/s": 1.0, "K/s": 1e3}
_SPAN = re.compile(rf"(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?")

_HOUR_MS, _MONTH_S = 3.6e6, 30 * 86400.0
_MOST_AMOUNT, _MOST_BYTES = 1e15, 2.0**50


def duration_ms(text: str) -> float:
    """A latency in ms: `5ms` is 5, `900us` 0.9, `2s` 2000.

    Raises:
        BadParameter: it is none, has no unit, or is not above 0 and at most an hour.
    """
    return _within(text, _scaled(text, _MS, "a duration", "5ms, 0.8ms, 900us"), _HOUR_MS, "a duration", "1h")


class Share(float):
    """A budget that was written as a share: `60%` is 0.6."""


def latency_budget(text: str) -> float:
    """A latency in ms as `duration_ms` reads it, or a share of the parent's latency: `60%` is `Share(0.6)`.

    Raises:
        BadParameter: it is neither, or a share that is not above 0 and at most 1000 %.
    """
    if (match := re.fullmatch(rf"({_NUMBER})\s*%", text.strip())) is None:
        return duration_ms(text)
    share = float(match[1]) / 100
    if not 0 < share <= 10:
        raise typer.BadParameter(f"a share of the parent's latency must be above 0% and at most 1000%; got '{text}'")
    return Share(share)


def seconds(text: str) -> float:
    """A time to spend in seconds: `6m` is 360, `1h30m` 5400.

    Raises:
        BadParameter: it is none, has no unit, or is not above 0 and at most 30 days.
    """
    match, examples = _SPAN.fullmatch(text.strip()), "90s, 6m, 1h30m"
    if not match or not match[0]:
        raise _refused(text, "a time", examples)
    total = sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS.values(), strict=True) if part)
    return _within(text, total, _MONTH_S, "a time", "720h")


def amount(text: str) -> float:
    """A number of parameters or MACs: `30M` is 30e6.

    Raises:
        BadParameter: it is none, has no unit, or is not above 0 and at most 1e15.
    """
    return _within(text, _scaled(text, _AMOUNT, "an amount", "30M, 4.5G, 900K"), _MOST_AMOUNT, "an amount", "1000000G")


def rate(text: str) -> float:
    """Images per second: `200/s` is 200, `1.5K/s` 1500.

    Raises:
        BadParameter: it is none, has no unit, or is not above 0 and at most 1e9.
    """
    return _within(text, _scaled(text, _RATE, "a throughput", "200/s, 1.5K/s"), 1e9, "a throughput", "1000000K/s")


def memory(text: str) -> float:
    """Bytes: `200MB` is 200e6, `1.5GiB` 1.5 * 2^30.

    Raises:
        BadParameter: it is none, has no unit, or is not above 0 and at most 2^50.
    """
    examples = "200MB, 1.5GiB"
    return _within(text, _scaled(text, _BYTES, "a memory size", examples), _MOST_BYTES, "a memory size", "1048576GiB")


def _scaled(text: str, units: dict[str, float], what: str, examples: str) -> float:
    match = re.fullmatch(rf"({_NUMBER})\s*([a-zA-Zµ/]+)", text.strip())
    if not match or match[2] not in units:
        raise _refused(text, what, examples)
    return float(match[1]) * units[match[2]]


def _refused(text: str, what: str, examples: str) -> typer.BadParameter:
    if re.fullmatch(rf"-\s*{_NUMBER}\s*\w*", text.strip()):
        return typer.BadParameter(f"{_quoted(text)} is negative; write e.g. {examples}")
    if re.fullmatch(_NUMBER, text.strip()):
        return typer.BadParameter(f"{_quoted(text)} has no unit; write e.g. {examples}")
    return typer.BadParameter(f"{_quoted(text)} is not {what}; write e.g. {examples}")


def _within(text: str, value: float, most: float, what: str, limit: str) -> float:
    """The value, above 0 (also once rounded to a float) and not beyond what anybody means."""
    if not 0 < value <= most:
        raise typer.BadParameter(f"{what} must be more than 0 and at most {limit}; got {_quoted(text)}")
    return value


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")

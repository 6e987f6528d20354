"""Quantities on the command line: what is read, and what is said of what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer

from archdsl.cli.units import Share, amount, duration_ms, latency_budget, memory, rate, seconds


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (duration_ms, "5ms", 5.0),
        (duration_ms, "0.8ms", 0.8),
        (duration_ms, ".8 ms", 0.8),
        (duration_ms, "900us", 0.9),
        (duration_ms, "900µs", 0.9),
        (duration_ms, "2s", 2000.0),
        (duration_ms, "5e-1ms", 0.5),
        (seconds, "90s", 90.0),
        (seconds, "6m", 360.0),
        (seconds, "1h", 3600.0),
        (seconds, "1h30m", 5400.0),
        (seconds, "1h30m5s", 5405.0),
        (seconds, "0.5h", 1800.0),
        (amount, "30M", 30e6),
        (amount, "4.5G", 4.5e9),
        (amount, "900K", 900e3),
        (rate, "200/s", 200.0),
        (rate, "1.5 K/s", 1500.0),
        (memory, "200MB", 200e6),
        (memory, "1.5GiB", 1.5 * 2**30),
        (memory, "64 KiB", 65536.0),
    ],
)
def test_a_quantity_is_read_with_its_unit(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (duration_ms, "5sec", "'5sec' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "5", "'5' has no unit; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "", "'' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "ms", "'ms' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "nan", "'nan' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "infms", "'infms' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "-5ms", "'-5ms' is negative; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "0ms", "a duration must be more than 0 and at most 1h; got '0ms'"),
        (duration_ms, "1e-999ms", "a duration must be more than 0 and at most 1h; got '1e-999ms'"),
        (duration_ms, "1e999ms", "a duration must be more than 0 and at most 1h; got '1e999ms'"),
        (duration_ms, "5MS", "'5MS' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (duration_ms, "\u0665ms", "'\u0665ms' is not a duration; write e.g. 5ms, 0.8ms, 900us"),
        (seconds, "90", "'90' has no unit; write e.g. 90s, 6m, 1h30m"),
        (seconds, "6min", "'6min' is not a time; write e.g. 90s, 6m, 1h30m"),
        (seconds, "30m1h", "'30m1h' is not a time; write e.g. 90s, 6m, 1h30m"),
        (seconds, "0s", "a time must be more than 0 and at most 720h; got '0s'"),
        (seconds, "800h", "a time must be more than 0 and at most 720h; got '800h'"),
        (amount, "30", "'30' has no unit; write e.g. 30M, 4.5G, 900K"),
        (amount, "30 millions", "'30 millions' is not an amount; write e.g. 30M, 4.5G, 900K"),
        (amount, "1e30G", "an amount must be more than 0 and at most 1000000G; got '1e30G'"),
        (memory, "200", "'200' has no unit; write e.g. 200MB, 1.5GiB"),
        (memory, "200mb", "'200mb' is not a memory size; write e.g. 200MB, 1.5GiB"),
        (
            memory,
            "9" * 60 + "MB",
            "a memory size must be more than 0 and at most 1048576GiB; got '" + "9" * 37 + "...'",
        ),
    ],
)
def test_what_is_no_quantity_is_refused_with_a_remedy(read: Callable[[str], float], text: str, message: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read(text)
    assert refused.value.message == message


@pytest.mark.parametrize(("text", "share"), [("60%", 0.6), ("12.5 %", 0.125), ("1000%", 10.0)])
def test_a_latency_budget_is_a_share_too(text: str, share: float) -> None:
    budget = latency_budget(text)
    assert isinstance(budget, Share)
    assert budget == pytest.approx(share)
    assert not isinstance(latency_budget("5ms"), Share)


@pytest.mark.parametrize("text", ["0%", "1001%", "-5%", "%", "60", "60%%", "60percent"])
def test_what_is_no_latency_budget_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        latency_budget(text)

"""What is asked of the runner on another machine, and how it speaks before it answers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    Fact = str | int | float | bool | list["Fact"] | dict[str, "Fact"] | None

EVENT = "archdsl-runner: "
"""Begins a line on stderr that is an event."""
ALIVE_S = 5.0
"""Between two signs that a process is there."""


class Network(TypedDict):
    """A network to be measured: its file by number, and the shape (B, C, H, W) of its images."""

    name: str
    file: int
    shape: list[int]


class Gate(TypedDict):
    """Ends the rounds as `archdsl.timing.gate.GateStop` does."""

    stat: str
    gate_ms: float


class Job(TypedDict):
    """What is asked of the runner."""

    runtime: str
    version: str
    """That it must have."""
    files: list[str]
    """SHA-256 of each file that follows."""
    networks: list[Network]
    """In the order in which they are compared; none where only the machine is asked about."""
    threads: int | None
    """None: those on which the networks are fastest."""
    pace: dict[str, float | None] | None
    """None: only the number of threads is asked for."""
    gate: Gate | None
    lock_holder: tuple[str, int] | None
    """The caller as `device_lock.Holder`, where it holds its machine's lock: this may be the same machine."""
    lock_timeout_s: float | None


def say(**event: str | bool) -> None:
    """Tell the caller something before the answer: a line of JSON on stderr."""
    sys.stderr.write(f"{EVENT}{json.dumps(event)}\n")
    sys.stderr.flush()

"""A worker that answers in this process: what searches of pages are given, which would else start torch many times.

Processes of their own, and what happens when they die, are held by tests/search/worker and test_search_real.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from archdsl.json_types import JsonObject
from archdsl.search.worker.child import answer
from archdsl.search.worker.process import Failed, Worker

R = TypeVar("R")


class InProcessWorker(Worker):
    """Computes what its child would; it can neither hang nor be killed."""

    def exchange(self, request: JsonObject, timeout_s: float, heard: Callable[[JsonObject], None]) -> JsonObject:
        reply = answer(request, heard)
        if "failed" in reply:
            raise Failed(str(reply["failed"]))
        return reply

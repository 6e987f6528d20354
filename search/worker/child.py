"""The child process that keeps torch loaded: it measures and trains, one request a line, one reply a line.

`python -m archdsl.search.worker.child` reads JSON requests from its standard input and ends with it. What goes wrong
with a candidate is a reply; what kills the process costs its parent that one candidate.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable

from archdsl.errors import ArchError, ConnectionLost
from archdsl.json_types import JsonObject
from archdsl.processes import end_with_parent
from archdsl.search.worker.actions import ACTIONS
from archdsl.search.worker.torch_faults import full_memory, is_broken


def main() -> None:
    """Serve requests until the standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    end_with_parent()
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def say(reply: JsonObject) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    say({"ready": True})
    while True:
        try:
            say(answer(json.loads(requests.get()), say))
        except BrokenPipeError:
            _end()


def _listen(requests: queue.SimpleQueue[str]) -> None:
    """Hand on what is asked; the end of the input ends the process, whatever it is doing."""
    for line in sys.stdin:
        requests.put(line)
    _end()


def _end() -> None:
    """End this process and what it started; it leads a group of its own where a parent started it for a search."""
    if os.getpgrp() == os.getpid() and os.getsid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


def answer(request: JsonObject, say: Callable[[JsonObject], None]) -> JsonObject:
    """What comes of a request; after a fault that outlasts it, the parent is told to start another worker."""
    try:
        return {"done": True, **ACTIONS[str(request["do"])](request, say)}
    except BrokenPipeError:
        raise
    except Exception as error:
        if full := full_memory(error):
            return {"done": True, "failed": full, "broken": True}  # what is left of it is in pieces
        if isinstance(error, ArchError):
            lost = isinstance(error, ConnectionLost)
            return {"done": True, "failed": str(error), "broken": is_broken(error), "lost": lost}
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:300]
        message = f"{type(error).__name__}: {text} ({where.name}, line {where.lineno})"
        return {"done": True, "failed": message, "broken": is_broken(error)}


if __name__ == "__main__":
    main()

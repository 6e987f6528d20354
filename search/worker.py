"""The child process that keeps torch loaded: it measures and trains, one request a line, one reply a line.

`python -m archdsl.search.worker` reads JSON requests from its standard input and ends with it. What goes wrong with a
candidate is a reply; what kills the process costs its parent that one candidate.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

from archdsl.errors import ArchError

Request = dict[str, Any]
Reply = dict[str, Any]


def main() -> None:
    """Serve requests until the standard input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a reply

    def say(reply: Reply) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            say({"done": True, **_ACTIONS[request["do"]](request, say)})
        except ArchError as error:
            say({"done": True, "failed": str(error)})
        except MemoryError:
            say({"done": True, "failed": "out of memory"})
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())[:300]
            say({"done": True, "failed": f"{type(error).__name__}: {text} ({where.name}, line {where.lineno})"})


def _hello(request: Request, say: Callable[[Reply], None]) -> Reply:
    """The device that a search runs on, and what is known of it."""
    from archdsl.latency import default_device, default_stat
    from archdsl.latency.provenance import provenance
    from archdsl.latency.setting import checked_device

    device = checked_device(request.get("device") or default_device())
    facts = provenance(device, request["dtype"], request["batch"], request["mode"], request["threads"])
    return {"device": device, "stat": default_stat(device), "provenance": facts}


def _data(request: Request, say: Callable[[Reply], None]) -> Reply:
    """The data's classes and channels; it is loaded once."""
    data = _loaded(*request["data"])
    return {
        "classes": data.classes,
        "channels": data.channels,
        "images": len(data.train_labels),
        "chance": data.chance,
        "describe": data.describe(),
        "fingerprint": data.fingerprint(),
    }


@cache
def _loaded(name: str, image: int, seed: int, images: int) -> Any:
    from archdsl.search.data import load

    return load(name, image, seed, train=images)


def _measure(request: Request, say: Callable[[Reply], None]) -> Reply:
    """The latency of a network."""
    from archdsl.latency import measure
    from archdsl.load import spec_of

    started = time.monotonic()
    latency = measure(spec_of(request["spec"]), **request["setting"])
    return {"latency": latency.as_json(), "seconds": time.monotonic() - started}


def _train(request: Request, say: Callable[[Reply], None]) -> Reply:
    """The proxy accuracy of a network."""
    import torch

    from archdsl.compile import build
    from archdsl.load import spec_of
    from archdsl.search.proxy import Fidelity, train

    data = _loaded(*request["data"])
    fidelity = Fidelity(request["epochs"], min(request["images"], len(data.train_labels)))
    spec = spec_of(request["spec"])
    if request["device"] == "cpu":
        torch.set_num_threads(request["threads"] or _training_threads(spec, data, fidelity.batch))
    torch.manual_seed(request["seed"])
    told = time.monotonic()

    def progress(step: int, steps: int, loss: float) -> None:
        nonlocal told
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            say({"progress": step / steps, "loss": loss})

    deadline = None if request["seconds"] is None else time.monotonic() + request["seconds"]
    outcome = train(
        build(spec),
        data,
        fidelity,
        seed=request["seed"],
        device=request["device"],
        deadline=deadline,
        progress=progress,
    )
    return {"outcome": outcome._asdict(), "fidelity": str(fidelity), "threads": torch.get_num_threads()}


_chosen_threads: dict[int, float] = {}


def _training_threads(spec: Any, data: Any, batch: int) -> int:
    """The thread count that trains faster here, one or all cores, found out once on the first network.

    On a shared machine a second thread can cost more than it gives: it waits for a core that another has.
    """
    import torch

    from archdsl.compile import build
    from archdsl.latency.provenance import physical_cores

    if not _chosen_threads:
        model = build(spec)
        images = data.normalise(data.train_images[:batch])
        for threads in sorted({1, physical_cores()}):
            torch.set_num_threads(threads)
            times = []
            for _ in range(4):
                started = time.perf_counter()
                model(images).sum().backward()
                times.append(time.perf_counter() - started)
            _chosen_threads[threads] = min(times)
    return min(_chosen_threads, key=lambda threads: _chosen_threads[threads])


_ACTIONS: dict[str, Callable[[Request, Callable[[Reply], None]], Reply]] = {
    "hello": _hello,
    "data": _data,
    "measure": _measure,
    "train": _train,
}

if __name__ == "__main__":
    main()

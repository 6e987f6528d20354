"""How many different backbones a second are checked and counted, without torch: `python benchmarks/cost_speed.py`.

Points of a shipped space, all different, in rounds; CPU time, since the machine may be shared. Writes
benchmarks/results/cost_speed.json.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from archdsl import count, load_space
from archdsl.errors import SpecError
from archdsl.latency.provenance import provenance
from archdsl.load.spaces import draw, point
from archdsl.load.specs import spec_of
from archdsl.spaces.variables import variables

SPACE, SPECS, ROUNDS = "lit-dat-224", 500, 5


def documents() -> list[dict[str, Any]]:
    """Different networks as documents: points of the space, each with a class count of its own."""
    space, generator = load_space(SPACE), random.Random(0)
    by_name = variables(space.nodes)
    documents: list[dict[str, Any]] = []
    while len(documents) < SPECS * ROUNDS:
        try:
            spec, _ = point(space, lambda name: draw(by_name[name], generator))
        except SpecError:
            continue
        documents.append(spec.to_json() | {"classes": 100 + len(documents)})
    return documents


def main() -> None:
    written = documents()
    rates: dict[str, list[float]] = {"checked": [], "counted": []}
    for index in range(ROUNDS):
        batch = written[index * SPECS : (index + 1) * SPECS]
        started = time.process_time()
        specs = [spec_of(document) for document in batch]
        checked = time.process_time()
        plain = [spec.model_copy(update={"classes": spec.classes + 50_000}) for spec in specs]
        copied = time.process_time()
        for spec in plain:
            count(spec)
        rates["checked"].append(SPECS / (checked - started))
        rates["counted"].append(SPECS / (time.process_time() - copied))
    result = {
        "specs_a_second": {name: {"min": min(measured), "max": max(measured)} for name, measured in rates.items()},
        "what": "checked: validated, shapes and limits, from a document; counted: params, MACs and memory of a spec",
        "space": SPACE,
        "specs": SPECS,
        "rounds": ROUNDS,
        "torch_imported": "torch" in sys.modules,
        "provenance": provenance("cpu", "none", 1, "none", 1).as_json(),
    }
    text = json.dumps(result, indent=2)
    (Path(__file__).parent / "results" / "cost_speed.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

"""The files of a winner: its document, its weights, a script that measures it again, and how to use it.

A search that ends with FAIL leaves none of them, but `nearest.json`, the network that came nearest.
"""

from __future__ import annotations

import shutil

from archdsl.files import replacing
from archdsl.json_types import JsonObject
from archdsl.language.text.writing import dump
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.verdict import Verdict

WINNER_FILES = ("winner.json", "winner.safetensors", "run_winner.py", "README.txt")


def write_winner(folder: RunFolder, settings: Settings, policy: FinalReadingPolicy, verdict: Verdict) -> None:
    """Write the winner's files, or the nearest miss; what an earlier part of the run left there is replaced.

    Raises:
        OSError: a file cannot be written.
    """
    folder.remove("nearest.json")
    if not verdict.has_winner or verdict.spec is None or verdict.reading is None:
        for name in WINNER_FILES:
            folder.remove(name)
        if verdict.verdict is not None and verdict.spec is not None:
            folder.write_text("nearest.json", dump(verdict.spec))
        return
    if verdict.weights is not None:
        with replacing(folder.path / "winner.safetensors") as partial:
            shutil.copyfile(verdict.weights, partial)  # byte for byte what was measured
    folder.write_text("winner.json", dump(verdict.spec))
    folder.write_text("run_winner.py", script(verdict.spec.name, verdict.reading.conditions, settings, policy))
    folder.write_text("README.txt", usage(verdict.spec.name))


def script(name: str, conditions: JsonObject, settings: Settings, policy: FinalReadingPolicy) -> str:
    """A program that measures `winner.safetensors` beside it again under the verdict's conditions, and for as long."""
    kept = ("device", "batch", "dtype", "runtime", "threads")
    values = {
        "NAME": name,
        "SETTING": {key: conditions[key] for key in kept},
        "STAT": settings.stat,
        "BUDGET_MS": settings.budgets.latency_ms,
        "ENVIRONMENT": conditions["environment"],
        "PROCESSES": policy.processes,
        "ROUNDS": policy.rounds,
        "LEAST_S": policy.least_s,
    }
    return _SCRIPT.format(**{key: repr(value) for key, value in values.items()})


_SCRIPT = '''\
"""Measures the winner of a search again under its verdict's conditions, in three fresh processes.

It prints the same statistic with its interval. Run it with a Python that has archdsl: python run_winner.py.
Exit code 0 for PASS, else 1.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

NAME = {NAME}
SETTING = {SETTING}
STAT, BUDGET_MS = {STAT}, {BUDGET_MS}
ENVIRONMENT = {ENVIRONMENT}
PROCESSES = {PROCESSES}


def measure_once() -> None:
    """Measure in this process, and print its rounds as JSON."""
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)  # it counts from before torch is imported
    import archdsl

    model = archdsl.load_model(Path(__file__).with_name("winner.safetensors"))
    latency = archdsl.measure(model, **SETTING, rounds={ROUNDS}, least_s={LEAST_S})
    print(json.dumps([latency.samples, latency.rounds.undisturbed]))


def main() -> int:
    """Pool the rounds of fresh processes, and compare the statistic with the budget."""
    from archdsl.timing.rounds import Rounds
    from archdsl.timing.verdict import judge

    processes = []
    for number in range(PROCESSES):
        print(f"measuring {{NAME}} in process {{number + 1}} of {{PROCESSES}} ...", file=sys.stderr)
        command = [sys.executable, __file__, "--once"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if ended.returncode:
            return ended.returncode
        ms, undisturbed = json.loads(ended.stdout)
        processes.append(Rounds(tuple(ms), tuple(undisturbed)))
    judged = judge(processes, STAT, BUDGET_MS)
    print(f"{{judged.verdict}}  {{NAME}}: {{judged.reason}}")
    if judged.estimate is not None:
        print(f"{{judged.estimate.undisturbed}} of {{judged.estimate.rounds}} rounds were undisturbed")
    print(", ".join(f"{{name}} {{value}}" for name, value in {{**SETTING, **ENVIRONMENT}}.items()))
    return 0 if judged.verdict == "PASS" else 1


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--once"]):
        sys.exit(__doc__)
    sys.exit(measure_once() if "--once" in sys.argv else main())
'''


def usage(name: str) -> str:
    """How to use a winner: a text with code that runs beside its file."""
    return _USAGE.format(name=name)


_USAGE = """\
{name}, the winner of this search

winner.json         the network as a document: archdsl show winner.json
winner.safetensors  its trained weights; the header holds the document, the classes, the preprocessing and the accuracy
run_winner.py       measures it again, in three fresh processes under the verdict's conditions
verdict.json        what was measured, and under which conditions
report.html         the whole search

Classify a photograph (with Pillow and archdsl installed; facts.preprocessing is how the training images were prepared):

    import numpy as np
    import torch
    from PIL import Image, ImageOps

    import archdsl
    from archdsl.weights import read_facts

    facts = read_facts("winner.safetensors")
    model = archdsl.load_model("winner.safetensors").eval()
    how, (height, width) = facts.preprocessing, facts.preprocessing.size
    picture = ImageOps.exif_transpose(Image.open("picture.jpg"))
    if picture.mode.startswith("I;16"):  # greys of 16 bits
        picture = Image.fromarray((np.asarray(picture) / 257).astype("uint8"))
    picture = picture.convert(how.channels)
    scaling = {{"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}}[how.resize.filter]
    if how.crop:
        picture = ImageOps.fit(picture, (width, height), scaling)
    picture = picture.resize((width, height), scaling)
    pixels = np.asarray(picture, dtype="float32").reshape(height, width, -1) / 255
    x = torch.from_numpy((pixels - how.mean) / how.std).float().permute(2, 0, 1)[None]
    with torch.inference_mode():
        print(facts.classes[model(x).argmax().item()])
"""

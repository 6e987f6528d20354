"""The files of a winner: its document, its weights, a script that measures it again, and how to use it.

A search that ends with FAIL leaves none of them, but `nearest.json`, the network that came nearest.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from archdsl.files import replacing
from archdsl.graphs.steps import map_steps, plan
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.language.text.writing import dump
from archdsl.runtimes.by_name import runs_files
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import FinalReadingPolicy
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.reading import Reading
from archdsl.search.store.verdict import Verdict
from archdsl.timing.interleaved import sample_ms

WEIGHTS, EXPORTED = "winner.safetensors", "winner.onnx"
WINNER_FILES = ("winner.json", WEIGHTS, EXPORTED, "run_winner.py", "README.txt")


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
    is_exported = runs_files(settings.runtime)
    if not is_exported:
        folder.remove(EXPORTED)
    if verdict.weights is not None:
        _copy(Path(verdict.weights), folder.path / WEIGHTS)
        if is_exported:
            _copy(Path(verdict.weights).with_suffix(".onnx"), folder.path / EXPORTED)
    folder.write_text("winner.json", dump(verdict.spec))
    folder.write_text("run_winner.py", script(verdict.spec.name, verdict.reading, settings, policy))
    maps = maps_of(verdict.spec) if settings.features_only else None
    how = usage(verdict.spec.name, is_exported, maps, settings.dtype == "int8")
    folder.write_text("README.txt", how + measured_there(verdict.reading.conditions))


def _copy(source: Path, target: Path) -> None:
    """Byte for byte what was measured."""
    with replacing(target) as partial:
        shutil.copyfile(source, partial)


def script(name: str, reading: Reading, settings: Settings, policy: FinalReadingPolicy) -> str:
    """A program that measures the winner's file beside it again under the verdict's conditions, and for as long."""
    is_exported, conditions = runs_files(settings.runtime), reading.conditions
    kept = ("device", "batch", "dtype", "runtime", "threads")
    turns = 1 if settings.target else policy.turns_of(max(reading.value_ms, sample_ms(settings.device)))
    values = {
        "NAME": name,
        "FILE": EXPORTED if is_exported else WEIGHTS,
        "SETTING": {key: conditions[key] for key in kept} | ({"target": settings.target} if settings.target else {}),
        "FEATURES_ONLY": settings.features_only or None,
        "STAT": settings.stat,
        "BUDGET_MS": settings.budgets.latency_ms,
        "ENVIRONMENT": conditions["environment"],
        "PROCESSES": policy.processes,
        "TURNS": turns,
        "TURN": (policy.pace if turns == 1 else policy.turn_pace(turns)).options(),
        "WHOLE": policy.pace.options(),
    }
    return _SCRIPT.format(**{key: repr(value) for key, value in values.items()})


_SCRIPT = '''\
"""Measures the winner of a search again under its verdict's conditions, in three fresh processes that take turns.

It prints the same statistic with its interval. Run it with a Python that has archdsl: python run_winner.py.
Exit code 0 for PASS, else 1.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

NAME, FILE = {NAME}, {FILE}
SETTING = {SETTING}
FEATURES_ONLY = {FEATURES_ONLY}
STAT, BUDGET_MS = {STAT}, {BUDGET_MS}
ENVIRONMENT = {ENVIRONMENT}
PROCESSES, TURNS = {PROCESSES}, {TURNS}
TURN = {TURN}
WHOLE = {WHOLE}


def winner():
    """The winner, to be measured in this process."""
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)  # it counts from before torch is imported
    import archdsl
    from archdsl.latency.measuring import ready_network

    file = Path(__file__).with_name(FILE)
    subject = file if file.suffix == ".onnx" else archdsl.load_model(file, features_only=FEATURES_ONLY)
    return ready_network(subject, **SETTING)


def measure(network, pace) -> None:
    """Measure in this process, and print its rounds as JSON."""
    (latency,) = network.latencies(**pace)
    print(json.dumps([latency.samples, latency.rounds.undisturbed]), flush=True)


def take_turns() -> None:
    """Measure for a turn whenever a line comes in."""
    network = winner()
    network.prepare()
    print(json.dumps([]), flush=True)
    for _ in sys.stdin:
        measure(network, TURN)


def answer(process):
    """The next answer of a process that takes turns; None where it has ended."""
    line = next((line for line in process.stdout if line.startswith("[")), None)
    return None if line is None else json.loads(line)


def main() -> int:
    """Pool the rounds of fresh processes, and compare the statistic with the budget."""
    from archdsl.timing.rounds import Rounds
    from archdsl.timing.turns import joined, turn_order
    from archdsl.timing.verdict import judge

    print(f"measuring {{NAME}} in {{PROCESSES}} processes, in {{TURNS}} turns each ...", file=sys.stderr)
    command, pipe = [sys.executable, __file__, "--turns"], subprocess.PIPE
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
            for _ in range(PROCESSES)
        ]
        processes = [process for process in started if answer(process) is not None]
        turns = {{process.pid: [] for process in processes}}
        for number in turn_order(len(processes), TURNS):
            process = processes[number]
            if process.pid not in turns:
                continue
            with contextlib.suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), b"turn\\n")
            if (taken := answer(process)) is None:
                del turns[process.pid]  # it ended: what it measured does not count
            else:
                turns[process.pid].append(Rounds(tuple(taken[0]), tuple(taken[1])))
    if not turns:
        return 1
    judged = judge([joined(taken) for taken in turns.values()], STAT, BUDGET_MS)
    print(f"{{judged.verdict}}  {{NAME}}: {{judged.reason}}")
    if judged.estimate is not None:
        print(f"{{judged.estimate.undisturbed}} of {{judged.estimate.rounds}} rounds were undisturbed")
    print(", ".join(f"{{name}} {{value}}" for name, value in {{**SETTING, **ENVIRONMENT}}.items()))
    return 0 if judged.verdict == "PASS" else 1


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--once"], ["--turns"]):
        sys.exit(__doc__)
    if "--once" in sys.argv:
        sys.exit(measure(winner(), WHOLE))
    sys.exit(take_turns() if "--turns" in sys.argv else main())
'''


def maps_of(spec: Spec) -> str:
    """The outputs of a backbone for dense prediction, as `stage1 (64, 56, 56), ...`: (C, H, W) from fine to coarse."""
    steps = map_steps(spec, plan(spec, features_only=True))
    sides = {step.node.id: next(iter(step.outputs.values())) for step in steps}
    return ", ".join(f"{name} {tuple(int(side) for side in shape[:3])}" for name, shape in sides.items())


def usage(name: str, is_exported: bool, maps: str | None = None, is_quantised: bool = False) -> str:
    """How to use a winner: a text with code that runs beside its file; the exported one needs no archdsl.

    `maps` are the outputs of a winner that was measured without its head.
    """
    quantised = _QUANTISED_LINES if maps is None else _QUANTISED_MAPS_LINES
    accuracy = quantised if is_quantised else _ACCURACY_LINES
    files = _FILES.format(name=name, exported=_EXPORTED_LINE * is_exported) + accuracy * is_exported
    if maps is not None:
        how = _MAPS_WITH_ONNX if is_exported else _MAPS_WITH_ARCHDSL
        return files + _MAPS.format(maps=maps) + how
    return files + (_WITH_ONNX if is_exported else _WITH_ARCHDSL).format(preparation=_PREPARATION)


def measured_there(conditions: JsonObject) -> str:
    """Where the winner was measured, where that was another machine."""
    if not conditions.get("target"):
        return ""
    return f"""
The latency holds for {conditions["target"]} ({conditions["device_name"]}), where the winner was measured; run_winner.py
measures it there again, through ssh.
"""


_FILES = """\
{name}, the winner of this search

winner.json         the network as a document: archdsl show winner.json
winner.safetensors  its trained weights; the header holds the document, the classes, the preprocessing and the accuracy
{exported}run_winner.py       measures it again, in three fresh processes under the verdict's conditions
verdict.json        what was measured, and under which conditions
report.html         the whole search
"""
_EXPORTED_LINE = """\
winner.onnx         the file whose latency was measured; its metadata hold the same as the header
"""
_ACCURACY_LINES = """
The accuracy in winner.onnx is that of winner.safetensors. Of winner.onnx itself no accuracy was measured; its outputs
on two inputs of noise and one of zeros were compared with those of the network.
"""
_QUANTISED_LINES = """
winner.onnx is quantised to int8. Its metadata and verdict.json state the accuracy that was measured of this very file;
winner.safetensors states that of the weights in float32.
"""
_QUANTISED_MAPS_LINES = """
winner.onnx is quantised to int8 and states no accuracy, since it gives maps. That in verdict.json was measured of the
classifier, quantised in the same way; winner.safetensors states that of the weights in float32.
"""
_PREPARATION = """\
    picture = ImageOps.exif_transpose(Image.open("picture.jpg"))
    if picture.mode.startswith("I;16"):  # greys of 16 bits
        picture = Image.fromarray((np.asarray(picture) / 257).astype("uint8"))
    picture = picture.convert(how["channels"])
    scaling = Image.Resampling[how["resize"]["filter"].upper()]
    if how["crop"]:
        picture = ImageOps.fit(picture, (width, height), scaling)
    picture = picture.resize((width, height), scaling)
    pixels = np.asarray(picture, dtype="float32").reshape(height, width, -1) / 255
    images = ((pixels - how["mean"]) / how["std"]).astype("float32").transpose(2, 0, 1)[None]\
"""
_WITH_ARCHDSL = """
Classify a photograph (with Pillow and archdsl installed; `how` is how the training images were prepared):

    import numpy as np
    import torch
    from PIL import Image, ImageOps

    import archdsl
    from archdsl.weights import read_facts

    facts = read_facts("winner.safetensors")
    model = archdsl.load_model("winner.safetensors").eval()
    how = facts.preprocessing.model_dump()
    height, width = how["size"]
{preparation}
    with torch.inference_mode():
        print(facts.classes[model(torch.from_numpy(images)).argmax().item()])
"""
_WITH_ONNX = """
Classify a photograph (with Pillow and onnxruntime installed, without archdsl; `how` is how the training images were
prepared):

    import json

    import numpy as np
    import onnxruntime
    from PIL import Image, ImageOps

    session = onnxruntime.InferenceSession("winner.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    how = json.loads(facts["preprocessing"])
    height, width = how["size"]
{preparation}
    (logits,) = session.run(None, {{"images": images}})
    print(json.loads(facts["classes"])[logits[0].argmax()])
"""
_MAPS = """
The latency is that of the backbone for dense prediction, without its head. Its outputs are feature maps, each (C, H, W)
for one image: {maps}.
winner.safetensors holds the trained classifier, whose accuracy is stated. A classifier has no layer norms at its maps,
so these are new in the backbone: train it further together with your own head.
"""
_MAPS_WITH_ONNX = """
Compute the maps (with onnxruntime and numpy installed, without archdsl):

    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession("winner.onnx")
    (images,) = session.get_inputs()
    maps = session.run(None, {images.name: np.zeros(images.shape, dtype="float32")})
    for output, values in zip(session.get_outputs(), maps):
        print(output.name, values.shape)
"""
_MAPS_WITH_ARCHDSL = """
Compute the maps (with archdsl installed):

    import torch

    import archdsl

    model = archdsl.load_model("winner.safetensors", features_only=True).eval()
    with torch.inference_mode():
        for values in model(torch.zeros(1, model.in_chans, *model.spec.image_size)):
            print(tuple(values.shape))
"""

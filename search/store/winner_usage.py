"""How a winner is used: the text beside its files, with code that runs there."""

from __future__ import annotations

import shlex
from pathlib import Path

from archdsl.data.loading import BUILT_IN
from archdsl.graphs.steps import map_steps, plan
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.numbers import accuracy_text, plain_text
from archdsl.search.config import Settings
from archdsl.search.policy.evaluate import TimePolicy
from archdsl.search.store.verdict import Verdict


def maps_of(spec: Spec) -> str:
    """The outputs of a backbone for dense prediction, as `stage1 (64, 56, 56), ...`: (C, H, W) from fine to coarse."""
    steps = map_steps(spec, plan(spec, features_only=True))
    sides = {step.node.id: next(iter(step.outputs.values())) for step in steps}
    return ", ".join(f"{name} {tuple(int(side) for side in shape[:3])}" for name, shape in sides.items())


def usage(
    name: str,
    is_exported: bool,
    maps: str | None = None,
    is_quantised: bool = False,
    is_optimized: bool = False,
    figures: str = "",
) -> str:
    """How to use a winner: a text with code that runs beside its file; the exported one needs no archdsl.

    `maps` are the outputs of a winner that was measured without its head; with `is_optimized` its inference form was
    measured. `figures` are one line, as from `stated`.
    """
    quantised = _QUANTISED_LINES if maps is None else _QUANTISED_MAPS_LINES
    accuracy = quantised if is_quantised else _ACCURACY_LINES
    line = f"{figures}\n" if figures else ""
    files = _FILES.format(name=name, figures=line, exported=_EXPORTED_LINE * is_exported) + accuracy * is_exported
    if is_optimized:
        files += _OPTIMIZED_FILE_LINES if is_exported else _OPTIMIZED_LINES
    if maps is not None:
        how = _MAPS_WITH_ONNX if is_exported else _MAPS_WITH_ARCHDSL
        return files + _MAPS.format(maps=maps) + how
    return files + (_WITH_ONNX if is_exported else _WITH_ARCHDSL).format(preparation=_PREPARATION)


def stated(verdict: Verdict, settings: Settings) -> str:
    """`p50 0.43 ms (PASS, budget 0.5 ms), 67.3 ± 4.4 % on held-out images`; what is not known is left out."""
    budget = settings.budgets.latency_ms
    against = "no latency budget" if budget is None else f"budget {plain_text(budget, 4)} ms"
    latency = "" if verdict.latency is None else f"{settings.stat} {verdict.latency:.2f} ms "
    line = f"{latency}({verdict.verdict}, {against})"
    accuracy = verdict.accuracy
    if accuracy is not None and accuracy.held_out is not None:
        return f"{line}, {accuracy_text(accuracy.held_out.accuracy, accuracy.held_out.error)} on held-out images"
    if accuracy is not None and accuracy.validation is not None:
        return f"{line}, {accuracy_text(accuracy.validation.accuracy, accuracy.validation.error)} on validation images"
    return line


def training_further(data: str, time_s: float | None) -> str:
    """The command that trains the winner on, to be given in its folder; `time_s` is the search's limit, or None."""
    path = Path(data).expanduser()
    name = str(path.absolute()) if data not in BUILT_IN and path.exists() else data
    time = f"{time_s or TimePolicy().default_s:.0f}s"
    command = ["archdsl", "train", "winner.safetensors", "--data", name, "--time", time, "-o", "trained.safetensors"]
    return f"""
Train it further from these weights, on the data of the search (in this folder):

  {shlex.join(command)}
"""


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
{figures}
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
_OPTIMIZED_FILE_LINES = """
winner.onnx is the inference form of the network (archdsl.optimize); winner.safetensors holds the network as it was
trained, which computes the same up to rounding.
"""
_OPTIMIZED_LINES = """
The latency is that of the inference form. winner.safetensors holds the network as it was trained; put
model = archdsl.optimize(model) after the line that loads it, and it computes the same up to rounding.
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

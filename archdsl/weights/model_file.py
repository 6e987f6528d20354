"""A network in one file: safetensors under our names, with the spec in the header."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from archdsl.compile import Backbone, build, declared
from archdsl.errors import WeightsError, WrongUse, short
from archdsl.files import installed_version, replacing
from archdsl.language.arguments import wrong_file, wrong_model
from archdsl.load.model_header import REMEDY
from archdsl.load.specs import parse_spec
from archdsl.weights.facts import ModelFacts, read_header
from archdsl.weights.fitting import check_names
from archdsl.weights.forms import apply_head_header, check_savable, head_header
from archdsl.weights.importing import dense_from_classifier


def save_model(
    model: Backbone,
    file: str | os.PathLike[str],
    source_sha256: str | None = None,
    *,
    facts: ModelFacts | None = None,
) -> None:
    """Write a model's weights and its spec to a file; `load_model` needs nothing else.

    Of an inference form the network is written that it was made of.

    The header tells the spec, archdsl's version, whether the model was built with features_only, and the SHA-256 of the
    file that the weights came from, if it is given, and what `facts` say (`facts.py`). Equal models give equal bytes.
    The file is replaced as a whole.

    Raises:
        WeightsError: the model's tensors are no longer those of its spec, so that the file could not be loaded.
        OSError: the file cannot be written.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("save_model", model)
    if not isinstance(file, str | os.PathLike):
        raise wrong_file("save_model", file)
    model = declared(model)
    check_savable(model)
    header = {
        "archdsl": installed_version(),
        "features_only": json.dumps(model.features_only),
        "format": "pt",
        "spec": json.dumps(model.spec.to_json(), separators=(",", ":"), ensure_ascii=False),
        **({"source_sha256": source_sha256} if source_sha256 else {}),
        **(facts.header() if facts is not None else {}),
        **head_header(model),
    }
    from safetensors.torch import save

    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    with replacing(Path(file)) as partial, partial.open("wb") as out:
        length = int.from_bytes(data[:8], "little")
        table = json.loads(data[8 : 8 + length])
        text = json.dumps({"__metadata__": header, **dict(sorted(table.items()))}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # numbers begin at multiples of 8
        out.write(len(text).to_bytes(8, "little") + text)
        out.write(memoryview(data)[8 + length :])


def load_model(
    file: str | os.PathLike[str], device: str | torch.device = "cpu", features_only: bool | None = None
) -> Backbone:
    """The network that `save_model` or `archdsl import` wrote, rebuilt from the file alone.

    It is in eval mode, with the dtype that it was saved in. torch's global random state is left alone. With
    `features_only` a classifier's file gives the dense-prediction build; a warning names the norms that it alone has,
    which are new.

    Raises:
        WrongUse: there is no such file, or no such device.
        WeightsError: it is none of ours, its weights are not those of its spec, or a dense-prediction build's file
            should give a classifier.
        SpecError: its spec does not hold, in this version of archdsl or without a package whose types it names.
    """
    if not isinstance(file, str | os.PathLike):
        remedy = "use archdsl.import_weights(model, ...) for tensors by name" if isinstance(file, dict) else ""
        raise wrong_file("load_model", file, remedy)
    path, device = Path(file), _checked_device(device)
    header, tensors = _read(path, device)
    spec = parse_spec(header["spec"].encode(), str(path))
    dense = header.get("features_only") == "true"
    if features_only is not None and features_only != dense:
        return dense_from_classifier(spec, tensors, dense, path).to(device).eval()
    with torch.random.fork_rng(devices=[]):
        model = build(spec, dense)
    try:
        apply_head_header(model, header)
        check_names(model.state_dict(), tensors)
        model.load_state_dict(tensors, assign=True)
    except (WeightsError, RuntimeError) as error:
        reason = str(error) if isinstance(error, WeightsError) else " ".join(str(error).split())
        raise WeightsError(f"{path}: the weights are not those of its spec: {reason}") from None
    return model.to(device).eval()


def _checked_device(device: str | torch.device) -> torch.device:
    """The device as torch names it.

    Raises:
        WrongUse: torch knows none of this name, or it is not here.
    """
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, TypeError, AssertionError):
        said = f"torch sees no device {short(str(device))} here"
        raise WrongUse(f"{said}; use cpu, or cuda on a machine with a GPU") from None
    return place


def _read(path: Path, device: str | torch.device) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    header = read_header(path)
    try:
        with safe_open(path, framework="pt", device=str(device)) as opened:
            return header, {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise WeightsError(f"{path}: is not a safetensors file ({short(str(error))}); {REMEDY}") from None

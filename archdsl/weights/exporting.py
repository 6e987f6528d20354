"""A model's weights under the published names and in the published shapes, for the authors' own code."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from archdsl.compile import Backbone
from archdsl.errors import WeightsError
from archdsl.files import replacing
from archdsl.language.arguments import wrong_model
from archdsl.weights.names import COUNTERS, part_of, published_names, scheme_of
from archdsl.weights.torch_file import write_torch


def export_weights(model: Backbone) -> dict[str, Tensor]:
    """The model's tensors as a published checkpoint has them; `import_weights` gives the same model again.

    What is derived (index tables, masks) or counts steps is not among them: the authors' loaders make it themselves,
    also where they are strict (a batch norm's counter may be missing from a plain dictionary).

    Raises:
        WeightsError: the spec names no scheme of published weights, or gives one name to two tensors.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("export_weights", model)
    names = published_names(model, [name for name in model.state_dict() if not name.endswith(COUNTERS)])
    state: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name not in names:
            continue
        theirs, value = names[name], tensor.detach().cpu().contiguous()
        if theirs in state:
            raise WeightsError(f"two tensors would be called {theirs}; name the nodes as the published networks do")
        state[theirs] = value[..., None, None] if name.endswith(part_of(model, name).convolutions) else value
    return state


def write_published(model: Backbone, file: str | os.PathLike[str]) -> int:
    """Write `export_weights` to a file, where the authors' loaders look for it; how many tensors.

    A name that ends in .safetensors gives that format, any other one torch.save's.

    Raises:
        WeightsError: as `export_weights`.
        OSError: the file cannot be written.
    """
    state, scheme, path = export_weights(model), scheme_of(model), Path(file)
    assert scheme is not None
    with replacing(path) as partial:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(state, partial, {"format": "pt"})
        else:
            write_torch({scheme.container: state}, partial)
    return len(state)

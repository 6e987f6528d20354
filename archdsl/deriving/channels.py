"""A trained network for images of another number of channels: its stem reads grey for colour, or colour for grey."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError
from archdsl.load.specs import override


def with_channels(model: Backbone, channels: int) -> Backbone:
    """The network with weights for images (B, channels, H, W); the model itself where it reads as many.

    Kernels over one channel are divided among several, and those over several are summed for one: a grey image and the
    same image with equal colours give equal outputs.

    Raises:
        WeightsError: neither the old nor the new number is 1.
    """
    before = model.spec.channels
    if before == channels:
        return model
    if 1 not in (before, channels):
        raise WeightsError(
            f"the parent reads images of {before} channels, the data has {channels}; only one channel can be made "
            f"of several, or several of one: give a parent that was trained on {channels} channels"
        )
    changed = build(override(model.spec, [f"channels={channels}"]), features_only=model.num_classes == 0)
    changed = changed.to(next(model.parameters()).dtype)
    theirs = model.state_dict()
    values = {name: _read(theirs[name], tensor) for name, tensor in changed.state_dict().items()}
    changed.load_state_dict(values)
    return changed.eval()


def _read(tensor: Tensor, wanted: Tensor) -> Tensor:
    """A tensor of the old network in the shape of the new one: (out, channels, ...) differs in its channels alone."""
    if tensor.shape == wanted.shape:
        return tensor
    channels = wanted.shape[1]
    with torch.no_grad():
        if channels == 1:
            return tensor.sum(1, keepdim=True)
        return tensor.expand(-1, channels, *tensor.shape[2:]) / channels

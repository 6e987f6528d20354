"""Zoo networks in which everything that begins as nothing has an effect: offsets, tables, scales, statistics."""

from __future__ import annotations

import torch
from torch import nn

import archdsl
from archdsl.compile import Backbone
from archdsl.families.common.layers import LayerScale


def network(name: str, *settings: str, features_only: bool = False, image: int | None = None) -> Backbone:
    """A network at a small image whose offsets, tables, scales and running statistics are not as they begin."""
    torch.manual_seed(0)
    smallest = 224 if name == "dat_t" else 64
    spec = archdsl.override(archdsl.load_spec(name), [f"image={image or smallest}", *settings])
    model = archdsl.build(spec, features_only).eval()
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    for module in model.modules():
        if isinstance(module, LayerScale):
            nn.init.uniform_(module.gamma, 0.3, 0.7)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model

"""Where the layer scales of LITv2's blocks are folded for inference."""

from __future__ import annotations

from torch import nn

from archdsl.families.litv2.modules import HiLo

LAST_LINEARS: dict[type[nn.Module], tuple[str, ...]] = {HiLo: ("h_proj", "l_proj")}

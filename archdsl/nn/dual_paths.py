"""Dual-ViT's blocks (arXiv:2207.04976): a map, and semantic tokens beside it."""

from __future__ import annotations

from torch import nn

from archdsl.families.common import layers
from archdsl.families.dualvit import block_modules
from archdsl.families.dualvit import blocks as dualvit_spec
from archdsl.json_types import JsonInput
from archdsl.nn.arguments import Norm, chosen, declared, drop_rate, map_of
from archdsl.nn.maps import PathsInside


class DualPathBlock(PathsInside, block_modules.DualPath):
    """Dual-ViT's dual-path block: semantics are refined by themselves and by the map, which then reads them.

    (B, C, H, W) and (B, M, C) -> the same two, for any H, W and M. Norms, residual sums and both MLPs are inside. The
    map's MLP has a depthwise convolution, that of the semantics a ReLU. `SemanticStem` makes the first semantics.

    Args:
        channels: of the map and of the semantics; a multiple of `heads`.
        heads: 1 to 256.
        mlp_ratio: hidden width of the map's MLP over channels, 0.25 to 16.
        semantic_ratio: hidden width of the semantics' MLP over channels, 0.25 to 16.
        norm: of the map: "layer", "batch" or "group", or an object as in a document; layer norms of eps 1e-6 if None.
        layer_scale: initial value of the learned scale of each branch; None for no scale.
        local_perception: first add a depthwise 3x3 convolution of the map to it.
        drop_path: rate at which a sample's residual branches are dropped in training, 0 to below 1.
        channels_last: take and return the map as (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map or the semantics do not have these channels.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        mlp_ratio: float = 8,
        semantic_ratio: float = 4,
        norm: Norm | None = None,
        layer_scale: float | None = 1e-6,
        local_perception: bool = False,
        drop_path: float = 0.0,
        *,
        channels_last: bool = False,
    ) -> None:
        fields = _fields(heads, mlp_ratio, semantic_ratio, norm, layer_scale, local_perception)
        spec = declared(self, dualvit_spec.DualPath, map_of(self, channels), **fields)
        super().__init__(channels, spec.heads, *_parts(spec, channels))
        self.drop_path.rate = drop_rate(self, drop_path)
        self.take_maps(channels, channels_last)


class JointPathBlock(PathsInside, block_modules.JointPath):
    """Dual-ViT's block of the late stages: attention over map and semantics together, then an MLP of each.

    (B, C, H, W) and (B, M, C) -> the same two, for any H, W and M. Norms and residual sums are inside.

    Args:
        channels: of the map and of the semantics; a multiple of `heads`.
        heads: 1 to 256.
        mlp_ratio: hidden width of the map's MLP over channels, 0.25 to 16.
        semantic_ratio: hidden width of the semantics' MLP over channels, 0.25 to 16.
        norm: of both: "layer", "batch" or "group", or an object as in a document; layer norms of eps 1e-6 if None.
        layer_scale: initial value of the learned scale of each branch; None for no scale.
        local_perception: first add a depthwise 3x3 convolution of the map to it.
        drop_path: rate at which a sample's residual branches are dropped in training, 0 to below 1.
        channels_last: take and return the map as (B, H, W, C).

    Raises:
        WrongUse: a value is out of its bounds, or `heads` does not divide `channels`.
        ShapeError: when called, the map or the semantics do not have these channels.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        mlp_ratio: float = 4,
        semantic_ratio: float = 2,
        norm: Norm | None = None,
        layer_scale: float | None = 1e-6,
        local_perception: bool = False,
        drop_path: float = 0.0,
        *,
        channels_last: bool = False,
    ) -> None:
        fields = _fields(heads, mlp_ratio, semantic_ratio, norm, layer_scale, local_perception)
        spec = declared(self, dualvit_spec.JointPath, map_of(self, channels), **fields)
        super().__init__(channels, spec.heads, *_parts(spec, channels))
        self.drop_path.rate = drop_rate(self, drop_path)
        self.take_maps(channels, channels_last)


def _fields(
    heads: int,
    mlp_ratio: float,
    semantic_ratio: float,
    norm: Norm | None,
    layer_scale: float | None,
    local_perception: bool,
) -> dict[str, JsonInput]:
    """The arguments as fields of a declaration, whose own default stands for a norm that is None."""
    fields: dict[str, JsonInput] = {
        "heads": heads,
        "mlp": {"type": "dwconv", "ratio": mlp_ratio},
        "semantic_ratio": semantic_ratio,
        "layer_scale": layer_scale,
        "local_perception": local_perception,
    }
    return fields if norm is None else {**fields, "norm": chosen(norm)}


def _parts(
    spec: dualvit_spec.DualPath | dualvit_spec.JointPath, channels: int
) -> tuple[nn.Module, nn.Module, nn.Module, int, float | None, bool]:
    """Two norms, the MLP, the hidden width of the semantics' MLP, the layer scale, and whether perception is local."""
    norms = layers.norm(spec.norm, channels), layers.norm(spec.norm, channels)
    mlp, hidden = layers.mlp(spec.mlp, channels), spec.semantic_hidden(channels)
    return *norms, mlp, hidden, spec.layer_scale, spec.local_perception

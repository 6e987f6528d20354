"""The papers' mixers, merges and two-path blocks as modules for networks of your own.

Each is the module that the published backbones are built of: state dicts fit both ways. A map is (B, C, H, W), or
(B, H, W, C) with `channels_last=True`, of any size; norms and residual sums are outside, unless a module is called a
block. Initial values of Linear layers and convolutions are those of PyTorch.
"""

from archdsl.nn.attention import Attention as Attention
from archdsl.nn.attention import HiLo as HiLo
from archdsl.nn.attention import NeighborhoodAttention as NeighborhoodAttention
from archdsl.nn.attention import ShiftedWindowAttention as ShiftedWindowAttention
from archdsl.nn.attention import WindowAttention as WindowAttention
from archdsl.nn.convolutions import ContextMixer as ContextMixer
from archdsl.nn.convolutions import ConvMlp as ConvMlp
from archdsl.nn.convolutions import DepthwiseTokenMixer as DepthwiseTokenMixer
from archdsl.nn.convolutions import ResidualConvMlp as ResidualConvMlp
from archdsl.nn.deformable import DeformableAttention as DeformableAttention
from archdsl.nn.deformable import DeformablePlusAttention as DeformablePlusAttention
from archdsl.nn.deformable import PooledAttention as PooledAttention
from archdsl.nn.dual_paths import DualPathBlock as DualPathBlock
from archdsl.nn.dual_paths import JointPathBlock as JointPathBlock
from archdsl.nn.merges import ConvMerge as ConvMerge
from archdsl.nn.merges import DeformableMerge as DeformableMerge
from archdsl.nn.merges import SemanticMerge as SemanticMerge
from archdsl.nn.merges import SemanticStem as SemanticStem

__all__ = [
    "Attention",
    "ContextMixer",
    "ConvMerge",
    "ConvMlp",
    "DeformableAttention",
    "DeformableMerge",
    "DeformablePlusAttention",
    "DepthwiseTokenMixer",
    "DualPathBlock",
    "HiLo",
    "JointPathBlock",
    "NeighborhoodAttention",
    "PooledAttention",
    "ResidualConvMlp",
    "SemanticMerge",
    "SemanticStem",
    "ShiftedWindowAttention",
    "WindowAttention",
]


def __dir__() -> list[str]:
    return __all__

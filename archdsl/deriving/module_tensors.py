"""The tensors of a module: which they are, what they take from the parent's, and which ones silence a block."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from archdsl.deriving import tensors
from archdsl.deriving.axes import even, same
from archdsl.deriving.heads import Scope
from archdsl.deriving.tensors import Made
from archdsl.families.common.layers import LayerScale
from archdsl.families.datpp.displacement import FixedBias
from archdsl.families.datpp.neighborhood_modules import NeighborhoodAttention
from archdsl.families.dualvit.modules import SemanticStem
from archdsl.families.fcvit.modules import TokenMixer
from archdsl.weights.names import COUNTERS

_LAST = (
    *("mixer.proj", "mixer.l_proj", "mixer.h_proj", "mlp.fc2", "mlp.mlp.fc2", "mlp.attention.conv2"),
    *("local", "semantic_mixer.qkv", "semantic_reader.kv", "semantic_mlp.fc2"),
)
"""What a block's branches end with, by path; of attention without a projection what gives its values."""


def from_parent(child: nn.Module, parent: nn.Module, key: str, theirs: Tensor, ours: Tensor, scope: Scope) -> Made:
    """One tensor of a module, by what its dimensions are."""
    sizes = list(zip(ours.shape, theirs.shape, strict=True))
    if isinstance(child, nn.Conv1d | nn.Conv2d) and isinstance(parent, nn.Conv1d | nn.Conv2d) and key == "weight":
        placed, is_resized = tensors.kernel(theirs, child, parent)
        inner = same(1) if child.groups > 1 else scope.input(*sizes[1])
        return tensors.sliced(placed, ours, [scope.output(*sizes[0]), inner], is_resized)
    if isinstance(child, NeighborhoodAttention):
        return tensors.grid_table(theirs, ours, scope.output(*sizes[0]))
    if isinstance(child, FixedBias) and isinstance(parent, FixedBias):
        return tensors.pair_table(child, parent, scope.output(*sizes[0]))
    if isinstance(child, SemanticStem) and isinstance(parent, SemanticStem):
        return tensors.square_rows(theirs, ours, (child.grid, parent.grid), even(*sizes[1]))
    if ours.shape[:-1] == theirs.shape[:-1] == (1, 1):  # a class token
        made = tensors.sliced(theirs[0, 0], ours[0, 0], [scope.output(*sizes[2])])
        return made._replace(value=made.value[None, None])
    if ours.dim() in (1, 2):
        read = [scope.input(*size) for size in sizes[1:]]
        return tensors.sliced(theirs, ours, [scope.output(*sizes[0]), *read])
    return tensors.sliced(theirs, ours, []) if ours.shape == theirs.shape else Made(ours, "new")


def own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module without its submodules: those of its state, counters aside."""
    for key, parameter in module._parameters.items():
        if parameter is not None:
            yield key, parameter.detach()
    for key, buffer in module._buffers.items():
        if buffer is not None and key not in module._non_persistent_buffers_set and not f".{key}".endswith(COUNTERS):
            yield key, buffer


def all_tensors(module: nn.Module, name: str) -> Iterator[tuple[str, Tensor]]:
    """All tensors inside a module, by their names in the network."""
    for path, inner in module.named_modules():
        for key, tensor in own_tensors(inner):
            yield ".".join(each for each in (name, path, key) if each), tensor


def silent_at_0(block: nn.Module) -> list[str]:
    """The tensors of a block that let its branches add nothing where they are 0."""
    inside = dict(block.named_modules())
    names = [f"{path}.gamma" for path, module in inside.items() if isinstance(module, LayerScale)]
    if names:
        return [*names, *(f"local.{key}" for key in ("weight", "bias") if "local" in inside)]
    last = [path for path in _LAST if path in inside]
    mixer = block._modules.get("mixer")
    if isinstance(mixer, TokenMixer):
        last.append(f"mixer.steps.{len(mixer.steps) - 1}.{'fc1' if mixer.steps[-1].fc2 is None else 'fc2'}")
    return [f"{path}.{key}" for path in last for key in ("weight", "bias")]

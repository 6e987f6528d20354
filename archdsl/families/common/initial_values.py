"""Initial values by a document's `init`; drop-path rates by its `drop_path`; what differs in a dense build."""

from __future__ import annotations

import math

from torch import nn

from archdsl.families.common.layers import DropPath


def initialise(module: nn.Module, scheme: str) -> None:
    """Start values of everything inside `module`.

    `torch` keeps PyTorch's own. `truncated_normal`, as the published LIT and LITv2: Linear weights of std 0.02,
    convolutions normal with std sqrt(2 / fan-out), their biases 0; norms and tables start as they are made. A module
    with `keeps_own_init` (stems and merges by patches) is left alone with all that is inside, and a Linear that
    `starts_as_convolution` (FCViT's, published as convolutions 1x1) has their rule. On `meta` nothing is drawn.
    """
    if any(values.is_meta for values in module.parameters()):
        return
    if scheme == "torch" or getattr(module, "keeps_own_init", False):
        return
    if isinstance(module, nn.Linear) and getattr(module, "starts_as_convolution", False):
        nn.init.normal_(module.weight, std=math.sqrt(2 / module.out_features))
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
    for child in module.children():
        initialise(child, scheme)


def set_drop_path(module: nn.Module, rate: float) -> None:
    """Block n of N, in the order of the document, drops its residual branches at rate * n / (N - 1)."""
    drops = [drop for part in module.modules() if isinstance(drop := getattr(part, "drop_path", None), DropPath)]
    for index, drop in enumerate(drops):
        drop.rate = rate * index / max(len(drops) - 1, 1)


def set_dense(module: nn.Module, dense: bool) -> None:
    """Tell the parts that run otherwise in a dense-prediction build, those with a flag `dense`, which build it is."""
    for part in module.modules():
        if isinstance(getattr(part, "dense", None), bool):
            setattr(part, "dense", dense)  # noqa: B010  # it has the flag, whichever class it is of

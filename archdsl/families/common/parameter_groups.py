"""Which parameters decay and at what rate they learn, as the modules that hold them say.

A module names its own parameters: `undecayed` those that the published recipes leave out of weight decay beside biases,
norms and scales (all of one dimension), `rates` the factor on the learning rate of those that learn at another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn


def undecayed(model: nn.Module) -> set[str]:
    """Names of the parameters of more than one dimension that do not decay."""
    return {_joined(place, name) for place, module in model.named_modules() for name in _present(module, "undecayed")}


def parameter_groups(model: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """What an optimizer of torch takes: groups with `params`, `weight_decay`, `lr` and `lr_scale`, none empty.

    `lr_scale` is the factor that is in `lr` already, for schedulers that set the rate anew.
    """
    kept, scales = undecayed(model), dict(_rates(model))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.ndim <= 1 or name in kept else weight_decay
            groups.setdefault((decay, scales.get(name, 1.0)), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "lr": lr * scale, "lr_scale": scale}
        for (decay, scale), parameters in groups.items()
    ]


def _rates(model: nn.Module) -> Iterator[tuple[str, float]]:
    for place, module in model.named_modules():
        for name, scale in getattr(module, "rates", {}).items():
            yield _joined(place, name), scale


def _present(module: nn.Module, mark: str) -> Iterator[str]:
    """The parameters that a module marks and has."""
    present = dict(module.named_parameters(remove_duplicate=False))
    return (name for name in getattr(module, mark, ()) if name in present)


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name

"""How a fused form takes the place of a module: it is of a subclass, and holds the same submodules and parameters."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

Form = TypeVar("Form", bound=nn.Module)


def adopted(module: nn.Module, form: type[Form]) -> Form:
    """A module of that class with everything that `module` holds; the class's constructor is not called."""
    taken = form.__new__(form)
    taken.__dict__ = dict(module.__dict__)
    for name in ("_parameters", "_buffers", "_modules"):
        taken.__dict__[name] = dict(module.__dict__[name])
    return taken


class Float32Tables:
    """Tensors by name that follow a module to its device and keep their dtype, whatever the module is cast to."""

    def __init__(self, **tensors: Tensor) -> None:
        self._tensors = tensors

    def on(self, like: Tensor) -> list[Tensor]:
        """All of them on the device of `like`, in the order in which they were given."""
        for name, tensor in self._tensors.items():
            if tensor.device != like.device:
                self._tensors[name] = tensor.to(like.device)
        return list(self._tensors.values())

"""Tables from another image size: the module that owns one says how, see `archdsl.families.common.tables`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone, build
from archdsl.families.common.tables import Table
from archdsl.load.specs import override


class Resized(NamedTuple):
    """One table that was made for another size: its name and both grids, (rows, columns)."""

    name: str
    old: tuple[int, int]
    new: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name}: {self.old[0]}x{self.old[1]} -> {self.new[0]}x{self.new[1]}"


def resized(model: Backbone, name: str, tensor: Tensor, built: Backbone | None) -> tuple[Tensor, Resized] | None:
    """A table for another size made for this model's; None if the tensor is no table, or not of that kind.

    `built` is the same network for the checkpoint's image size, where that is known; else the table's shape tells.
    """
    owner = _owner(model, name)
    if not isinstance(owner, Table) or not name.endswith(".table"):
        return None
    size = owner.size_of(tensor) if built is None else _size_there(built, name, tensor)
    if size is None:
        return None
    return owner.resized(tensor, size), Resized(name, size, owner.size)


def built_for(model: Backbone, image: int | tuple[int, int]) -> Backbone:
    """The same network for another image size, without memory."""
    text = str(list(image) if isinstance(image, tuple | list) else image)
    with torch.device("meta"):
        return build(override(model.spec, [f"image={text}"]), model.features_only)


def _size_there(built: Backbone, name: str, tensor: Tensor) -> tuple[int, int] | None:
    owner = _owner(built, name)
    assert isinstance(owner, Table)
    return owner.size if owner.table.shape == tensor.shape else None


def _owner(model: nn.Module, name: str) -> nn.Module:
    """The module that a tensor belongs to; by its children, since an id may be the name of an attribute."""
    owner = model
    for part in name.split(".")[:-1]:
        child = owner._modules[part]
        assert child is not None
        owner = child
    return owner

"""A checkpoint's names and shapes against those that are wanted: strict both ways, and what to do where they differ."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from torch import Tensor

from archdsl.errors import WeightsError

_MOST_NAMED = 10


def check_names(wanted: Mapping[str, Tensor], checkpoint: Mapping[str, Tensor], hint: str = "") -> None:
    """Every wanted name is given, and no other.

    Raises:
        WeightsError: names are missing or unexpected, each with the nearest of the other side; `hint` ends the line.
    """
    missing = {name: tensor for name, tensor in wanted.items() if name not in checkpoint}
    unexpected = {name: tensor for name, tensor in checkpoint.items() if name not in wanted}
    if not missing and not unexpected:
        return
    tensors = f"{len(missing)} of {len(wanted)} tensors missing, {len(unexpected)} unexpected"
    lines = [f"the checkpoint does not fit: {tensors}{hint and f'; {hint}'}"]
    is_another = len(missing) > len(wanted) / 2  # whose names are near to ours by chance alone
    lines += _listed("missing", missing, {} if is_another else unexpected)
    lines += _listed("unexpected", unexpected, {} if is_another else missing)
    raise WeightsError("\n".join(lines))


def other_shapes_error(lines: Sequence[str], hint: str = "") -> WeightsError:
    """The refusal of tensors with other shapes, each with its line; `hint` ends the first one."""
    first = f"{len(lines)} tensor{'s have' if len(lines) > 1 else ' has'} another shape{hint and f'; {hint}'}"
    return WeightsError("\n".join([first, *lines[:_MOST_NAMED], *_more(len(lines))]))


def fits(tensor: Tensor, ours: Tensor) -> bool:
    """Equal shapes, or a published 1x1 convolution (C, D, 1, 1) that is a Linear (C, D) here."""
    return tensor.shape == ours.shape or (ours.dim() == 2 and tensor.shape == (*ours.shape, 1, 1))


def _listed(what: str, names: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> list[str]:
    first = sorted(names)[:_MOST_NAMED]
    return [f"{what}: {name}{_near(name, names[name], others)}" for name in first] + _more(len(names))


def _more(count: int) -> list[str]:
    return [f"... and {count - _MOST_NAMED} more"] if count > _MOST_NAMED else []


def _near(name: str, tensor: Tensor, others: Mapping[str, Tensor]) -> str:
    """The nearest name of the other side, among those of its shape if there are any."""
    alike = [other for other in others if fits(others[other], tensor) or fits(tensor, others[other])]
    close = difflib.get_close_matches(name[:120], alike, n=1) or difflib.get_close_matches(name[:120], others, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""

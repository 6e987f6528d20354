"""Where a checkpoint's weights are: which of its dictionaries, under which names, and what stands beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from archdsl.errors import WeightsError, short
from archdsl.weights.archives import read_file
from archdsl.weights.containers import (
    USUAL,
    Place,
    at,
    held,
    is_average,
    is_tensor,
    kind,
    sets_in,
    tensors_in,
    what_instead,
)
from archdsl.weights.contents import Contents, Held, TensorLike
from archdsl.weights.pickled import Key
from archdsl.weights.prefixes import common, matches, under

Source: TypeAlias = Mapping[str, Any] | str | os.PathLike[str]
"""A checkpoint: what `torch.load` gives, or the path of a file."""
_KEY = "archdsl import --key (key= in Python)"


class Checkpoint(NamedTuple):
    """Tensors by name. container: the keys that lead to them. others: further sets of weights beside them.

    names: which of the wanted sets of names they have. left_out: tensors of their dictionary without their prefix.
    """

    tensors: dict[str, Tensor]
    container: str = ""
    prefix: str = ""
    left_out: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    names: str = ""
    sha256: str | None = None


class _Candidate(NamedTuple):
    """Names in one dictionary under one prefix that are wanted ones, by those."""

    place: Place
    values: Mapping[Key, Held]
    prefix: str
    names: str
    matched: Mapping[str, str]

    @property
    def label(self) -> str:
        """The key that a user names it by."""
        return ".".join([*self.place, *self.prefix.split(".")[:-1]])

    @property
    def rank(self) -> tuple[int, ...]:
        """The usual places first: the top, then those of training scripts; what is not usual is last."""
        words = [word for word in (*self.place[-1:], *self.prefix.split(".")[:-1]) if word != "_orig_mod"]
        return tuple(USUAL.index(word) if word in USUAL else len(USUAL) for word in words)


def read_checkpoint(
    source: Source, key: str | None = None, wanted: Mapping[str, Iterable[str]] | None = None
) -> Checkpoint:
    """The weights in a checkpoint, under the names that they have there but for wrappers' prefixes and parts.

    Of all dictionaries of tensors the one is taken that has most of the wanted names. Among several: weights rather
    than their averages (`ema`, `teacher`), then the usual places (the top, `state_dict`, `model`, ...). Values that are
    no tensors are passed over.

    Args:
        source: what `torch.load` gives, or the path of a file.
        key: the key of the weights, where there are several (`model_ema`, `model.state_dict`, the prefix `teacher`).
        wanted: sets of names that a model can take, each by what it is called; without, the largest dictionary counts.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it is no checkpoint, has no weights there, or several that fit equally.
    """
    sets = {name: frozenset(names) for name, names in (wanted or {}).items()}
    if isinstance(source, Mapping):
        return _checkpoint_in(Contents(held(source), _tensor, None), key, sets)
    path = Path(source)
    contents = read_file(path)
    try:
        return _checkpoint_in(contents, key, sets)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def _tensor(value: TensorLike) -> Tensor:
    """A tensor as it is, an array or a scalar of numpy as a copy."""
    if isinstance(value, Tensor):
        return value
    assert isinstance(value, np.ndarray | np.generic)
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))


def _checkpoint_in(contents: Contents, key: str | None, wanted: Mapping[str, frozenset[str]]) -> Checkpoint:
    start, value = at(contents.value, key) if key is not None else ((), contents.value)
    places = list(sets_in(value, start))
    if not places and key is not None:
        raise WeightsError(f"the value at {short(key)} is not a dictionary of weights")
    if not places:
        raise WeightsError(f"there are no weights in it; {what_instead(value)}")
    candidates = [fit for place, values in places for fit in _candidates(place, values, wanted)]
    if candidates and not _match_by_chance(candidates, wanted):
        chosen, others = _chosen(candidates)
    else:
        chosen, others = _largest(places), ()
    return _read(chosen, contents.tensor)._replace(others=others, sha256=contents.sha256)


def _candidates(place: Place, values: Mapping[Key, Held], wanted: Mapping[str, frozenset[str]]) -> list[_Candidate]:
    """One for every prefix in a dictionary, with the set of wanted names that most of its own are of."""
    best: dict[str, _Candidate] = {}
    named = [name for name in values if isinstance(name, str)]
    for names, members in wanted.items():
        for prefix, matched in matches(named, members).items():
            if prefix not in best or len(matched) > len(best[prefix].matched):
                best[prefix] = _Candidate(place, values, prefix, names, matched)
    return list(best.values())


def _match_by_chance(candidates: Sequence[_Candidate], wanted: Mapping[str, frozenset[str]]) -> bool:
    """Whether parts of another network have a few of the wanted names each: `weight` and `bias` of its norms."""
    most = max(len(fit.matched) for fit in candidates)
    best = [fit for fit in candidates if len(fit.matched) == most]
    return len(best) > 1 and all(10 * most < len(wanted[fit.names]) for fit in best)


def _chosen(candidates: Sequence[_Candidate]) -> tuple[_Candidate, tuple[str, ...]]:
    """The candidate that is taken, and the labels of the others with about as many names.

    Raises:
        WeightsError: several fit equally, and none has a usual place.
    """
    most = max(len(fit.matched) for fit in candidates)
    close = [fit for fit in candidates if 2 * len(fit.matched) > most]
    plain = [fit for fit in close if not is_average(fit.label)] or close
    fullest = max(len(fit.matched) for fit in plain)
    ranked = sorted((fit for fit in plain if len(fit.matched) == fullest), key=lambda fit: fit.rank)
    first = ranked[0]
    unclear = [fit.label for fit in ranked if fit.rank == first.rank or len(USUAL) in first.rank]
    if len(unclear) > 1:
        keys = ", ".join(short(label) for label in unclear[:8])
        raise WeightsError(f"weights that fit are under {len(unclear)} keys: {keys}; choose one with {_KEY}")
    labels = [fit.label if fit.place == first.place else ".".join(fit.place) for fit in close if fit != first]
    return first, tuple(dict.fromkeys(label for label in labels if label))


def _largest(places: Sequence[tuple[Place, Mapping[Key, Held]]]) -> _Candidate:
    """The dictionary with most tensors, where none has wanted names: what a message speaks of."""

    def size(values_at: tuple[Place, Mapping[Key, Held]]) -> tuple[bool, int]:
        return not is_average(".".join(values_at[0])), len(tensors_in(values_at[1]))

    place, values = max(places, key=size)
    return _Candidate(place, values, common(tensors_in(values)), "", {})


def _read(chosen: _Candidate, tensor: Callable[[TensorLike], Tensor]) -> Checkpoint:
    """The tensors of a candidate's prefix.

    Raises:
        WeightsError: a wanted name has no tensor.
    """
    for name in chosen.matched.values():
        if not is_tensor(chosen.values[name]):
            raise WeightsError(
                f"{short(name)} is not a tensor but {kind(chosen.values[name])}; choose another with {_KEY}"
            )
    values = tensors_in(chosen.values)
    names = under(values, chosen.prefix, chosen.matched)
    used = set(names.values())
    return Checkpoint(
        {name: tensor(values[theirs]) for name, theirs in names.items()},
        ".".join(chosen.place),
        chosen.prefix,
        tuple(name for name in values if name not in used),
        names=chosen.names,
    )

"""Checkpoints into a model: whole or not at all."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.compile import Backbone, build
from archdsl.errors import WeightsError
from archdsl.language.arguments import wrong_model, wrong_weights
from archdsl.language.document import Spec
from archdsl.load.specs import override
from archdsl.weights.checkpoint import Source
from archdsl.weights.matching import check, dtype_name, matched, values_for
from archdsl.weights.resizing import Resized


class Imported(NamedTuple):
    """What was loaded, and what was done to it.

    tensors: how many. names: the scheme of published names, or "archdsl" for our own. container and prefix: where the
    weights were. others: further sets of weights in the file. left_out: tensors, by the checkpoint's names, that the
    model has no place for: a classifier where it has none, what stands beside a detector's backbone or a wrapped model.
    resized: tables from another image size. cast: tensors of another dtype than the model's, by dtype. new: tensors
    that keep their initial values: of a new classifier, or of norms that only dense prediction has. not_finite: tensors
    with NaN or infinities. sha256: of the file.
    """

    tensors: int
    names: str
    container: str = ""
    prefix: str = ""
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    resized: tuple[Resized, ...] = ()
    cast: Mapping[str, int] = {}
    new: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()
    sha256: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {**self._asdict(), "resized": [table._asdict() for table in self.resized]}


def import_weights(
    model: Backbone,
    source: Source,
    *,
    key: str | None = None,
    image: int | tuple[int, int] | None = None,
    new_head: bool = False,
) -> Imported:
    """Load a checkpoint, under the published names of the spec's `weights` or under ours.

    Nothing may be missing and nothing left over; derived buffers and counters are skipped by name. A model without a
    classifier (features_only, or reset to 0 classes) leaves out a classifier's, and norms that only dense prediction
    has keep their values where the checkpoint has none of them. Values take the dtype of the model. A table that was
    made for another image size is resized (bicubically; position embeddings bilinearly), a published 1x1 convolution
    becomes a Linear, and no other tensor changes its shape.

    Args:
        model: the model to load into.
        source: what `torch.load` gives, or the path of a file. A file is read as data: what its pickle names is never
            imported or run. Training scripts' dictionaries and wrappers' prefixes are seen through.
        key: the key of the weights, where a file holds several sets: dotted where it is nested (`model.state_dict`), or
            the prefix of their names (`teacher`).
        image: the image size that the checkpoint was made for, a side or (height, width); needed only where it was not
            square and the shape of a table does not tell.
        new_head: leave what depends on the number of classes as it is in the model, whatever the checkpoint has.

    Raises:
        WrongUse: there is no such file.
        WeightsError: names that are missing or unexpected, with the nearest of the other side, wrong shapes, or a file
            that is no checkpoint of weights. The model is unchanged then.
        TypeError: the model, the source or the key is something else.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("import_weights", model)
    if not isinstance(source, Mapping | str | os.PathLike):
        raise wrong_weights("import_weights", source)
    if key is not None and not isinstance(key, str):
        raise TypeError(f"key is a text, such as 'ema.state_dict'; got {key!r}")
    match = matched(model, source, key, new_head)
    checkpoint, names, theirs = match.checkpoint, match.names, match.theirs
    check(model, match)
    values, tables = values_for(model, match, image)
    with torch.no_grad():
        for name, value in values.items():
            match.wanted[name].copy_(value)
    others = [name for name, ours in match.wanted.items() if theirs[names[name]].dtype != ours.dtype]
    return Imported(
        len(values),
        match.scheme,
        checkpoint.container,
        checkpoint.prefix,
        checkpoint.others,
        match.left_out + checkpoint.left_out,
        tables,
        dict(Counter(dtype_name(theirs[names[name]]) for name in others)),
        match.new,
        tuple(name for name, value in values.items() if not torch.isfinite(value).all()),
        checkpoint.sha256,
    )


def import_file(
    spec: Spec,
    source: Source,
    *,
    key: str | None = None,
    image: int | tuple[int, int] | None = None,
    classes: int | None = None,
    features_only: bool = False,
    seed: int = 0,
) -> tuple[Backbone, Imported]:
    """A new model with a checkpoint's weights, as `import_weights`; torch's global random state is left alone.

    With `classes` it has a new classifier for so many, with the initial values of the document's `init` and of `seed`.
    """
    if classes is not None:
        spec = override(spec, [f"classes={classes}"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(spec, features_only)
    return model, import_weights(model, source, key=key, image=image, new_head=classes is not None)


def dense_from_classifier(spec: Spec, tensors: Mapping[str, Tensor], dense: bool, path: Path) -> Backbone:
    """The dense-prediction build with the weights of a file of ours that holds a classifier.

    Raises:
        WeightsError: the file holds such a build itself (`dense`), from which no classifier follows, or does not fit.
    """
    if dense:
        raise WeightsError(f"{path}: holds a dense-prediction build, which has no classifier; leave out features_only")
    with torch.random.fork_rng(devices=[]):
        model = build(spec, features_only=True)
    floating = next((tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()), torch.float32)
    imported = import_weights(model.to(floating), tensors)
    if imported.new:
        names = ", ".join(sorted({name.rpartition(".")[0] for name in imported.new}))
        warnings.warn(f"{path}: a classifier's file has no norms for dense prediction, new: {names}", stacklevel=3)
    return model

"""A backbone as detectors and segmenters train it: some of its maps, the first stages frozen, batch norms at rest."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from archdsl.compile import Backbone
from archdsl.errors import WrongUse, short
from archdsl.graphs import map_steps, plan, schedule, steps_for
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec, override
from archdsl.weights.checkpoint import Source
from archdsl.weights.importing import import_weights


class DenseBackbone(Backbone):
    """A dense-prediction build, parts of which stay in evaluation mode when it trains.

    frozen: nodes whose parameters take no gradient and which always run as in evaluation. norm_eval: batch norms keep
    their statistics.
    """

    def __init__(self, spec: Spec, frozen: Collection[str], norm_eval: bool) -> None:
        super().__init__(spec, features_only=True)
        self._frozen = tuple(frozen)
        self._norm_eval = norm_eval
        for module in self._frozen_modules():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all that is not kept in evaluation mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        if self._norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _frozen_modules(self) -> list[nn.Module]:
        """Those that are still there: nodes that no map needs can be removed."""
        return [module for name, module in self._modules.items() if module is not None and name in self._frozen]


def dense_backbone(
    spec: Spec | str | os.PathLike[str] | JsonObject,
    *,
    out_indices: Sequence[int] | None = None,
    frozen_stages: int = -1,
    norm_eval: bool = False,
    grad_checkpointing: bool = False,
    weights: Source | None = None,
) -> Backbone:
    """The dense-prediction build of a spec with what configurations of detectors set.

    Images (B, channels, H, W) -> the list of maps (B, C, H, W) that `out_indices` names, from the finest to the
    coarsest; `feature_info` has their channels and strides. What no map needs is not built.

    Args:
        spec: a loaded backbone, or what `load_spec` takes. A `.safetensors` of ours brings its weights, too.
        out_indices: the maps to give, counted from 0 at the finest, or from -1 at the coarsest; None for all.
        frozen_stages: -1 freezes nothing, 0 the stem, n the stem and all up to the n-th map, its norm with it. What is
            frozen takes no gradient and stays in evaluation mode, also after `train()`.
        norm_eval: keep batch norms in evaluation mode, also after `train()`: they use their statistics and do not
            change them. Their weights still learn unless they are frozen.
        grad_checkpointing: recompute the blocks in the backward pass instead of keeping their activations.
        weights: a checkpoint as `import_weights` takes it: of this build, or of a classifier, published or ours. A
            classifier lacks the norms of the maps, which keep their initial values.

    Raises:
        SpecError: a document that does not hold together.
        WrongUse: an index without a map, a number of stages that there are not, or a file that does not exist.
        WeightsError: the checkpoint does not fit.
    """
    loaded = spec if isinstance(spec, Spec) else load_spec(spec)
    if weights is None and isinstance(spec, str | os.PathLike) and os.fspath(spec).endswith(MODEL):
        weights = Path(spec)
    maps = [step.node.id for step in map_steps(loaded, plan(loaded, features_only=True))]
    kept = [maps[index] for index in _indices(out_indices, len(maps))]
    frozen = _frozen_nodes(loaded, maps, frozen_stages)
    narrowed = loaded if kept == maps else override(loaded, [f"features={json.dumps(kept)}"])
    built = {step.node.id for step in plan(narrowed, features_only=True)}
    model = DenseBackbone(narrowed, [name for name in frozen if name in built], norm_eval)
    model.set_grad_checkpointing(grad_checkpointing)
    if weights is not None:
        import_weights(model, weights)
    return model


def _indices(asked: Sequence[int] | None, count: int) -> list[int]:
    """The maps that are asked for, ascending.

    Raises:
        WrongUse: none, one twice, or one that there is not.
    """
    if asked is None:
        return list(range(count))
    whole = isinstance(asked, Sequence) and all(
        isinstance(index, int) and not isinstance(index, bool) for index in asked
    )
    if not whole or not all(-count <= index < count for index in asked):
        raise WrongUse(f"out_indices must be a list of whole numbers from {-count} to {count - 1}; got {short(asked)}")
    indices = sorted({index % count for index in asked})
    if not indices or len(indices) < len(asked):
        raise WrongUse(f"out_indices must name each map once, one at least; got {short(asked)}")
    return indices


def _frozen_nodes(spec: Spec, maps: Sequence[str], stages: int) -> list[str]:
    """The nodes that are frozen with so many stages, as they run.

    Raises:
        WrongUse: there are not so many.
    """
    if not isinstance(stages, int) or isinstance(stages, bool) or not -1 <= stages <= len(maps):
        raise WrongUse(f"frozen_stages must be a whole number from -1 to {len(maps)}; got {short(stages)}")
    if stages < 0:
        return []
    steps = plan(spec, features_only=True)
    needed = {step.name for step in steps_for(tuple(schedule(steps)), maps[:stages])}
    return [step.node.id for step in steps if step.node.kind == "stem" or step.node.id in needed]

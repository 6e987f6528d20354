"""Backbones as models of timm, registered on import: the zoo as `archdsl_NAME`, any other spec as `archdsl_any`.

`features_only` gives what timm's own models give: the maps as they leave their stages. With `dense=True` they are those
of the dense-prediction build, which norms them as the papers' detectors do; a classifier's weights lack these norms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from archdsl import zoo
from archdsl.compile import Backbone
from archdsl.errors import WrongUse
from archdsl.graphs import Step, map_steps, plan
from archdsl.language.document import Spec
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec, override
from archdsl.weights.facts import read_facts
from archdsl.weights.resizing import resized

try:
    from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "timm":
        raise
    raise ModuleNotFoundError("archdsl.timm needs timm; pip install 'archdsl[timm]'", name="timm") from None

Document: TypeAlias = str | os.PathLike[str] | dict[str, Any]
Config: TypeAlias = dict[str, Any]
"""What timm knows of a model beside its class: a `pretrained_cfg`."""

PREFIX = "archdsl_"
ANY = f"{PREFIX}any"
_TOKEN_LABELS = "aux_fc"


class TimmBackbone(Backbone):
    """A backbone that is made with the keywords of timm's models.

    A head with token labels is built without them, since training would give a pair in place of logits.

    Args:
        spec: a loaded backbone; what follows is set in it.
        num_classes: 0 for pooled features; None for the spec's own.
        in_chans: channels of the image; None for the spec's own.
        img_size: the size that tables are built for, a side or (height, width); None for the spec's own.
        drop_path_rate: stochastic depth of the last block; None for the spec's own.
        drop_rate: 0; these heads have no dropout.
        global_pool: None or the head's own way; "" with no classes, for the map itself.
        dense: build the dense-prediction form, whose maps are normed.
        token_label: keep the token labels, as published weights are evaluated with them.

    Raises:
        WrongUse: dropout, or a pooling that the head does not have.
        SpecError: the spec does not hold with these values.
    """

    def __init__(
        self,
        spec: Spec,
        num_classes: int | None = None,
        in_chans: int | None = None,
        img_size: int | tuple[int, int] | None = None,
        drop_path_rate: float | None = None,
        drop_rate: float = 0.0,
        global_pool: str | None = None,
        dense: bool = False,
        token_label: bool = False,
    ) -> None:
        if drop_rate:
            raise WrongUse(f"these heads have no dropout; got drop_rate {drop_rate}; use drop_path_rate")
        image = list(img_size) if isinstance(img_size, list | tuple) else img_size
        values = {"classes": num_classes or None, "channels": in_chans, "image": image, "drop_path": drop_path_rate}
        assignments = [f"{field}={value}" for field, value in values.items() if value is not None]
        if not token_label:
            assignments += [f"{node.id}.token_label=false" for node in spec.nodes if hasattr(node, "token_label")]
        super().__init__(override(spec, assignments), dense)
        if not dense and (num_classes == 0 or global_pool is not None):
            self.reset_classifier(self.num_classes if num_classes is None else num_classes, global_pool)


def archdsl_any(pretrained: bool = False, *, spec: Document, **options: Any) -> nn.Module:
    """The model of any spec: a zoo name, the path of a JSON document or of a model of ours, or a dict.

    With `pretrained` and a model of ours its weights are loaded too. `pretrained_cfg` has the preprocessing and classes
    of that file, unless another one is given.
    """
    loaded = load_spec(spec)
    config = _config(loaded)
    if not isinstance(spec, dict) and os.fspath(spec).endswith(MODEL):
        config |= _said_by_file(Path(spec))
    if options.get("pretrained_cfg"):
        config = {}
    overlay = config | (options.pop("pretrained_cfg_overlay", None) or {})
    return _made(loaded, ANY, pretrained, pretrained_cfg_overlay=overlay, **options)


def _made(spec: Spec, variant: str, pretrained: bool, **options: Any) -> nn.Module:
    """What timm makes of a spec: a model, or its features."""

    def backbone(**keywords: Any) -> TimmBackbone:
        return TimmBackbone(spec, **keywords)

    count = len(map_steps(spec, plan(spec)))
    features = {"out_indices": tuple(range(count)), "feature_cls": "getter"}
    made: nn.Module = build_model_with_cfg(
        backbone, variant, pretrained, feature_cfg=features, pretrained_filter_fn=_fitting, **options
    )
    return made


def _fitting(state: Mapping[str, Tensor], model: Backbone) -> dict[str, Tensor]:
    """A checkpoint's tensors for a model: tables for its image size, and no token labels that it leaves out."""
    wanted = model.state_dict()
    fitting = {}
    for name, tensor in state.items():
        is_other = name in wanted and tensor.shape != wanted[name].shape
        table = resized(model, name, tensor, None) if is_other else None
        if name in wanted or _TOKEN_LABELS not in name.split("."):
            fitting[name] = tensor if table is None else table[0]
    return fitting


def _config(spec: Spec) -> Config:
    """What timm is told of a spec: its input, its classes and its paper."""
    first_convs = tuple(name for step in plan(spec) if step.node.kind == "stem" for name in _first_convs(spec, step))
    config: Config = {
        "input_size": (spec.channels, *spec.image_size),
        "num_classes": spec.classes,
        "first_conv": first_convs,
        "classifier": f"{spec.nodes[-1].id}.fc",
    }
    paper = spec.paper
    if paper is not None:
        from_paper = {
            "crop_pct": paper.crop,
            "paper_name": paper.title,
            "paper_ids": paper.arxiv and f"arXiv:{paper.arxiv}",
        }
        config |= {key: value for key, value in from_paper.items() if value is not None}
    return config


def _first_convs(spec: Spec, step: Step) -> list[str]:
    """The convolution of a stem that reads the image, by its name; none where the stem begins otherwise."""
    with torch.device("meta"):
        stem = step.node.build_module(step.part_inputs(spec))
    convs = [(inner, part) for inner, part in stem.named_modules() if isinstance(part, nn.Conv2d)]
    return [f"{step.node.id}.{inner}" for inner, part in convs[:1] if part.in_channels == spec.channels]


def _said_by_file(path: Path) -> Config:
    """What a model of ours says of itself: its weights, how images are prepared, its classes."""
    facts = read_facts(path)
    config: Config = {"file": str(path)}
    if facts.classes is not None:
        config["label_names"] = facts.classes
    if (prepared := facts.preprocessing) is not None:
        crop = 1.0 if prepared.crop is None else prepared.crop.centre
        config |= {
            "mean": prepared.mean,
            "std": prepared.std,
            "interpolation": prepared.resize.filter,
            "crop_pct": crop,
        }
    return config


def _entry(name: str) -> Callable[..., nn.Module]:
    """The function by which timm makes a network of the zoo."""

    def entry(pretrained: bool = False, **options: Any) -> nn.Module:
        return _made(load_spec(name), f"{PREFIX}{name}", pretrained, **options)

    entry.__name__ = entry.__qualname__ = f"{PREFIX}{name}"
    entry.__doc__ = f"{name} of the zoo, with the keywords of `TimmBackbone`."
    return entry


default_cfgs = generate_default_cfgs({ANY: {}, **{f"{PREFIX}{name}": _config(load_spec(name)) for name in zoo.names()}})
"""What timm looks up, by model; read when a model is registered."""
for _name in zoo.names():
    register_model(_entry(_name))
register_model(archdsl_any)

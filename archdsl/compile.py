"""Graph to module: a `Backbone` runs the steps of a plan in order and keeps only what a later step needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.errors import WrongUse, nearest, short
from archdsl.families.common.features import FeatureInfo, MapFacts, feature_of, pooling_of
from archdsl.families.common.initial_values import initialise, set_dense, set_drop_path
from archdsl.families.common.layer_order import layer_numbers
from archdsl.families.common.parameter_groups import parameter_groups, undecayed
from archdsl.families.common.stage_modules import Stage
from archdsl.families.common.tables import move_parameters
from archdsl.graphs import Port, ScheduledStep, Step, map_steps, plan, schedule, steps_for
from archdsl.language.arguments import check_spec
from archdsl.language.document import Spec
from archdsl.language.header import MOST_CLASSES
from archdsl.load.specs import override
from archdsl.shape import Map


class Backbone(nn.Module):
    """A backbone built from a spec: images (B, channels, H, W) -> logits (B, classes).

    With `features_only` the list of stage maps (B, C, H, W) instead, from the finest to the coarsest. Submodules have
    the ids of the nodes. Any image size runs that the arithmetic allows; tables are resized from the size that the spec
    is built for. Follows timm's conventions for classifiers, features and checkpointing.
    """

    def __init__(self, spec: Spec, features_only: bool = False) -> None:
        super().__init__()
        check_spec("Backbone", spec)
        steps = plan(spec, features_only)
        self.spec = spec
        self.features_only = features_only
        self._schedule = tuple(schedule(steps))
        self.feature_info = FeatureInfo(_info(step) for step in map_steps(spec, steps))
        self.in_chans = spec.channels
        self.num_classes = 0 if features_only else spec.classes
        self.num_features = self.feature_info[-1]["num_chs"] if features_only else steps[-1].inputs[0].channels
        self.head_hidden_size = self.num_features
        self._built_dense = features_only
        for step in steps:
            # Not add_module: an id such as `training` is a fine name for a node, and no attribute of ours is shadowed.
            self._modules[step.node.id] = step.node.build_module(step.part_inputs(spec))
        for module in self.children():
            initialise(module, spec.init)
        set_drop_path(self, spec.drop_path)
        set_dense(self, features_only)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            object.__setattr__(self, name, value)  # nn.Module's would take it for the node of that name
        else:
            super().__setattr__(name, value)

    def forward(self, x: Tensor) -> Any:
        """(B, channels, H, W) -> (B, classes), or the list of maps (B, C, H, W) with `features_only`

        In training a head with token labels gives those of all pixels too.
        """
        return self._run(x, self._schedule)

    def forward_features(self, x: Tensor) -> Any:
        """(B, channels, H, W) -> what the head reads: a map (B, C, H, W), a class token (B, 1, C), or a tuple

        The tuple is of a map and semantics (B, M, C), for a head that reads both.
        """
        return self._run(x, self._schedule if self.features_only else self._schedule[:-1])

    def forward_to(self, x: Tensor, node: str) -> tuple[Tensor, ...]:
        """(B, channels, H, W) -> what later nodes read of the network up to a node, that node included

        Raises:
            WrongUse: there is no such node, or it is not built.
        """
        names = [step.name for step in self._schedule]
        if node not in names:
            raise WrongUse(f"{self.spec.name} has no node '{node}'; {nearest(node, names)}")
        return tuple(self._outputs(x, self._schedule[: names.index(node) + 1])[0].values())

    def forward_head(self, x: Tensor | tuple[Tensor, ...], pre_logits: bool = False) -> Any:
        """What `forward_features` gives -> (B, classes); with `pre_logits` the pooled features (B, C)"""
        head: Any = self.head
        inputs = x if isinstance(x, tuple) else (x,)
        return head.pool(*inputs) if pre_logits else head(*inputs)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """(B, channels, H, W) -> what `forward_features` gives, and the maps (B, C, H, W) of `feature_info`

        Args:
            x: the images.
            indices: the maps to give, by their index in `feature_info`; a number n: the last n of them.
            norm: asks for the classifier's last norm on every map, which its width allows for the last map alone.
            stop_early: run no further than the last of the maps, where they alone are asked for.
            output_fmt: NCHW.
            intermediates_only: give the maps alone.

        Raises:
            WrongUse: another format, a norm, or an index without a map.
        """
        if norm or output_fmt != "NCHW":
            raise WrongUse("intermediate maps are NCHW, as they leave their nodes; leave out norm and output_fmt")
        names = self.feature_info.module_name(self.feature_info.places(indices))
        before_head = self._schedule if self.features_only else self._schedule[:-1]
        wanted = [step._replace(feature=step.name in names) for step in before_head]
        if stop_early and intermediates_only:
            wanted = wanted[: 1 + max((index for index, step in enumerate(wanted) if step.feature), default=-1)]
        alive, maps = self._outputs(x, wanted)
        if intermediates_only:
            return maps
        return (maps[-1] if self.features_only else self._read_by_head(alive)), maps

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what some maps of `feature_info` do not need; their indices, which stay valid, are returned.

        The model then gives the list of these maps, as one built with `features_only` does. It keeps its head only with
        `prune_head=False` and where the last map is among those asked for: nothing is removed then.

        Args:
            indices: the maps, as in `forward_intermediates`.
            prune_norm: the last norm is a part of the head, and is removed with it.
            prune_head: remove the head where nothing else is removed.

        Raises:
            WrongUse: an index without a map, or no index.
        """
        chosen = self.feature_info.places(indices)
        if not chosen:
            raise WrongUse("name at least one map to keep")
        if not prune_head and chosen[-1] == len(self.feature_info) - 1:
            return chosen
        self._schedule = tuple(steps_for(self._schedule, [self.feature_info[index]["module"] for index in chosen]))
        kept = {step.name for step in self._schedule}
        self._modules = {name: module for name, module in self._modules.items() if name in kept}
        self.feature_info = FeatureInfo(self.feature_info[: chosen[-1] + 1])
        self.features_only, self.num_classes = True, 0
        self.num_features = self.head_hidden_size = self.feature_info[-1]["num_chs"]
        return chosen

    def _run(self, x: Tensor, wanted: Sequence[ScheduledStep]) -> Tensor | tuple[Tensor, ...] | list[Tensor]:
        alive, maps = self._outputs(x, wanted)
        if self.features_only:
            return maps
        last = self._schedule[-1]
        return alive[last.gives[0]] if wanted[-1] is last else self._read_by_head(alive)

    def _read_by_head(self, alive: dict[Port, Tensor]) -> Tensor | tuple[Tensor, ...]:
        """The one value that the head reads, or several as a tuple."""
        inputs = tuple(alive[port] for port in self._schedule[-1].reads)
        return inputs if len(inputs) > 1 else inputs[0]

    def _outputs(self, x: Tensor, wanted: Sequence[ScheduledStep]) -> tuple[dict[Port, Tensor], list[Tensor]]:
        """What is still needed after some steps, by port, and the maps of those that are features."""
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch exports it untyped
            # What follows from the size is written into a trace as it is now: at another size it has to fail.
            x = x.expand(-1, *map(int, x.shape[1:]))
        alive: dict[Port, Tensor] = {}
        maps: list[Tensor] = []
        for step in wanted:
            self._step(step, x, alive, maps)
        return alive, maps

    def _step(self, step: ScheduledStep, x: Tensor, alive: dict[Port, Tensor], maps: list[Tensor]) -> None:
        """Run one module on what it reads, then let go what nobody needs any more."""
        module = self._modules[step.name]
        assert module is not None
        result = module(*[alive[port] for port in step.reads] or [x])
        outputs = result if isinstance(result, tuple) and len(step.gives) > 1 else (result,)
        if step.feature:
            maps.append(feature_of(module, outputs[0]))
        for port in step.done:
            del alive[port]
        alive.update((port, value) for port, value in zip(step.gives, outputs, strict=False) if port in step.kept)

    @property
    def head(self) -> nn.Module:
        """The head's module.

        Raises:
            AttributeError: in a dense-prediction build, which has none.
        """
        if self.features_only:
            raise AttributeError("a backbone built with features_only has no head")
        head = self._modules[self._schedule[-1].name]
        assert head is not None
        return head

    def get_classifier(self) -> nn.Module:
        """The last Linear; of a head with token labels, the class token's."""
        classifier = self.head.fc
        assert isinstance(classifier, nn.Module)
        return classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new last Linear for `num_classes`, also for token labels; the spec is then one of so many classes.

        With 0 classes the model gives the pooled features (B, C), and the spec keeps the number that it had.

        Args:
            num_classes: 0 to 100,000.
            global_pool: how features are pooled. None, or the head's own way, keeps that; with 0 classes a head that
                averages a map takes "" as well: the model then gives the normed map (B, C, H, W).

        Raises:
            WrongUse: a number or a pooling that the head does not have, or a dense-prediction build, which has no head.
        """
        if self.features_only:
            raise WrongUse("a dense-prediction build has no classifier; build without features_only")
        head: Any = self.head
        is_whole = isinstance(num_classes, Integral) and not isinstance(num_classes, bool)
        if not is_whole or not 0 <= num_classes <= MOST_CLASSES:
            raise WrongUse(f"num_classes must be a whole number from 0 to {MOST_CLASSES}; got {short(num_classes)}")
        pool = pooling_of(head, num_classes, global_pool)
        names = getattr(head, "classifiers", ("fc",))
        fresh: Any = None
        if num_classes > 0:
            self.spec = self.spec.model_copy(update={"classes": int(num_classes)})
            step, like = plan(self.spec)[-1], next(self.parameters())
            fresh = step.node.build_module(step.part_inputs(self.spec)).to(like.device, like.dtype).train(head.training)
            initialise(fresh, self.spec.init)
        for name in names:
            if getattr(head, name) is not None:
                setattr(head, name, getattr(fresh, name) if fresh is not None else nn.Identity())
        if pool is not None:
            head.global_pool = pool
        self.num_classes = int(num_classes)

    def set_input_size(self, img_size: int | Sequence[int]) -> None:
        """Build the network for another image size, a side or (height, width), with its tables resized.

        Parameters stay the same tensors, but for tables of another shape; the spec is then one for that size. Hooks on
        modules inside are lost.

        Raises:
            SpecError: the network does not hold at that size; it is unchanged then.
        """
        sides = [*img_size] if isinstance(img_size, Sequence) and not isinstance(img_size, str) else img_size
        spec = override(self.spec, [f"image={json.dumps(sides, default=str)}"])
        with torch.random.fork_rng(devices=[]):
            other = Backbone(spec, self._built_dense).to(next(self.parameters()).device)
        if self.num_classes == 0 and not self.features_only:
            pool = getattr(self.head, "global_pool", None)
            other.reset_classifier(0, pool if pool in getattr(self.head, "pools", ()) else None)
        move_parameters(self, other)
        self._modules = {name: other._modules[name] for name in self._modules}
        self.spec = spec

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        """The number of a parameter's layer by its name, for timm's layer decay: in the order in which layers run.

        A block is a layer, and so is every stem, merge, join and head; with `coarse` a stage is one layer.
        """
        modules = [(step.name, self._modules[step.name]) for step in self._schedule]
        return layer_numbers([(name, module) for name, module in modules if module is not None], coarse)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the blocks of every stage in the backward pass instead of keeping their activations."""
        for module in self.modules():
            if isinstance(module, Stage):
                module.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the parameters that the published recipes leave out of weight decay beside biases and norms."""
        return undecayed(self)

    def parameter_groups(self, lr: float, weight_decay: float = 0.05) -> list[dict[str, Any]]:
        """Groups for an optimizer of torch, as the published recipes have them.

        Biases, norms, scales and what `no_weight_decay` names do not decay; the weights that make the offsets of LIT's
        merges learn at a hundredth of the rate (arXiv:2105.14217, the published code). `lr_scale` in a group is that
        factor.
        """
        return parameter_groups(self, lr, weight_decay)


def build(spec: Spec, features_only: bool = False) -> Backbone:
    """The module of a spec, with initial weights from torch's global random state.

    Args:
        spec: a loaded backbone.
        features_only: the dense-prediction form, which gives the last map of each resolution (or of the nodes that the
            document's `features` lists) and has no head; what serves the head alone is not built.

    Raises:
        SpecError: for a document that does not hold together.
        TypeError: `spec` is no loaded backbone.
    """
    check_spec("build", spec)
    return Backbone(spec, features_only)


def declared(model: Backbone) -> Backbone:
    """The network that an inference form was made of (`archdsl.optimize`); any other network itself."""
    network: Backbone = model.__dict__.get("_declared", model)
    return network


def _info(step: Step) -> MapFacts:
    """What timm's `feature_info` says of one map."""
    pixels = step.outputs["pixels"]
    assert isinstance(pixels, Map)
    return {"num_chs": pixels.channels, "reduction": pixels.stride, "module": step.node.id}

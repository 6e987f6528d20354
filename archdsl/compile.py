"""Graph to module: a `Backbone` runs the steps of a plan in order and keeps only what a later step needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from archdsl.graphs import Step, plan
from archdsl.modules.groups import parameter_groups, undecayed
from archdsl.modules.init import initialise, set_dense, set_drop_path
from archdsl.modules.stage import Stage
from archdsl.schema.arguments import check_spec
from archdsl.schema.document import Spec
from archdsl.shape import Map

_Port = tuple[int, str]
"""A step, by its index, and the name of one of its ports."""


class _Run(NamedTuple):
    """One step at run time: its module's name, what it reads and gives, what of it is kept, what nobody needs after."""

    name: str
    reads: tuple[_Port, ...]
    gives: tuple[_Port, ...]
    kept: frozenset[_Port]
    done: tuple[_Port, ...]
    feature: bool


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
        self._runs = tuple(_runs(steps))
        self.feature_info = [_info(step) for step in steps if step.feature]
        self.num_classes = 0 if features_only else spec.classes
        self.num_features = self.feature_info[-1]["num_chs"] if features_only else steps[-1].inputs[0].channels
        for step in steps:
            # Not add_module: an id such as `training` is a fine name for a node, and no attribute of ours is shadowed.
            self._modules[step.node.id] = step.node.build(*step.arguments(spec))
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
        return self._run(x, self._runs)

    def forward_features(self, x: Tensor) -> Any:
        """(B, channels, H, W) -> what the head reads: a map (B, C, H, W), a class token (B, 1, C), or a tuple

        The tuple is of a map and semantics (B, M, C), for a head that reads both.
        """
        return self._run(x, self._runs if self.features_only else self._runs[:-1])

    def forward_head(self, x: Any, pre_logits: bool = False) -> Any:
        """What `forward_features` gives -> (B, classes); with `pre_logits` the pooled features (B, C)"""
        head: Any = self.head
        inputs = x if isinstance(x, tuple) else (x,)
        return head.pool(*inputs) if pre_logits else head(*inputs)

    def _run(self, x: Tensor, runs: tuple[_Run, ...]) -> Any:
        alive: dict[_Port, Tensor] = {}
        features: list[Tensor] = []
        for run in runs:
            self._step(run, x, alive, features)
        if self.features_only:
            return features
        last = self._runs[-1]
        wanted = tuple(alive[port] for port in (last.gives if runs[-1] is last else last.reads))
        return wanted if len(wanted) > 1 else wanted[0]

    def _step(self, run: _Run, x: Tensor, alive: dict[_Port, Tensor], features: list[Tensor]) -> None:
        """Run one module on what it reads, then let go what nobody needs any more."""
        module: Any = self._modules[run.name]
        given = module(*[alive[port] for port in run.reads] or [x])
        outputs = given if isinstance(given, tuple) and len(run.gives) > 1 else (given,)
        if run.feature:
            features.append(module.feature(outputs[0]) if hasattr(module, "feature") else outputs[0])
        for port in run.done:
            del alive[port]
        alive.update((port, value) for port, value in zip(run.gives, outputs, strict=False) if port in run.kept)

    @property
    def head(self) -> nn.Module:
        """The head's module.

        Raises:
            AttributeError: in a dense-prediction build, which has none.
        """
        if self.features_only:
            raise AttributeError("a backbone built with features_only has no head")
        head = self._modules[self._runs[-1].name]
        assert head is not None
        return head

    def get_classifier(self) -> nn.Module:
        """The last Linear; of a head with token labels, the class token's."""
        classifier = self.head.fc
        assert isinstance(classifier, nn.Module)
        return classifier

    def reset_classifier(self, num_classes: int) -> None:
        """A new last Linear for `num_classes`, also for token labels; with 0 the features themselves, (B, C)."""
        old: Any = next(self.parameters())
        for name in getattr(self.head, "classifiers", ("fc",)):
            new: nn.Module = nn.Identity()
            if num_classes > 0:
                new = nn.Linear(self.num_features, num_classes, device=old.device, dtype=old.dtype)
                initialise(new, self.spec.init)
            if getattr(self.head, name) is not None:
                setattr(self.head, name, new)
        self.num_classes = num_classes

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


def _runs(steps: tuple[Step, ...]) -> Iterator[_Run]:
    last: dict[_Port, int] = {}
    for index, step in enumerate(steps):
        for link in step.links:
            last[link.source, link.port] = index
    for index, step in enumerate(steps):
        reads = tuple((link.source, link.port) for link in step.links)
        done = tuple(port for port, at in last.items() if at == index)
        gives = tuple((index, name) for name in step.outputs)
        kept = frozenset(gives) if step.node.kind == "head" else frozenset(port for port in gives if port in last)
        yield _Run(step.node.id, reads, gives, kept, done, step.feature)


def _info(step: Step) -> dict[str, Any]:
    """What timm's `feature_info` says of one map."""
    pixels = step.outputs["pixels"]
    assert isinstance(pixels, Map)
    return {"num_chs": pixels.channels, "reduction": pixels.stride, "module": step.node.id}

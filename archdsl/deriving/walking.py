"""A network's tensors from a parent's, module by module along both graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from archdsl.compile import Backbone
from archdsl.deriving import tensors
from archdsl.deriving.axes import Axis, even, joined
from archdsl.deriving.counterparts import NodePair, alike, name_there
from archdsl.deriving.heads import Scope, scopes_inside
from archdsl.deriving.module_tensors import all_tensors, from_parent, own_tensors, silent_at_0
from archdsl.deriving.tensors import Made
from archdsl.families.common.join_modules import ConcatJoin
from archdsl.families.common.layers import ConvMlp, LayerScale, ResidualConvMlp
from archdsl.families.common.stage_modules import Stage
from archdsl.families.common.tables import Table
from archdsl.families.dualvit.modules import SemanticStem
from archdsl.families.lit.modules import DeformableMerge
from archdsl.graphs import Port, ScheduledStep, Step, plan
from archdsl.shape import Map, Tokens

_START_AT_0 = ("local", "position_embedding")
"""Parts that a block or a stage adds to its input: new ones keep the function so."""


@dataclass
class Taken:
    """The result of a walk: values by our names, and the parent's tensor that each came from."""

    values: dict[str, Made] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


class Walk:
    """One inheritance, before anything is written."""

    def __init__(self, child: Backbone, parent: Backbone, classes: Axis | None, not_theirs: frozenset[str]) -> None:
        """`classes` are the rows of the classifier; `not_theirs` are tensors that the parent was only built with."""
        self.child, self.parent = child, parent
        self.classes, self.not_theirs = classes, not_theirs
        self.taken = Taken()

    def run(self, pairs: Sequence[NodePair]) -> Taken:
        """Values for every tensor of the child."""
        by_name = {pair.name: pair for pair in pairs}
        ours, theirs = _widths(self.child), _widths(self.parent)
        axes: dict[Port, Axis] = {}
        for step in self.child._schedule:
            pair = by_name[step.name]
            module = self.child._modules[step.name]
            assert module is not None
            parent = self.parent._modules[pair.parent] if pair.parent is not None else None
            if parent is None or pair.parent is None:
                self._new(module, step.name)
                continue
            scope = self._scope(step, module, ours[step.name], theirs[pair.parent], axes)
            for port in step.gives:
                axes[port] = _axis_of(port, step, module, scope, axes)
            self._node(module, parent, pair, scope)
        return self.taken

    def _scope(
        self, step: ScheduledStep, module: nn.Module, ours: _Widths, theirs: _Widths, axes: Mapping[Port, Axis]
    ) -> Scope:
        """What a node reads and writes; what it reads has the axis of who wrote it, where the sizes are right."""
        reads = even(ours.read, theirs.read)
        written = axes.get(step.reads[0]) if step.reads else None
        if written is not None and written.sizes == reads.sizes:
            reads = written
        kind = self.child.spec.node(step.name).kind
        keeps = kind in ("stage", "head") or isinstance(module, SemanticStem)
        return Scope(reads, reads if keeps else even(ours.written, theirs.written), repeats=kind == "stem")

    def _node(self, child: nn.Module, parent: nn.Module, pair: NodePair, scope: Scope) -> None:
        assert pair.parent is not None
        if isinstance(child, Stage) and isinstance(parent, Stage):
            self._stage(child, parent, pair, scope)
            return
        inside: dict[str, Scope] = {}
        if self.child.spec.node(pair.name).kind == "head" and self.classes is not None:
            inside = dict.fromkeys(("fc", "aux_fc"), Scope(scope.reads, self.classes))
        self._module(child, parent, pair.name, pair.parent, scope, inside)

    def _stage(self, child: Stage, parent: Stage, pair: NodePair, scope: Scope) -> None:
        blocks, old = list(child.blocks), list(parent.blocks)
        beside = {name: module for name, module in child.named_children() if name != "blocks"}
        for name, module in beside.items():
            other = parent._modules.get(name)
            self._child(child, name, module, other, (f"{pair.name}.{name}", f"{pair.parent}.{name}"), scope, {})
        self._tensors_of(child, parent, pair.name, str(pair.parent), scope, {})
        for place, block in enumerate(blocks):
            source = pair.blocks[place]
            name = f"{pair.name}.blocks.{place}"
            if source is None:
                self._new(block, name)
                continue
            self._module(block, old[source], name, f"{pair.parent}.blocks.{source}", scope, {})
            if place in pair.extra:
                self._silence(block, name)

    def _module(
        self, child: nn.Module, parent: nn.Module, name: str, there: str, scope: Scope, inside: Mapping[str, Scope]
    ) -> None:
        """Everything in a module from the parent's; `inside` has the scopes of submodules, by their paths."""
        if isinstance(child, nn.Sequential) != isinstance(parent, nn.Sequential):
            self._unwrapped(child, parent, name, there, scope)
            return
        if not alike(child, parent):
            self._new(child, name)
            return
        if isinstance(child, Table) and isinstance(parent, Table):
            self._keep(f"{name}.table", f"{there}.table", tensors.table(child, parent, scope.writes))
            return
        inside = {**inside, **scopes_inside(child, parent, scope)}
        self._tensors_of(child, parent, name, there, scope, inside)
        for key, module in child.named_children():
            old = name_there(child, parent, key)
            names = (f"{name}.{key}", f"{there}.{old}")
            scopes = _below(inside, key)
            self._child(child, key, module, parent._modules.get(old), names, inside.get(key, scope), scopes)
        if isinstance(child, ConvMlp):
            self._mlp(child, parent, name)

    def _child(
        self,
        owner: nn.Module,
        key: str,
        child: nn.Module,
        parent: nn.Module | None,
        names: tuple[str, str],
        scope: Scope,
        inside: Mapping[str, Scope],
    ) -> None:
        is_nothing = isinstance(parent, nn.Identity)
        if parent is not None and (not is_nothing or isinstance(child, nn.Identity)):
            self._module(child, parent, *names, scope, inside)
            return
        self._new(child, names[0])
        if key in _START_AT_0 or (key == "offset" and isinstance(owner, DeformableMerge)):
            self._start(child, names[0], 0)
        elif is_nothing and isinstance(child, LayerScale):
            self._start(child, names[0], 1)

    def _start(self, child: nn.Module, name: str, value: float) -> None:
        for path, tensor in all_tensors(child, name):
            self.taken.values[path] = tensors.started(tensor, value)

    def _unwrapped(self, child: nn.Module, parent: nn.Module, name: str, there: str, scope: Scope) -> None:
        """An MLP with channel attention after it, and one without."""
        if isinstance(parent, nn.Sequential):
            inner = parent._modules.get("mlp")
            if inner is not None:
                self._module(child, inner, name, f"{there}.mlp", scope, {})
                return
        mlp = child._modules.get("mlp")
        self._new(child, name)
        if isinstance(child, nn.Sequential) and mlp is not None:
            self._module(mlp, parent, f"{name}.mlp", there, scope, {})

    def _tensors_of(
        self, child: nn.Module, parent: nn.Module, name: str, there: str, scope: Scope, inside: Mapping[str, Scope]
    ) -> None:
        """The tensors of a module without those of its submodules."""
        theirs = dict(own_tensors(parent))
        for key, ours in own_tensors(child):
            source = f"{there}.{key}"
            old = theirs.get(key)
            if old is None or source in self.not_theirs or old.dim() != ours.dim():
                # A bias that the parent has not adds nothing yet; statistics of a norm are those that it is built with.
                is_bias = old is None and key == "bias" and "weight" in theirs
                self.taken.values[f"{name}.{key}"] = tensors.started(ours, 0) if is_bias else Made(ours, "new")
                continue
            self._keep(f"{name}.{key}", source, from_parent(child, parent, key, old, ours, inside.get(key, scope)))

    def _keep(self, name: str, source: str, made: Made) -> None:
        self.taken.values[name] = made
        if made.state != "new":
            self.taken.sources[name] = source

    def _new(self, child: nn.Module, name: str) -> None:
        for path, tensor in all_tensors(child, name):
            self.taken.values[path] = Made(tensor, "new")

    def _mlp(self, child: ConvMlp, parent: nn.Module, name: str) -> None:
        """The depthwise convolution between two Linears, where the parent has another or none: the same function."""
        weight, bias = f"{name}.dwconv.weight", f"{name}.dwconv.bias"
        identity = torch.zeros_like(child.dwconv.weight)
        middle = child.dwconv.kernel_size[0] // 2
        identity[:, :, middle, middle] = 1
        adds, added = (float(isinstance(each, ResidualConvMlp)) for each in (child, parent))
        if not isinstance(parent, ConvMlp):
            note = "starts at 0" if adds else "starts as the identity"
            self.taken.values[weight] = Made(identity * (1 - adds), "new", note)
            self.taken.values[bias] = tensors.started(child.dwconv.bias.detach(), 0)  # type: ignore[union-attr]
        elif adds != added:
            made = self.taken.values[weight]
            self.taken.values[weight] = made._replace(value=made.value + identity * (added - adds))

    def _silence(self, block: nn.Module, name: str) -> None:
        """Let the branches of a block that the parent has not add nothing yet."""
        for path in silent_at_0(block):
            key = f"{name}.{path}"
            if key in self.taken.values:
                self.taken.values[key] = tensors.started(self.taken.values[key].value, 0)
                self.taken.sources.pop(key, None)


def inherit_block(block: nn.Module, parent: Backbone, old: nn.Module, channels: int) -> None:
    """A block alone takes over what it can of a block of the parent of the same width; the rest keeps its values."""
    walk, stream = Walk(parent, parent, None, frozenset()), even(channels, channels)
    walk._module(block, old, "block", "block", Scope(stream, stream), {})
    with torch.no_grad():
        for name, tensor in block.state_dict().items():
            if (made := walk.taken.values.get(f"block.{name}")) is not None:
                tensor.copy_(made.value)


def _below(inside: Mapping[str, Scope], key: str) -> dict[str, Scope]:
    """The scopes of what is inside a submodule, by their paths in it."""
    return {path.removeprefix(f"{key}."): scope for path, scope in inside.items() if path.startswith(f"{key}.")}


@dataclass(frozen=True)
class _Widths:
    """Channels that a node reads first, and that it writes."""

    read: int
    written: int


def _widths(model: Backbone) -> dict[str, _Widths]:
    steps = plan(model.spec, model._built_dense)
    return {step.node.id: _Widths(_channels(step.inputs[0], model), _written(step)) for step in steps}


def _channels(shape: object, model: Backbone) -> int:
    return shape.channels if isinstance(shape, Map | Tokens) else model.spec.channels


def _written(step: Step) -> int:
    shape = next(iter(step.outputs.values()))
    return shape.channels


def _axis_of(port: Port, step: ScheduledStep, module: nn.Module, scope: Scope, axes: Mapping[Port, Axis]) -> Axis:
    """The axis of a port: a stage gives on what it reads, a join puts its maps one after another."""
    read = [axes.get(each) for each in step.reads]
    with_axis = [axis for axis in read if axis is not None]
    if isinstance(module, ConcatJoin) and len(with_axis) == len(read):
        return joined(*with_axis)
    if isinstance(module, Stage) and port[1] == "semantics" and len(read) > 1 and read[1] is not None:
        return read[1]
    return scope.writes

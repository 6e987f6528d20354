"""A network as a class of its own: a constructor with the sizes filled in, and a forward that is a line a part."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel
from torch import nn

from archdsl.errors import ExportError
from archdsl.exporting.constructor_calls import Call, Plain, Rebuilt, plain_attributes
from archdsl.exporting.layout import Expression, Group, call, laid_out, literal, sequence, text
from archdsl.families.common.stage_modules import Stage
from archdsl.graphs import Port, ScheduledStep, Step, schedule
from archdsl.shape import Map, Shape

if TYPE_CHECKING:
    from archdsl.compile import Backbone

_BODY = " " * 8
IMAGES = "images"
"""The argument of `forward`."""
_VARIABLES = {"pixels": "x", "semantics": "semantics", "class": "token"}


class Writer:
    """Writes modules as the calls that made them.

    name_of: what a class or a function is called in the file.
    """

    def __init__(self, rebuilt: Rebuilt, name_of: Callable[[object], str]) -> None:
        self._rebuilt = rebuilt
        self._name_of = name_of

    def of(self, value: object) -> Expression:
        """A value that a constructor was called with.

        Raises:
            ExportError: it is of a kind that has no short form in source.
        """
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Plain):
            return literal(value)
        if isinstance(value, BaseModel):
            fields = {name: getattr(value, name) for name in type(value).model_fields}
            return call("SimpleNamespace", [(name, self.of(field)) for name, field in fields.items()])
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return call(
                self._name_of(type(value)), [(n, self.of(v)) for n, v in zip(value._fields, value, strict=True)]
            )
        if isinstance(value, list):
            return sequence([self.of(item) for item in value])
        if isinstance(value, tuple):
            return Group("(", tuple(("", self.of(item)) for item in value), ")")
        if isinstance(value, Mapping):
            return Group("{", tuple((f"{text(str(name))}: ", self.of(item)) for name, item in value.items()), "}")
        if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
            return self._name_of(value)
        raise ExportError(f"a constructor was called with a {type(value).__name__}, which source cannot hold")

    def _module(self, module: nn.Module) -> Expression:
        name = self._name_of(type(module))
        children = dict(module._modules)
        if type(module) in (nn.Sequential, nn.ModuleList) and [*children] == [str(i) for i in range(len(children))]:
            items = tuple(self.of(child) for child in children.values())
            if type(module) is nn.ModuleList:
                return call(name, [("", sequence(items))])
            return call(name, [("", item) for item in items])
        if type(module) in (nn.Sequential, nn.ModuleDict):
            named = Group("{", tuple((f"{text(name)}: ", self.of(child)) for name, child in children.items()), "}")
            inner = call("OrderedDict", [("", named)]) if type(module) is nn.Sequential else named
            return call(name, [("", inner)])
        made = self._rebuilt.calls.get(module)
        if made is None:
            raise ExportError(f"how a {type(module).__name__} is made was not seen; make it by its constructor")
        return call(name, self._arguments(module, made))

    def _arguments(self, module: nn.Module, made: Call) -> Iterator[tuple[str, Expression]]:
        """Those of torch's layers by place, as far as the reader of PyTorch knows them; all others by their names."""
        by_place = {nn.Linear: 2, nn.Conv2d: 3, nn.Conv1d: 3, nn.LayerNorm: 1, nn.BatchNorm2d: 1, nn.GroupNorm: 2}
        places = by_place.get(type(module), 0) if made.spread is None else len(made.arguments)
        for index, (name, value) in enumerate(made.arguments.items()):
            if name == made.spread and isinstance(value, tuple):
                yield from (("", self.of(item)) for item in value)
            elif name == made.named and isinstance(value, dict):
                yield from ((key, self.of(item)) for key, item in value.items())
            else:
                yield "" if index < places else name, self.of(value)


def constructor_lines(model: Backbone, rebuilt: Rebuilt, writer: Writer, set_drop_path: str | None) -> Iterator[str]:
    """The body of `__init__`: a part a line or more, then what differs in the model from what constructors leave.

    Raises:
        ExportError: a module was replaced by one of another class.
    """
    for name, module in rebuilt.parts.named_children():
        yield laid_out(writer.of(module), _BODY, f"{part(name)} = ")
    for path, name, child in _replaced(rebuilt):
        yield laid_out(writer.of(child), _BODY, f"{_inside(path)}.{name} = ")
    if set_drop_path is not None:
        yield f"{_BODY}{set_drop_path}(self, {rebuilt.drop_path!r})"
    for path, attribute, value in _changes(model, rebuilt):
        yield f"{_BODY}{_inside(path)}.{attribute} = {value}"


def part(name: str) -> str:
    """How a part is read; one whose name torch or Python uses otherwise is looked up among the modules."""
    taken = keyword.iskeyword(name) or hasattr(nn.Module, name) or name == "training"
    return f'self._modules["{name}"]' if taken else f"self.{name}"


def _replaced(rebuilt: Rebuilt) -> Iterator[tuple[str, str, nn.Module]]:
    """The path of a module, and a submodule of it that was put in the place of what its constructor made.

    Sequences of modules are written as they are, whatever made them.
    """
    new = set[nn.Module]()
    for path, module in rebuilt.parts.named_modules():
        made = rebuilt.calls.get(module)
        if made is None or module in new or type(module) in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            continue
        for name, child in module._modules.items():
            if child is not None and child is not made.children.get(name):
                new |= {*child.modules()}  # it is written whole, with what was replaced in it
                yield path, name, child


def _changes(model: Backbone, rebuilt: Rebuilt) -> Iterator[tuple[str, str, str]]:
    """The path of a module, and the attribute of it that was set after it was made, with its value."""
    made = dict(rebuilt.parts.named_modules())
    for path, module in model.named_modules():
        before = made.get(path)
        if not path:
            continue
        if before is None or type(before) is not type(module):
            if before is None or type(module) is not nn.Identity:
                raise ExportError(f"{path} was replaced by a {type(module).__name__}; build the network anew")
            owner, _, name = path.rpartition(".")
            yield owner, name, "nn.Identity()"
            continue
        earlier = plain_attributes(before)
        for name, value in plain_attributes(module).items():
            if name not in earlier or earlier[name] != value:
                yield path, name, _plain(value)


def _plain(value: Plain) -> str:
    return str(literal(value))


def _inside(path: str) -> str:
    first, *rest = path.split(".")
    if any(keyword.iskeyword(name) or not name.replace("_", "a").isalnum() for name in rest):
        return f"self.get_submodule({text(path)})"
    return part(first) + "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in rest)


def forward_lines(steps: tuple[Step, ...], parts: nn.Module, classes: int) -> Iterator[str]:
    """The body of `forward`: a line a part, with the shape of what it gives.

    A map is `x`, tokens beside it `semantics` or `token`. Where two maps are kept at once, values are named by the
    nodes that give them.
    """
    planned = list(schedule(steps))
    names = _by_kind(planned) or _by_node(planned)
    if steps[-1].node.kind != "head":
        yield f"{_BODY}maps = []"
    for step, shapes in zip(planned, (step.outputs for step in steps), strict=True):
        module = parts._modules[step.name]
        run = f"{part(step.name)}({', '.join(names[port] for port in step.reads) or IMAGES})"
        if step is planned[-1] and "logits" in shapes:
            yield f"{_BODY}return {run}" + f"  # {_shape('logits', shapes['logits'])}" * (classes > 0)
            return
        wanted = {port: names[port] for port in step.gives if port in step.kept}
        if step.feature:
            wanted.setdefault(step.gives[0], names[step.gives[0]])
        ports = step.gives if _gives_tuple(step, module) else step.gives[:1]
        targets = ", ".join(wanted.get(port, "_") for port in ports)
        comment = ", ".join(_shape(port[1], shapes[port[1]]) for port in ports if port in wanted)
        yield f"{_BODY}{targets} = {run}  # {comment}"
        if step.feature:
            value = names[step.gives[0]]
            yield f"{_BODY}maps.append({f'{part(step.name)}.feature({value})' if _has_feature(module) else value})"
    yield f"{_BODY}return maps"


def uses_feature(steps: tuple[Step, ...], parts: nn.Module) -> bool:
    """Whether a part is asked for its map as a reader of maps gets it."""
    return any(step.feature and _has_feature(parts._modules[step.node.id]) for step in steps)


def _gives_tuple(step: ScheduledStep, module: nn.Module | None) -> bool:
    """Whether a module gives several values; a stage gives those alone that are read."""
    is_read = any(port in step.kept for port in step.gives[1:])
    return is_read if isinstance(module, Stage) else len(step.gives) > 1


def _has_feature(module: nn.Module | None) -> bool:
    """Whether a module gives a reader of maps something else than the map; a stage without a norm does not."""
    if isinstance(module, Stage):
        return not module.norm_all and "pixels" in module.out_norm
    return hasattr(module, "feature")


def _by_kind(planned: Sequence[ScheduledStep]) -> dict[Port, str] | None:
    """A variable a kind of port, each used again once its value is not needed any more; None where two are."""
    names: dict[Port, str] = {}
    alive: dict[str, Port] = {}
    for step in planned:
        alive = {name: port for name, port in alive.items() if port not in step.done}
        for port in step.gives:
            names[port] = _VARIABLES.get(port[1], port[1])
            if (port in step.kept or step.feature) and names[port] in alive:
                return None
        alive |= {names[port]: port for port in step.gives if port in step.kept}
    return names


def _by_node(planned: Sequence[ScheduledStep]) -> dict[Port, str]:
    names: dict[Port, str] = {}
    for step in planned:
        for place, port in enumerate(step.gives):
            name = step.name if place == 0 else f"{step.name}_{port[1]}"
            while keyword.iskeyword(name) or name in ("self", "maps", "_", IMAGES) or name in names.values():
                name += "_"
            names[port] = name
    return names


def _shape(port: str, shape: Shape) -> str:
    if isinstance(shape, Map):
        return f"(B, {shape.channels}, {shape.height}, {shape.width})"
    return f"(B, {shape.channels})" if port == "logits" else f"(B, {shape.count}, {shape.channels})"

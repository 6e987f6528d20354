"""How the modules of a network are made: the calls of their constructors, seen while it is built once more."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from archdsl.families.common.initial_values import set_drop_path
from archdsl.graphs import plan

if TYPE_CHECKING:
    from archdsl.compile import Backbone

Plain = bool | int | float | str | None
_LOCK = threading.Lock()


class Call(NamedTuple):
    """Arguments of a constructor by their names; those that equal its defaults are left out."""

    arguments: Mapping[str, object]
    spread: str | None
    """The name of the one that holds all arguments by place (`*args`)."""
    named: str | None
    """The name of the one that holds all other named arguments (`**kwargs`)."""
    children: Mapping[str, nn.Module | None]
    """The submodules as the constructor left them; one may be replaced afterwards."""


class Rebuilt(NamedTuple):
    """A network's parts as their constructors leave them, without memory, and the calls that made their modules."""

    parts: nn.Module
    calls: Mapping[nn.Module, Call]
    drop_path: float
    """What `set_drop_path` was called with; 0 for no call."""


def rebuilt(model: Backbone) -> Rebuilt:
    """Build the network of a model's spec once more, on the meta device, and note how.

    Drop rates are set as the spec says, unless they are all 0 in the model.
    """
    spec = model.spec
    parts = nn.Module()
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _recorded(map(type, model.modules())) as calls:
        for step in plan(spec, model.features_only):
            parts._modules[step.node.id] = step.node.build_module(step.part_inputs(spec))
    drop_path = spec.drop_path if any(_rates(model)) else 0.0
    set_drop_path(parts, drop_path)
    return Rebuilt(parts, calls, drop_path)


def plain_attributes(module: nn.Module) -> dict[str, Plain]:
    """The attributes of a module that are plain values; torch's own are left out."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Plain) and not name.startswith("_") and name not in ("training", "grad_checkpointing")
    }


def _rates(model: nn.Module) -> list[Plain]:
    return [vars(module).get("rate") for name, module in model.named_modules() if name.endswith("drop_path")]


@contextmanager
def _recorded(classes: Iterable[type[nn.Module]]) -> Iterator[dict[nn.Module, Call]]:
    """Note every call of these classes' constructors while the block runs; of one thread at a time."""
    calls: dict[nn.Module, Call] = {}
    wanted = list(dict.fromkeys(classes))
    with _LOCK:
        originals = {kind: vars(kind).get("__init__") for kind in wanted}
        try:
            for kind in wanted:
                setattr(kind, "__init__", _recording(kind, calls))  # noqa: B010  # mypy knows no class here
            yield calls
        finally:
            for kind, original in originals.items():
                if original is None:
                    delattr(kind, "__init__")
                else:
                    setattr(kind, "__init__", original)  # noqa: B010


def _recording(kind: type[nn.Module], calls: dict[nn.Module, Call]) -> Callable[..., None]:
    """A constructor that notes its call, unless it is called by that of a subclass."""
    original: Callable[..., None] = vars(kind).get("__init__") or kind.__init__
    signature = inspect.signature(original)

    @functools.wraps(original)
    def constructor(self: nn.Module, *arguments: object, **named: object) -> None:
        call = _call(signature, (self, *arguments), named) if type(self) is kind else None
        original(self, *arguments, **named)
        if call is not None:
            calls[self] = call._replace(children=dict(self._modules))

    return constructor


def _call(signature: inspect.Signature, arguments: tuple[object, ...], named: Mapping[str, object]) -> Call:
    bound = signature.bind(*arguments, **named)
    parameters = list(signature.parameters.values())[1:]
    by_kind = {parameter.kind: parameter.name for parameter in parameters}
    values = {
        parameter.name: bound.arguments[parameter.name]
        for parameter in parameters
        if parameter.name in bound.arguments and not _is_default(bound.arguments[parameter.name], parameter.default)
    }
    spread, others = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return Call(values, by_kind.get(spread), by_kind.get(others), {})


def _is_default(value: object, default: object) -> bool:
    return value is default or (isinstance(value, Plain) and type(value) is type(default) and value == default)

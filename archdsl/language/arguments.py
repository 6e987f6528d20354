"""What functions take, told where something else was handed in: a `TypeError` that names what is wanted."""

from __future__ import annotations

import os
from typing import Any

from archdsl.errors import short
from archdsl.language.document import Spec
from archdsl.language.header import Header

_WRAPPED = ("module", "_orig_mod")
"""Where wrappers (DistributedDataParallel, torch.compile) keep the model."""


def check_spec(function: str, value: Any) -> None:
    """Raises `TypeError` for anything but a loaded backbone."""
    if not isinstance(value, Spec):
        raise wrong_spec(function, value)


def wrong_spec(function: str, value: Any, wanted: str = "a Spec") -> TypeError:
    """The error of a function that takes a backbone: its name, a path, a document or a space is none."""
    remedy = ""
    if isinstance(value, str | os.PathLike):
        remedy = f"use archdsl.load_spec({os.fspath(value)!r})"
    elif isinstance(value, dict):
        remedy = "call archdsl.load_spec on it"
    elif _is_space(value):
        remedy = "draw a backbone from it with archdsl.spaces.point"
    elif isinstance(getattr(value, "spec", None), Spec):
        remedy = "use its .spec"
    return _error(function, wanted, value, remedy)


def wrong_model(function: str, value: Any) -> TypeError:
    """The error of a function that takes a built network."""
    remedy = ""
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        is_file = str(path).endswith(".safetensors")
        remedy = f"use archdsl.{f'load_model({path!r})' if is_file else f'build(archdsl.load_spec({path!r}))'}"
    elif isinstance(value, Spec):
        remedy = "call archdsl.build on it"
    else:
        inside = [name for name in _WRAPPED if isinstance(getattr(getattr(value, name, None), "spec", None), Spec)]
        remedy = f"use its .{inside[0]}" if inside else ""
    return _error(function, "a model that archdsl.build made", value, remedy)


def wrong_file(function: str, value: Any, remedy: str = "") -> TypeError:
    """The error of a function that takes the path of a file."""
    return _error(function, "the path of a file", value, remedy)


def wrong_weights(function: str, value: Any) -> TypeError:
    """The error of a function that takes a checkpoint."""
    remedy = "use its state_dict()" if hasattr(value, "state_dict") else ""
    return _error(function, "what torch.load returns, or the path of a checkpoint", value, remedy)


def wrong_document(function: str, value: Any, kind: str) -> TypeError:
    """The error of a function that loads a document; `kind` is "backbone" or "space"."""
    remedy = ""
    if isinstance(value, Header):
        same = isinstance(value, Spec) == (kind == "backbone")
        remedy = "it is loaded already" if same else f"it is no {kind}"
    elif isinstance(value, bytes | bytearray):
        remedy = "call json.loads on it"
    elif hasattr(value, "read"):
        remedy = "call json.load on it"
    return _error(function, f"the name of a {kind}, a path, or a dict such as json.load returns", value, remedy)


def checked_assignments(value: Any) -> list[str]:
    """The assignments of `override`.

    Raises:
        TypeError: it is one text, an object, or holds something else than texts.
    """
    if isinstance(value, str):
        raise _error("override", "a list of assignments", value, f"write [{value!r}]")
    if isinstance(value, dict):
        pairs = [f"{name}={short(_plain(inner))}" for name, inner in list(value.items())[:3]]
        raise _error("override", "a list of assignments", value, f"write {pairs}")
    if not hasattr(value, "__iter__") or isinstance(value, bytes):
        raise _error("override", "a list of assignments such as 'image=256'", value)
    texts = list(value)
    for text in texts:
        if not isinstance(text, str):
            raise _error("override", "assignments that are texts, such as 'image=256'", text)
    return texts


def _is_space(value: Any) -> bool:
    return isinstance(value, Header) and value.kind != "arch"


def _plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _error(function: str, wanted: str, value: Any, remedy: str = "") -> TypeError:
    return TypeError(f"{function} takes {wanted}; got {_described(value)}" + f"; {remedy}" * bool(remedy))


def _described(value: Any) -> str:
    """A value in a few words: its type, and what is short of it."""
    kind = type(value).__name__
    if value is None:
        return "None"
    if isinstance(value, Header):
        return f"the {kind} '{value.name}'"
    if isinstance(value, str | os.PathLike):
        return f"the {kind} {short(os.fspath(value))}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = isinstance(value, int | float | bool)
    return f"the {kind} {short(value)}" if plain else f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"

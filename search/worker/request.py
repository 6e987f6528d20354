"""What every request to a worker is: a value, which is JSON on the pipe alone, and the reply that it reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from pydantic import TypeAdapter

from archdsl.json_types import JsonObject

T = TypeVar("T")
R = TypeVar("R")

_ADAPTERS: dict[type[object], TypeAdapter[Any]] = {}
"""By the type that each reads: making one takes ten times as long as reading a message."""


def parsed(kind: type[T], facts: JsonObject) -> T:
    """A message of this kind as it came over the pipe.

    Raises:
        ValidationError: it is none.
    """
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    message: T = _ADAPTERS[kind].validate_python(facts)
    return message


@dataclass(frozen=True)
class Request(Generic[R]):
    """Something that is asked; R is what is answered."""

    do: ClassVar[str]
    """Its name on the pipe."""
    needs_quiet: ClassVar[bool] = False
    """Whether nobody else may compute on the device meanwhile."""

    def as_json(self) -> JsonObject:
        """As it goes over the pipe: its name, and its parts side by side."""
        return {"do": self.do, **asdict(self)}

    def reply(self, facts: JsonObject) -> R:
        """What was answered.

        Raises:
            ValidationError: it is no such answer.
        """
        return parsed(_answer_of(type(self)), facts)


def _answer_of(request: type[Request[R]]) -> type[R]:
    """The R that a class of requests names in `Request[R]`."""
    (base,) = (base for base in getattr(request, "__orig_bases__", ()) if get_origin(base) is Request)
    answer: type[R] = get_args(base)[0]
    return answer

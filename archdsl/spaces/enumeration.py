"""Every choice of a space in turn: only the variables that a choice needs take part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from archdsl.json_types import Scalar
from archdsl.spaces.variables import Variable


class EveryChoice:
    """Walks through the choices of variables with values, each of which the reader makes by asking for names.

    What is not asked for has no part in the choice, so that a hole inside an alternative that is not chosen does not
    multiply anything. The reader must ask in an order that follows from the answers alone.
    """

    def __init__(self, variables: Mapping[str, Variable]) -> None:
        self._variables = variables
        self._path: list[tuple[str, int]] = []
        self._asked = 0

    def __iter__(self) -> Iterator[Callable[[str], Scalar]]:
        while True:
            self._asked = 0
            yield self._choose
            del self._path[self._asked :]
            while self._path and self._is_last(*self._path[-1]):
                self._path.pop()
            if not self._path:
                return
            name, index = self._path[-1]
            self._path[-1] = (name, index + 1)

    def _choose(self, name: str) -> Scalar:
        if self._asked == len(self._path):
            self._path.append((name, 0))
        _, index = self._path[self._asked]
        self._asked += 1
        return self._variables[name].values[index]

    def _is_last(self, name: str, index: int) -> bool:
        return index + 1 == len(self._variables[name].values)

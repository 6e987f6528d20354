"""A torch pickle read as data: its opcodes one by one, on a stack of our own.

Nothing that a pickle names is imported or called. Tensors become descriptions of where their numbers lie, the
configurations that published checkpoints carry become stand-ins without content, and any other name is refused.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import IO, Any

from archdsl.errors import WeightsError, short
from archdsl.weights.arrays import Array, Dtype
from archdsl.weights.stored import StandIn, Storage, Stored, made, named, storage

_MOST_BYTES, _MOST_OPCODES = 2**26, 2_000_000
"""Of one pickle. A tensor's numbers lie elsewhere, and real checkpoints have some 100,000 opcodes at most."""
_NUMBERS = 2**10
"""Bytes of one value from which on it is taken for the numbers of an array, which only the file's size bounds."""
_KEYS = (str, int, float, bool, bytes, type(None))
"""What a key may be: hashing a tuple of tuples can take forever."""


def read_pickle(stream: IO[bytes], storages: dict[str, Storage] | None = None) -> Any:
    """The value of the pickle that the stream stands at; its storages are added to `storages`, by key.

    Raises:
        WeightsError: it names what no checkpoint needs, is too long, or is no whole pickle.
    """
    machine = _Machine({} if storages is None else storages)
    start = stream.tell()
    try:
        for number, (opcode, argument, position) in enumerate(pickletools.genops(stream)):
            if isinstance(argument, str | bytes | bytearray) and len(argument) >= _NUMBERS:
                start += len(argument)
            if number > _MOST_OPCODES or (position or 0) - start > _MOST_BYTES:
                raise WeightsError("its pickle is longer than that of any checkpoint")
            machine.step(opcode.name, argument)
        return machine.stack.pop()
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
        raise WeightsError(f"its pickle is damaged: {short(str(error))}") from None


class _Machine:
    """The stack that opcodes work on, the stacks below its marks, and the memo."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages = storages

    def step(self, opcode: str, argument: Any) -> None:
        """Do what one opcode says, or refuse it."""
        if opcode in _PUSHES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _PUTS:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif opcode in _GETS:
            self.stack.append(self.memo[argument])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            text = f"its pickle does what no checkpoint of weights needs ({opcode}): refused, and nothing of it was run"
            raise WeightsError(text)

    def mark(self, _: Any) -> None:
        """A new stack on top."""
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """What lies above the last mark, taken off with it."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def drop(self, _: Any) -> None:
        """The last value goes."""
        self.stack.pop()

    def drop_marked(self, _: Any) -> None:
        """All values above the last mark go."""
        self.marked()

    def marked_tuple(self, _: Any) -> None:
        """The same as one value."""
        values = tuple(self.marked())
        self.stack.append(values)

    def marked_set(self, _: Any) -> None:
        """A set is of no concern here."""
        self.marked()
        self.stack.append(StandIn("builtins.frozenset"))

    def tuple_of(self, count: int) -> None:
        """The last `count` values as one."""
        if len(self.stack) < count:
            raise IndexError("too few values on the stack")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def name(self, text: str) -> None:
        """`module name`, if a checkpoint may name it."""
        self.stack.append(named(*text.split(" ", 1)))

    def stack_name(self, _: Any) -> None:
        """The same, its module and name on the stack."""
        module, name = self.stack[-2:]
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self.stack[-2:] = [named(module, name)]

    def made(self, _: Any) -> None:
        """A name and its arguments become what they describe."""
        arguments, name = self.stack.pop(), self.stack.pop()
        self.stack.append(made(name, arguments))

    def made_with_keywords(self, _: Any) -> None:
        """The same; only stand-ins have keywords, and keep nothing."""
        self.stack.pop()
        self.made(None)

    def state(self, _: Any) -> None:
        """An object's state is dropped: a stand-in has none, and a dictionary's attributes say nothing of weights.

        An array's are its numbers.
        """
        state = self.stack.pop()
        if isinstance(self.stack[-1], Array | Dtype):
            self.stack[-1].set_state(state)
        elif not isinstance(self.stack[-1], StandIn | Stored | dict):
            raise TypeError(f"a state for a {type(self.stack[-1]).__name__}")

    def extend(self, values: list[Any]) -> None:
        """Items for the list on top; a stand-in takes everything and keeps nothing."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)
        elif not isinstance(self.stack[-1], StandIn):
            raise TypeError(f"items for a {type(self.stack[-1]).__name__}")

    def update(self, values: list[Any]) -> None:
        """Keys and values in turn, for the dictionary on top; what stands under a key that is no name is no weight."""
        if isinstance(self.stack[-1], StandIn):
            return
        if not isinstance(self.stack[-1], dict) or any(isinstance(key, list | dict) for key in values[::2]):
            raise TypeError("a key that is no plain value, or keys for no dictionary")
        pairs = zip(values[::2], values[1::2], strict=True)
        self.stack[-1].update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def persistent(self, _: Any) -> None:
        """A storage by its persistent id."""
        found = storage(self.stack.pop())
        self.storages.setdefault(found.key, found)
        self.stack.append(found)


_PUSHES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    "BYTEARRAY8",
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: StandIn("builtins.set"),
}
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET"}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.drop_marked,
    "FROZENSET": _Machine.marked_set,
    "TUPLE": _Machine.marked_tuple,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.made,
    "NEWOBJ": _Machine.made,
    "NEWOBJ_EX": _Machine.made_with_keywords,
    "BUILD": _Machine.state,
    "BINPERSID": _Machine.persistent,
}

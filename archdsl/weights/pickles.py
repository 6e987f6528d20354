"""A torch pickle read as data: its opcodes one by one, on a stack of our own.

Nothing that a pickle names is imported or called. Tensors become descriptions of where their numbers lie, the
configurations that published checkpoints carry become stand-ins without content, and any other name is refused.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Protocol, get_args

from archdsl.errors import WeightsError, short
from archdsl.weights import arrays
from archdsl.weights.pickled import Array, Dtype, Key, Pickled, Plain, StandIn, Storage, Stored
from archdsl.weights.stored import made, named, storage

_MOST_BYTES, _MOST_OPCODES = 2**26, 2_000_000
"""Of one pickle. A tensor's numbers lie elsewhere, and real checkpoints have some 100,000 opcodes at most."""
_NUMBERS = 2**10
"""Bytes of one value from which on it is taken for the numbers of an array, which only the file's size bounds."""
_KEYS: tuple[type[Key], ...] = get_args(Key)


class Stream(Protocol):
    """What pickles are read from: bytes in memory, or a map of a file."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""

    def readline(self) -> bytes:
        """Up to the end of a line."""

    def tell(self) -> int:
        """How many bytes were read."""


def read_pickle(stream: Stream, storages: dict[str, Storage] | None = None) -> Pickled:
    """The value of the pickle that the stream stands at; its storages are added to `storages`, by key.

    Raises:
        WeightsError: it names what no checkpoint needs, is too long, or is no whole pickle.
    """
    machine = _Machine({} if storages is None else storages)
    start = stream.tell()
    opcodes = pickletools.genops(stream)  # type: ignore[arg-type]  # of a file it uses what a Stream has
    try:
        for number, (opcode, argument, position) in enumerate(opcodes):
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
        self.stack: list[Pickled] = []
        self.below: list[list[Pickled]] = []
        self.memo: dict[int, Pickled] = {}
        self.storages = storages

    def step(self, opcode: str, argument: Plain) -> None:
        """Do what one opcode says, or refuse it."""
        if opcode in _PUSHES:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _PUTS:
            self.memo[len(self.memo) if argument is None else _number(argument)] = self.stack[-1]
        elif opcode in _GETS:
            self.stack.append(self.memo[_number(argument)])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            text = f"its pickle does what no checkpoint of weights needs ({opcode}): refused, and nothing of it was run"
            raise WeightsError(text)

    def mark(self, _: Plain) -> None:
        """A new stack on top."""
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Pickled]:
        """What lies above the last mark, taken off with it."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def drop(self, _: Plain) -> None:
        """The last value goes."""
        self.stack.pop()

    def drop_marked(self, _: Plain) -> None:
        """All values above the last mark go."""
        self.marked()

    def marked_tuple(self, _: Plain) -> None:
        """The same as one value."""
        values = tuple(self.marked())
        self.stack.append(values)

    def marked_set(self, _: Plain) -> None:
        """A set is of no concern here."""
        self.marked()
        self.stack.append(StandIn("builtins.frozenset"))

    def tuple_of(self, count: int) -> None:
        """The last `count` values as one."""
        if len(self.stack) < count:
            raise IndexError("too few values on the stack")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def name(self, text: Plain) -> None:
        """`module name`, if a checkpoint may name it."""
        if not isinstance(text, str):
            raise TypeError("a name that is no text")
        module, name = text.split(" ", 1)
        self.stack.append(named(module, name))

    def stack_name(self, _: Plain) -> None:
        """The same, its module and name on the stack."""
        module, name = self.stack[-2:]
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self.stack[-2:] = [named(module, name)]

    def made(self, _: Plain) -> None:
        """A name and its arguments become what they describe."""
        arguments, name = self.stack.pop(), self.stack.pop()
        self.stack.append(made(name, arguments))

    def made_with_keywords(self, _: Plain) -> None:
        """The same; only stand-ins have keywords, and keep nothing."""
        self.stack.pop()
        self.made(None)

    def state(self, _: Plain) -> None:
        """An object's state is dropped: a stand-in has none, and a dictionary's attributes say nothing of weights.

        An array's are its numbers.
        """
        state = self.stack.pop()
        value = self.stack[-1]
        if isinstance(value, Array | Dtype):
            arrays.set_state(value, state)
        elif not isinstance(value, StandIn | Stored | dict):
            raise TypeError(f"a state for a {type(value).__name__}")

    def extend(self, values: list[Pickled]) -> None:
        """Items for the list on top; a stand-in takes everything and keeps nothing."""
        value = self.stack[-1]
        if isinstance(value, list):
            value.extend(values)
        elif not isinstance(value, StandIn):
            raise TypeError(f"items for a {type(value).__name__}")

    def update(self, values: list[Pickled]) -> None:
        """Keys and values in turn, for the dictionary on top; what stands under a key that is no name is no weight."""
        into = self.stack[-1]
        if isinstance(into, StandIn):
            return
        if not isinstance(into, dict) or any(isinstance(key, list | dict) for key in values[::2]):
            raise TypeError("a key that is no plain value, or keys for no dictionary")
        pairs = zip(values[::2], values[1::2], strict=True)
        into.update((key, value) for key, value in pairs if isinstance(key, _KEYS))

    def persistent(self, _: Plain) -> None:
        """A storage by its persistent id."""
        named_by = storage(self.stack.pop())
        self.storages.setdefault(named_by.key, named_by)
        self.stack.append(named_by)


def _number(argument: Plain) -> int:
    """The number of an entry of the memo."""
    if not isinstance(argument, int):
        raise TypeError("an entry of the memo that has no number")
    return argument


_PUSHES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    "BYTEARRAY8",
}
_CONSTANTS: dict[str, Callable[[], Pickled]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: StandIn("builtins.set"),
}
_PUTS, _GETS = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET"}
_ACTIONS: dict[str, Callable[[_Machine, Plain], None]] = {
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

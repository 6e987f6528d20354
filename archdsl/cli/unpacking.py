"""Commands whose options stand in a `TypedDict`: said once, and handed to the library as they are, types checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeAlias, get_type_hints

Command: TypeAlias = Callable[..., None]
Default: TypeAlias = bool | int | str | tuple[()]


def with_options(options: type, **defaults: Default) -> Callable[[Command], Command]:
    """Make typer see the keys of `options` as options of a command that takes them as `**values: Unpack[options]`.

    Each key's type is `Annotated` with its `typer.Option`. An option that is not in `defaults` defaults to None, which
    stands for "not given". In the help they come after the command's positional parameters, and before those that it
    names after a `*`.
    """

    def decorated(command: Command) -> Command:
        parameters = list(inspect.signature(command, eval_str=True).parameters.values())
        keyword = inspect.Parameter.KEYWORD_ONLY
        unpacked = [
            inspect.Parameter(name, keyword, default=defaults.get(name), annotation=hint)
            for name, hint in get_type_hints(options, include_extras=True).items()
        ]
        first = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        last = [parameter for parameter in parameters if parameter.kind is keyword]
        command.__signature__ = inspect.Signature([*first, *unpacked, *last])  # type: ignore[attr-defined]  # PEP 362
        return command

    return decorated

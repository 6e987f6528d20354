"""How a run ends: 0 fine, 1 what was asked failed, 2 the command line is wrong, 130 interrupted. Never a traceback.

Only a fault of archdsl itself shows one, and only with `-v`.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from archdsl.cli import output
from archdsl.cli.exit_codes import FAILED, INTERRUPTED, WRONG_USE
from archdsl.errors import ArchError, WrongUse

_COMPLETION = ("--install-completion", "--show-completion")
_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_ANYWHERE = {"-q", "--quiet", "-v", "--verbose"}


def run(arguments: list[str]) -> int:
    """One run of the command line, to its exit code; whatever it printed has been written out."""
    stdout, code = _prepared(sys.stdout), 0
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            code = _code(_with_shell(_global_options_first(arguments)))
            if sys.stdout is not stdout:  # typer saw that nobody reads any more, and stood in for it
                raise BrokenPipeError
            stdout.flush()
        except BrokenPipeError:
            sys.stdout = stdout
            _discard(stdout)
            return FAILED
        except OSError as error:
            if code != FAILED:  # else it was said already
                output.error(f"cannot write the result: {error.strerror or error}")
            _discard(stdout)
            return FAILED
    return code


def _code(arguments: list[str]) -> int:
    """Run the command; what it raises becomes lines on stderr."""
    import typer

    from archdsl.cli.app import app

    try:
        typer.main.get_command(app).main(args=arguments, prog_name="archdsl")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except ArchError as error:
        wrong_use, text = isinstance(error, WrongUse), error.command_text or str(error)
        output.error(" ".join(text.splitlines()) if wrong_use else text)
        return WRONG_USE if wrong_use else FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        output.error(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except MemoryError:
        output.error("out of memory; use a smaller image, batch or width")
    except Exception as error:
        _report(error)
    return FAILED


def _report(error: Exception) -> None:
    """A fault of ours, on one line; with `-v` where it happened."""
    if output.talk().verbose:
        output.error("".join(traceback.format_exception(error)).rstrip())
    said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    more = "" if output.talk().verbose else "; archdsl -v prints where it happened"
    output.error(f"this is a bug in archdsl: {said}{more}")


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line."""
    output.remark(f"warning: {' '.join(str(message).split())}")


def _with_shell(arguments: list[str]) -> list[str]:
    """Completion for the shell that is named, else for the user's own.

    Left to itself, typer takes the shell that started the process, also where another is named; a script's `sh` has no
    completion.
    """
    for option in _COMPLETION:
        if option in arguments:
            named = [argument for argument in arguments if argument in _SHELLS]
            shell = named[0] if named else Path(os.environ.get("SHELL", "")).name
            if shell in _SHELLS:
                os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
                return [option, shell]
    return arguments


def _global_options_first(arguments: list[str]) -> list[str]:
    """`-q` and `-v` may stand anywhere before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved = [argument for argument in arguments[:end] if argument in _ANYWHERE]
    return [*moved, *(argument for argument in arguments[:end] if argument not in _ANYWHERE), *arguments[end:]]


def _prepared(stream: TextIO | None) -> TextIO:
    """Standard output that shows the escape of a character that it does not have; nowhere, if the shell closed it."""
    if stream is None:
        stream = sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    with suppress(AttributeError, ValueError):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # of a TextIOWrapper only
    return stream


def _discard(stream: TextIO) -> None:
    """What is still buffered goes nowhere, or the interpreter would complain about it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

"""The bytes behind a name or a path, and what an unknown name may have been meant for."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from archdsl import zoo
from archdsl.errors import Problem, SpecError, WrongUse, nearest, nearest_only, one_of, short
from archdsl.language.text.reader import MAX_BYTES
from archdsl.load.model_header import MODEL, NoModel, read_model_header

EXPORTED, RUN = ".onnx", "run.json"
_CHECKPOINTS = (".pth", ".pt")
_SAVED = (b"PK\x03\x04", b"\x80")
"""How what `torch.save` writes begins: a zip archive, or before version 1.6 a pickle."""


class UnknownName(WrongUse):
    """Neither a zoo name nor a file: the command line is wrong, not a document."""


def source(name_or_path: str | os.PathLike[str], kind: str | None = None) -> tuple[bytes, str]:
    """The bytes of a document by its zoo name, the name of a shipped space or its path, and what messages call it.

    An argument with a path separator, or ending in `.json`, `.safetensors` (a model of ours, which has its spec in its
    header) or `.onnx`, `.pth` or `.pt` (which are refused) is a path, else a name. The `run.json` of a search stands
    for the space that was searched. `kind` is "arch" or "space" where only one of them is wanted.

    Raises:
        UnknownName: there is no such name or file.
        SpecError: the file cannot be read as a document, or the name is one of the other kind.
    """
    text = os.fspath(name_or_path)
    is_path = "/" in text or os.sep in text or text.endswith((".json", MODEL, EXPORTED, *_CHECKPOINTS))
    if is_path or not isinstance(name_or_path, str):
        return _file_bytes(Path(text)), text
    if kind is not None and (other := other_kind(text, kind)):
        rule = f'this is a document of kind "{"space" if kind == "arch" else "arch"}"'
        told = [Problem(("kind",), rule, None, f"{other}; {_use(text)}")]
        raise SpecError(told, command_text=other_kind_in_command(kind, text))
    data = zoo.text(text)
    if data is None:
        raise UnknownName(f"no such zoo name: {short(text)}; {_meant(text, kind)}")
    return data, text


def is_embedded(file: str) -> bool:
    """Whether a document is a part of its file, in which it has no lines and columns of its own."""
    return file.endswith(MODEL) or Path(file).name == RUN


def other_kind(name: str, kind: str | None) -> str:
    """What a name is that is a space where a backbone is wanted, or the other way round; empty for others."""
    if kind == "arch" and name in zoo.spaces():
        return f"'{name}' is a search space, not a backbone"
    return f"'{name}' is a backbone, not a search space" if kind == "space" and name in zoo.names() else ""


def _use(name: str) -> str:
    """The commands and the function that read a name."""
    if name in zoo.spaces():
        return next_commands("space", name)
    return f"{next_commands('arch', name)}; the spaces that ship are {' and '.join(zoo.spaces())}"


def next_commands(kind: str, name: str = "") -> str:
    """What reads a document of a kind, of which something else was asked; `name` is what it is called."""
    what = f" {name}" if name else ""
    if kind == "space":
        commands = f"archdsl doctor{what} counts what its networks cost, archdsl show{what} draws it, "
        return f"{commands}archdsl search{what} searches it; in Python use archdsl.load_space"
    commands = f"archdsl cost{what} counts what it costs, archdsl show{what} draws it, "
    return f"{commands}archdsl new{what} --space prints a search space around it; in Python use archdsl.load_spec"


def other_kind_in_command(kind: str, name: str) -> str:
    """What a command says of a document that is not of the wanted kind: how to make one that is."""
    if kind == "arch":
        draw = f"archdsl new {shlex.quote(name)} --sample 1 -o FOLDER"
        return f"a backbone is needed here, but {name} is a search space; draw one from it: {draw}"
    make = f"archdsl new {shlex.quote(name)} --space > space.json"
    ships = f", or name one that ships: {one_of(zoo.spaces())}" if name in zoo.names() else ""
    return f"a search space is needed here, but {name} is a backbone; make one around it: {make}{ships}"


def _meant(name: str, kind: str | None) -> str:
    """What an unknown name may stand for: a file that is here, else the nearest name of the wanted kind."""
    file = next(_files_called(name), None)
    if file == f"./{name}" and Path(name).suffix:
        return f"{name} is a file, but the names of documents end in .json"
    if file is not None:
        return f"to read the file, write {file}"
    with suppress(OSError, ValueError):
        if name and Path(name).is_dir():
            return f"{name} is a folder: give the path of a .json or .safetensors file"
    if kind is None:
        return nearest(name, [*zoo.names(), *zoo.spaces()])
    names, others = (zoo.names(), zoo.spaces()) if kind == "arch" else (zoo.spaces(), zoo.names())
    near, other = nearest_only(name, names), nearest_only(name, others)
    what = "a search space" if kind == "arch" else "a backbone"
    return near or (f"{other} it is {what}" if other else nearest(name, names))


def _files_called(name: str) -> Iterator[str]:
    """Paths of documents and models of that name in the current folder, as they can be written."""
    for path in (f"{name}.json", f"{name}{MODEL}", f"{name}/winner.json", name):
        with suppress(OSError, ValueError):  # a name that no file can have
            if name and Path(path).is_file():
                yield f"./{path}"


def _file_bytes(path: Path) -> bytes:
    """The document in a file: its content, or of a model of ours what its header has.

    Raises:
        UnknownName: there is no such file.
        SpecError: it cannot be read, or is a `.safetensors` that is none of ours.
    """
    try:
        if path.suffix == MODEL:
            return read_model_header(path)["spec"].encode("utf-8", "surrogatepass")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if path.suffix == EXPORTED:
            raise NoModel("is an exported network, not a spec", _instead_of(path))
        if data.startswith(_SAVED):
            remedy = "archdsl import SPEC FILE makes a .safetensors of it, which has its spec"
            raise NoModel("is a checkpoint of torch.save, not a spec", remedy)
        return _space_of_a_run(data) if path.name == RUN else data
    except NoModel as error:
        raise SpecError([Problem((), error.rule, None, error.remedy, str(path))]) from None
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownName(f"no such file: {path}{_beside(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([Problem((), f"cannot be read: {reason}", file=str(path))]) from None


def _instead_of(exported: Path) -> str:
    """What to do with an exported file, which has its spec in its metadata at best."""
    model = exported.with_suffix(MODEL)
    source = str(model) if model.is_file() else "the .safetensors or .json that it was exported from"
    return f"give {source}; archdsl bench measures the file itself"


def _space_of_a_run(data: bytes) -> bytes:
    """The space in the settings of a search; what is none stays as it is."""
    try:
        written = json.loads(data)
    except (ValueError, RecursionError):
        return data
    space = written.get("space") if isinstance(written, dict) and "kind" not in written else None
    return json.dumps(space, ensure_ascii=False).encode() if isinstance(space, dict) else data


def _beside(path: Path) -> str:
    """A document that a path without its ending may be meant for, or the zoo's of that name."""
    for ending in (".json", MODEL):
        with suppress(OSError, ValueError):
            if path.suffix != ending and Path(f"{path}{ending}").is_file():
                return f"; did you mean {path}{ending}?"
    is_name = path.suffix == ".json" and path.stem in (*zoo.names(), *zoo.spaces())
    return f"; '{path.stem}' is a name in the zoo" if is_name else ""

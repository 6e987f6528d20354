"""The file of the trained network that candidates are to inherit from, by its name or its path."""

from __future__ import annotations

import shlex
from pathlib import Path

from archdsl import zoo
from archdsl.errors import WeightsError, WrongUse
from archdsl.load.model_header import MODEL
from archdsl.load.specs import load_spec
from archdsl.weights.facts import read_facts


def parent_file(named: str) -> Path:
    """The file of a trained network that ships under a name, or that is at a path.

    Raises:
        WrongUse: there is no such file, or it is a published checkpoint; with the command that makes a parent of it.
        WeightsError: the file holds no network of ours that can be read.
    """
    file = zoo.shipped_parent(named) or Path(named).expanduser().absolute()
    if not file.exists():
        if named in zoo.names():
            remedy = _import_command(named, "CHECKPOINT", f"{named}{MODEL}")
            raise WrongUse(f"{named} is a published backbone without weights; load its checkpoint first: {remedy}")
        raise WrongUse(f"no such file: {named}; --parent takes a {MODEL} of archdsl, or none")
    try:
        read_facts(file)
    except WeightsError as error:
        spec = _published_spec(file)
        if spec is not None:
            made = f"{Path(named).with_suffix('')}{'-parent' if file.suffix == MODEL else ''}{MODEL}"
            remedy = f"{_import_command(spec, named, made)}, then search with --parent {shlex.quote(made)}"
            raise WrongUse(f"{named} is a published checkpoint; load it into its network first: {remedy}") from None
        reason = str(error).partition("; make one with")[0]
        remedy = f"give a {MODEL} that archdsl train or archdsl import wrote"
        raise WeightsError(f"the parent has no weights that can be read: {reason}; {remedy}") from None
    return file


def _import_command(spec: str, checkpoint: str, made: str) -> str:
    return shlex.join(["archdsl", "import", spec, checkpoint, "-o", made])


def _published_spec(file: Path) -> str | None:
    """The zoo name of the backbone whose published checkpoint a file is; None where it is that of none."""
    from archdsl.deriving.parents import published_name

    return published_name(load_spec(zoo.names()[0]), file)

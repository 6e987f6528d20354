"""A network with the weights that arguments name, and what their file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.cli import output

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.language.document import Spec
    from archdsl.weights import ModelFacts

MODEL = ".safetensors"


def weights_file(argument: str, weights: Path | None) -> Path | None:
    """Where the weights are: in the file that is named, else in SPEC itself; None where they are nowhere."""
    return weights or (Path(argument) if argument.endswith(MODEL) else None)


def open_model(
    argument: str, spec: Spec, weights: Path | None, features_only: bool, is_changed: bool, without: tuple[str, str]
) -> tuple[Backbone, ModelFacts | None]:
    """The network with its weights; initial ones of a fixed seed, with a warning, where there are none.

    `without` is what the warning begins with, and the verb for what else could be done with a file.

    Raises:
        WrongUse: there is no such file.
        WeightsError: it holds no weights of this network.
    """
    import torch

    from archdsl.compile import build
    from archdsl.weights import import_file, load_model

    file = weights_file(argument, weights)
    if file is None:
        said, verb = without
        output.remark(f"warning: {said}, from a fixed seed{_instead(argument, verb)}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(spec, features_only), None
    is_ours = file.suffix == MODEL and _is_ours(file)
    facts = _facts_of(file, spec) if is_ours else None
    if is_ours and weights is None and not is_changed:
        return load_model(file, features_only=features_only or None), facts
    model, imported = import_file(spec, file, features_only=features_only)
    for table in imported.resized:
        output.remark(f"resized: {table}")
    return model, facts


def _facts_of(file: Path, spec: Spec) -> ModelFacts:
    """What a file says of itself; its accuracy is that of its own network alone."""
    from archdsl.language.canonical import canonical_hash
    from archdsl.load.specs import load_spec
    from archdsl.weights import read_facts

    facts = read_facts(file)
    is_same = canonical_hash(load_spec(file)) == canonical_hash(spec)
    return facts if is_same else facts.model_copy(update={"accuracy": None})


def _instead(argument: str, verb: str) -> str:
    """Where trained weights are: in a model of the same name beside a document, else where --weights names them."""
    beside = Path(argument).with_suffix(MODEL)
    is_path = "/" in argument or argument.endswith(".json")
    if is_path and beside.is_file() and _is_ours(beside):
        return f", though trained weights lie beside it: {verb} {beside} instead"
    return "; give trained ones with --weights"


def _is_ours(file: Path) -> bool:
    """Whether a .safetensors is a model of ours, which says of itself what it is."""
    from archdsl.errors import WeightsError
    from archdsl.weights.facts import read_header

    try:
        read_header(file)
    except WeightsError:
        return False
    return True

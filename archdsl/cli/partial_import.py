"""`archdsl import --partial`: what fits of a trained network, taken over into another spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.cli import output

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.deriving.parents import Parent
    from archdsl.language.document import Spec
    from archdsl.weights.facts import ModelFacts


class Wanted(NamedTuple):
    """The network to be made. argument: what named its spec. classes: of a new classifier, where one is asked for."""

    spec: Spec
    argument: str
    classes: int | None
    seed: int
    features_only: bool

    def build(self) -> Backbone:
        """The network with the initial values of its seed; torch's global random state is left alone."""
        import torch

        from archdsl.compile import build
        from archdsl.load.specs import override

        spec = self.spec if self.classes is None else override(self.spec, [f"classes={self.classes}"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build(spec, self.features_only).eval()

    def class_names(self) -> tuple[str, ...] | None:
        """Those that a file of ours says, where it is the spec and keeps its classes."""
        from archdsl.load.model_header import MODEL
        from archdsl.weights import read_facts

        if not self.argument.endswith(MODEL) or self.classes is not None:
            return None
        names = read_facts(self.argument).classes
        return names if names is not None and len(names) == self.spec.classes else None


def import_partially(
    wanted: Wanted,
    file: Path,
    out: Path,
    *,
    key: str | None,
    made_for: tuple[int, int] | None,
    parent: str | None,
    as_json: bool,
) -> None:
    """Write the network to `out`, and print what was inherited."""
    from archdsl.deriving.inheriting import inherit_from
    from archdsl.deriving.parents import parent_of_file
    from archdsl.files import sha256_of
    from archdsl.weights import save_model

    source = parent_of_file(wanted.spec, file, key, made_for, parent)
    model, names = wanted.build(), wanted.class_names()
    report = inherit_from(model, source, classes=names, has_new_classes=wanted.classes is not None)
    save_model(model, out, sha256_of(file), facts=_facts(model, source, names, wanted.classes is not None))
    if report.is_empty:
        output.remark("warning: nothing was inherited; the file holds initial values alone")
    if as_json:
        output.result_json({"file": str(out), "from": str(file), **report.as_json()})
        return
    output.lines(f"{out}: {model.spec.name}", *str(report).splitlines())


def _facts(model: Backbone, parent: Parent, names: tuple[str, ...] | None, has_new_classes: bool) -> ModelFacts:
    """The classes and the preprocessing that the parent's file says, where they are the model's; no accuracy."""
    from archdsl.weights.facts import ModelFacts

    if names is None and not has_new_classes and model.num_classes == parent.model.num_classes:
        names = parent.facts.classes
    preprocessing = parent.facts.preprocessing
    if preprocessing is not None:
        preprocessing = preprocessing.model_copy(update={"size": model.spec.image_size})
    return ModelFacts(classes=names if model.num_classes else None, preprocessing=preprocessing)

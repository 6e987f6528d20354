"""What an exported file says of itself: the keys of a model file's header, for the size that the file is for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from archdsl.files import installed_version
from archdsl.load.specs import override
from archdsl.weights.facts import ModelFacts
from archdsl.weights.forms import head_header

if TYPE_CHECKING:
    from archdsl.compile import Backbone
    from archdsl.language.document import Spec

INPUT = "images"
"""The name of a file's input."""


def sized(spec: Spec, size: tuple[int, int]) -> Spec:
    """The document for images of another height and width.

    Raises:
        SpecError: a part cannot have images of that size.
    """
    if size == spec.image_size:
        return spec
    return override(spec, [f"image={json.dumps(size[0] if size[0] == size[1] else size)}"])


def stated_facts(model: Backbone, spec: Spec, dtype: str, facts: ModelFacts | None) -> ModelFacts:
    """What holds for the file of what is known of a network; `spec` is the model's for the size that the file is for.

    A picture is resized to that size. An accuracy was measured at the size of the preprocessing and with the weights as
    they were: a file of another size, or of int8, states none.
    """
    stated, size = facts or ModelFacts(), spec.image_size
    measured_at = model.spec.image_size if stated.preprocessing is None else stated.preprocessing.size
    if dtype == "int8" or size != measured_at:
        stated = stated.model_copy(update={"accuracy": None})
    if stated.preprocessing is not None:
        preprocessing = stated.preprocessing.model_copy(update={"size": size})
        stated = stated.model_copy(update={"preprocessing": preprocessing})
    return stated


def metadata(model: Backbone, spec: Spec, dtype: str, facts: ModelFacts | None) -> dict[str, str]:
    """The spec and, where they are known, classes, preprocessing, accuracy and provenance; every value is a text.

    The arguments are those of `stated_facts`.
    """
    return {
        "archdsl": installed_version(),
        "features_only": json.dumps(model.features_only),
        "spec": json.dumps(spec.to_json(), separators=(",", ":"), ensure_ascii=False),
        **stated_facts(model, spec, dtype, facts).header(),
        **head_header(model),
    }


def output_names(model: Backbone) -> list[str]:
    """Names of a network's outputs: `logits`, `features` without a classifier, or the nodes whose maps it gives."""
    if model.features_only:
        names = [step.name for step in model._schedule if step.feature]  # of a network that was cut, some of its maps
        return [f"{name}_map" if name == INPUT else name for name in names]  # inputs and outputs share their names
    return ["logits" if model.num_classes > 0 else "features"]

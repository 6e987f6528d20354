"""A library of the tiny parent that is really fitted."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from archdsl.cost import count
from archdsl.deriving.library.building import build_library
from archdsl.deriving.library.folder import Library
from archdsl.language.document import Spec
from archdsl.load.spaces import space_of
from tests.support.libraries import SETTINGS, space_around


def built(parent: Path, out: Path, **changes: object) -> Library:
    settings = SETTINGS.model_copy(update=changes)
    return build_library(
        parent, "shapetex", out, space=space_of(space_around()), settings=settings, train_images=128, device="cpu"
    )


def results(library: Library) -> list[tuple[object, ...]]:
    """All that a building gives but seconds."""
    facts = [entry.model_dump(exclude={"seconds"}) for entry in library.index.entries]
    tensors = [{name: t.tolist() for name, t in load_file(library.file(e.key)).items()} for e in library.usable]
    return [*zip(facts, tensors, strict=True)]


def params(spec: Spec) -> dict[str, float]:
    return {"params": float(count(spec).params), "macs": float(count(spec).macs)}

"""What a backbone is called and what goes in and out, in one phrase."""

from __future__ import annotations

from archdsl.language.document import Spec
from archdsl.shape import Map


def image_text(spec: Spec) -> str:
    """`3x224x224`"""
    return str(Map(spec.channels, *spec.image_size))


def headline(spec: Spec) -> str:
    """`litv2_s: 3x224x224 -> 1000 classes`"""
    return f"{spec.name}: {image_text(spec)} -> {spec.classes} classes"

"""Which networks can inherit, told from documents; where a search has a parent most of its trials can."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.load.specs import load_spec
from archdsl.search.propose.heirs import may_inherit

PARENT = load_spec("litv2_s")


@pytest.mark.parametrize(
    ("changes", "can"),
    [
        ([], True),
        (["stage3.depth=2", "image=64"], True),
        (["stem.width=48", "merge1.width=96", "merge2.width=192", "merge3.width=384"], True),
        (["merge3.width=1536"], False),
        (["stem.patch=2"], False),
    ],
)
def test_narrower_and_shallower_networks_can(changes: list[str], can: bool) -> None:
    assert may_inherit(archdsl.override(PARENT, changes), PARENT) is can


def test_networks_of_other_nodes_may_be_asked() -> None:
    assert may_inherit(load_spec("dat_t"), PARENT)

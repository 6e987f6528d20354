"""Networks made smaller as a whole: valid for every family, and able to take over the larger one's weights."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from archdsl import build, count, inherit
from archdsl.language.canonical import canonical_hash
from archdsl.load.smaller import narrower, with_fewer_blocks
from archdsl.load.specs import load_spec, override

FAMILIES = ["lit_ti", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_tiny"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_narrower_networks_down_to_a_quarter_of_its_channels(name: str) -> None:
    spec = load_spec(name)
    made = list(narrower(spec))
    shares = [share for share, _ in made]
    assert shares == sorted(shares, reverse=True)
    assert {Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)} <= set(shares)
    macs = [count(each).macs for _, each in made]
    assert macs == sorted(macs, reverse=True)
    assert macs[0] < count(spec).macs
    assert len({canonical_hash(each) for _, each in made}) == len(made)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_narrower_network_inherits_all_that_it_has(name: str) -> None:
    spec = override(with_fewer_blocks(load_spec(name), 0.0), ["image=64"])
    child = build(dict(narrower(spec))[Fraction(1, 2)])
    report = inherit(child, build(spec))
    assert [tensor.name for tensor in report.tensors if tensor.state == "new"] == []
    assert child.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_heads_keep_their_width_where_their_number_has_such_a_share() -> None:
    made = dict(narrower(load_spec("dat_t")))
    before, half, third = (
        spec.node("stage1").blocks[0].heads  # type: ignore[attr-defined]
        for spec in (load_spec("dat_t"), made[Fraction(1, 2)], made[Fraction(1, 3)])
    )
    assert (before, half, third) == (3, 3, 1)


@pytest.mark.parametrize(("share", "depths"), [(1.0, [2, 2, 6, 2]), (0.5, [1, 1, 3, 1]), (0.0, [1, 1, 1, 1])])
def test_fewer_blocks_are_a_share_of_each_stage(share: float, depths: list[int]) -> None:
    spec = with_fewer_blocks(load_spec("litv2_s"), share)
    assert [node.depth for node in spec.nodes if hasattr(node, "depth")] == depths

"""Which specs are points of a space: its seeds and what is drawn from it, and nothing that differs from them."""

from __future__ import annotations

import random

import pytest
import torch

from archdsl import zoo
from archdsl.compile import build
from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import choices_of, load_space, point, random_point, seed_spec, seeds
from archdsl.load.specs import load_spec, override
from archdsl.spaces.variables import variables
from tests.support.small_spaces import MLP, at, one_of, space

SHIPPED = zoo.spaces()


def test_alternatives_that_look_alike_do_not_make_membership_endless() -> None:
    alike = [{"$label": f"a{i}", "type": "mlp", "depth": {"$int": [1, 2 + i]}} for i in range(8)]
    nodes = [{"id": f"s{i}", **one_of(*alike)} for i in range(30)]
    last = MLP | {"id": "last", "norm": {"type": "layer", "eps": one_of(1e-5, 1e-6)}, "depth": {"$same": "s0.depth"}}
    found = space(*nodes, last)
    spec, _ = point(found, lambda name: 1e-6 if name == "last.norm.eps" else "a0" if "." not in name else 2)
    assert choices_of(found, spec) is not None
    assert choices_of(found, override(spec, ["last.norm.eps=0.1"])) is None
    assert choices_of(found, override(spec, ["last.depth=3"])) is None  # what follows from others is compared last


@pytest.mark.parametrize("name", SHIPPED)
def test_the_seeds_of_a_shipped_space_are_points_of_it(name: str) -> None:
    found = load_space(name)
    assert len(seeds(found)) == len(found.seeds) > 0
    for index, (spec, choices) in enumerate(seeds(found)):
        assert choices_of(found, seed_spec(found, index)) == choices
        assert spec.classes == found.classes
        assert spec.drop_path == found.drop_path


def test_the_norm_at_the_end_is_compared_where_a_classifier_has_it() -> None:
    found = space({**MLP, "depth": {"$int": [1, 2]}, "out_norm": "always"})
    normed = at(found, stage1__depth=1)
    assert choices_of(found, normed) == {"stage1.depth": 1}
    for other in ("never", "features"):
        assert choices_of(found, override(normed, [f"stage1.out_norm={other}"])) is None
    raw_end = space({**MLP, "depth": {"$int": [1, 2]}, "out_norm": "never"})
    assert choices_of(raw_end, override(normed, ["stage1.out_norm=features"])) == {"stage1.depth": 1}


def test_what_differs_from_a_seed_in_a_field_without_a_hole_is_no_point() -> None:
    found = load_space("lit-dat-224")
    spec = load_spec("litv2_s")
    assert choices_of(found, spec) is not None
    assert choices_of(found, override(spec, ["classes=10", "drop_path=0.5", "stage1.out_norm=features"])) is not None
    for change in (
        "stage1.norm.eps=1e-6",
        "stage3.qkv_bias=false",
        "stage3.window=4",
        "stage3.depth=5",
        "image=192",
        "channels=1",
    ):
        assert choices_of(found, override(spec, [change])) is None, change
    assert choices_of(found, override(spec, ["stage3.window=7", "stage3.depth=12"])) is not None


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "lit-dat-224" else ()) for name in SHIPPED]
)
def test_random_points_resolve_as_their_seed_says_and_choices_lead_back(name: str) -> None:
    found = load_space(name)
    first, second = random.Random(1), random.Random(1)
    by_name = variables(found.nodes)
    good = 0
    for index in range(500):
        drawn = random_point(found, first)
        assert drawn == random_point(found, second)
        try:
            spec, used = point(found, drawn.choices.__getitem__)
        except SpecError:
            continue
        good += 1
        assert used == drawn.choices
        assert all(value in by_name[variable].values for variable, value in used.items())
        if good <= 200:
            again = choices_of(found, spec)
            assert again is not None
            assert canonical_hash(point(found, again.__getitem__)[0]) == canonical_hash(spec)
        if index < 2:
            with torch.device("meta"):
                model = build(spec).eval()
                assert model(torch.empty(1, 3, *spec.image_size)).shape == (1, spec.classes)
    assert good > 250


def test_a_point_may_be_given_a_name() -> None:
    found = load_space("lit-dat-64")
    _, choices = seeds(found)[0]
    assert point(found, choices.__getitem__, "winner")[0].name == "winner"
    assert point(found, choices.__getitem__)[0].name == found.name

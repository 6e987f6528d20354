"""What a search learns of its own measurements: predicted latencies and scores at initialisation."""

from __future__ import annotations

import math
import random
from contextlib import suppress

import torch

from archdsl.compile import build
from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.schema.document import Spec
from archdsl.schema.variables import variables
from archdsl.search.predict import ENOUGH, LatencyModel, features
from archdsl.search.zero_cost import LEAST_CORRELATION, Screen, naswot, spearman
from archdsl.spaces import draw, load_space, point


def networks(amount: int) -> list[Spec]:
    """Different points of the small space."""
    space, generator = load_space("lit-dat-64"), random.Random(1)
    known = variables(space.nodes)
    found: dict[str, Spec] = {}
    while len(found) < amount:
        choices = {name: draw(variable, generator) for name, variable in known.items()}
        with suppress(SpecError):  # a constraint does not hold
            spec, used = point(space, choices.__getitem__)
            found[str(used)] = spec
    return list(found.values())


def milliseconds(spec: Spec) -> float:
    """A machine on which time is blocks and MACs."""
    return 0.5 + sum(0.2 * getattr(node, "depth", 1) for node in spec.nodes) + count(spec).macs / 2e7


def test_a_prediction_waits_until_it_has_seen_enough_and_then_is_near() -> None:
    specs = networks(ENOUGH + 20)
    model = LatencyModel()
    for spec in specs[: ENOUGH - 1]:
        model.learn(spec, milliseconds(spec))
    assert model.surely_over(specs[-1], 0.001) is None
    for spec in specs[ENOUGH - 1 : -10]:
        model.learn(spec, milliseconds(spec))
    for spec in specs[-10:]:
        predicted = model.surely_over(spec, 0.001)
        assert predicted is not None
        assert math.isclose(predicted, milliseconds(spec), rel_tol=0.1)


def test_only_what_is_over_the_gate_by_more_than_the_model_erred_is_rejected() -> None:
    specs = networks(ENOUGH + 10)
    model, noise = LatencyModel(), random.Random(0)
    for spec in specs:
        model.learn(spec, milliseconds(spec) * noise.uniform(0.8, 1.2))
    for spec in specs:
        assert model.surely_over(spec, milliseconds(spec)) is None
        assert model.surely_over(spec, milliseconds(spec) / 5) is not None


def test_a_type_that_was_never_measured_is_not_predicted() -> None:
    specs = networks(200)
    attention = [spec for spec in specs if "hilo blocks" not in features(spec)]
    other = next(spec for spec in specs if "hilo blocks" in features(spec))
    model = LatencyModel()
    for spec in attention[: ENOUGH + 5]:
        model.learn(spec, milliseconds(spec))
    assert model.surely_over(attention[0], 0.001) is not None
    assert model.surely_over(other, 0.001) is None


def test_a_network_that_tells_images_apart_scores_higher_than_one_shown_the_same_image() -> None:
    torch.manual_seed(0)
    model = build(networks(1)[0])
    different = torch.randn(8, 3, 64, 64)
    nearly_equal = different[:1] + 0.01 * torch.randn(8, 3, 64, 64)
    assert math.isfinite(naswot(model, different))
    assert naswot(model, different) > naswot(model, nearly_equal)


def test_a_score_is_used_only_while_it_ranks_well_here() -> None:
    trusted, distrusted = Screen(), Screen()
    for step in range(20):
        for screen in (trusted, distrusted):
            screen.saw(float(step))
        trusted.learn(float(step), 0.1 + 0.01 * step)
        distrusted.learn(float(step), 0.1 + 0.01 * ((7 * step) % 20))
    assert trusted.correlation == 1.0
    assert trusted.too_low(1.0)
    assert not trusted.too_low(10.0)
    assert distrusted.correlation is not None
    assert distrusted.correlation < LEAST_CORRELATION
    assert not distrusted.too_low(1.0)


def test_before_enough_networks_were_trained_no_score_is_too_low() -> None:
    screen = Screen()
    for step in range(5):
        screen.saw(float(step))
        screen.learn(float(step), float(step))
    assert screen.correlation is None
    assert not screen.too_low(-1.0)


def test_rank_correlation_has_ties_at_their_mean_rank() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == 1.0
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == -1.0
    assert math.isclose(spearman([1, 2, 2, 3], [1, 2, 3, 4]), 0.9486832980505138)
    assert spearman([1, 1, 1], [1, 2, 3]) == 0.0

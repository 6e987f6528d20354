"""What a search learns of its own measurements: predicted latencies."""

from __future__ import annotations

import math
import random
from contextlib import suppress

from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.language.document import Spec
from archdsl.load.spaces import draw, load_space, point
from archdsl.search.policy import SHIPPED
from archdsl.search.predict.latency_model import LatencyModel, features
from archdsl.search.predict.predictors import Predictors
from archdsl.search.trial import Trial
from archdsl.spaces.variables import variables
from tests.support.trials import trial


def networks(amount: int) -> list[Spec]:
    """Different points of the small space."""
    space, generator = load_space("lit-dat-64"), random.Random(1)
    by_name = variables(space.nodes)
    found: dict[str, Spec] = {}
    while len(found) < amount:
        choices = {name: draw(variable, generator) for name, variable in by_name.items()}
        with suppress(SpecError):  # a constraint does not hold
            spec, used = point(space, choices.__getitem__)
            found[str(used)] = spec
    return list(found.values())


def milliseconds(spec: Spec) -> float:
    """A machine on which time is blocks and MACs."""
    return 0.5 + sum(0.2 * getattr(node, "depth", 1) for node in spec.nodes) + count(spec).macs / 2e7


def test_a_prediction_waits_until_it_has_seen_enough_and_then_is_near() -> None:
    specs = networks(SHIPPED.latency_model.enough + 20)
    model = LatencyModel(SHIPPED.latency_model)
    for spec in specs[: SHIPPED.latency_model.enough - 1]:
        model.learn(spec, milliseconds(spec))
    assert model.surely_over(specs[-1], 0.001) is None
    for spec in specs[SHIPPED.latency_model.enough - 1 : -10]:
        model.learn(spec, milliseconds(spec))
    for spec in specs[-10:]:
        predicted = model.surely_over(spec, 0.001)
        assert predicted is not None
        assert math.isclose(predicted, milliseconds(spec), rel_tol=0.1)


def test_only_what_is_over_the_gate_by_more_than_the_model_erred_is_rejected() -> None:
    specs = networks(SHIPPED.latency_model.enough + 10)
    model, noise = LatencyModel(SHIPPED.latency_model), random.Random(0)
    for spec in specs:
        model.learn(spec, milliseconds(spec) * noise.uniform(0.8, 1.2))
    for spec in specs:
        assert model.surely_over(spec, milliseconds(spec)) is None
        assert model.surely_over(spec, milliseconds(spec) / 5) is not None


def test_a_type_that_was_never_measured_is_not_predicted() -> None:
    specs = networks(200)
    attention = [spec for spec in specs if "hilo blocks" not in features(spec)]
    other = next(spec for spec in specs if "hilo blocks" in features(spec))
    model = LatencyModel(SHIPPED.latency_model)
    for spec in attention[: SHIPPED.latency_model.enough + 5]:
        model.learn(spec, milliseconds(spec))
    assert model.surely_over(attention[0], 0.001) is not None
    assert model.surely_over(other, 0.001) is None


def test_nothing_is_predicted_to_be_too_slow_before_something_passed_the_gate() -> None:
    fastest, *others = sorted(networks(SHIPPED.latency_model.enough + 20), key=milliseconds)
    gate_ms = milliseconds(fastest) * 1.001
    slow = [measured(spec) for spec in others]
    assert not any(Predictors(slow, SHIPPED, gate_ms).surely_too_slow(spec) for spec in others)
    assert any(Predictors([*slow, measured(fastest)], SHIPPED, gate_ms).surely_too_slow(spec) for spec in others)


def measured(spec: Spec) -> Trial:
    return trial(document=spec.to_json(), latency_ms=milliseconds(spec))

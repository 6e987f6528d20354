"""Variables as parameters of a study: the values themselves, and places for the samplers."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import create_trial

from archdsl import load_space
from archdsl.search.propose.distributions import Form, as_indices, as_places, as_values, choices
from archdsl.spaces.variables import Variable, variables

FORMS = (as_values, as_places, as_indices)


def stored(distribution: BaseDistribution, parameter: Any) -> Any:
    """What a database gives back of a parameter."""
    storage = RDBStorage("sqlite://")
    study = optuna.create_study(storage=storage)
    study.enqueue_trial({"a": parameter})
    study.ask({"a": distribution})
    try:
        return study.trials[0].params["a"]
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["lit-dat-64", "lit-dat-224"])
def test_every_value_of_every_variable_survives_being_a_parameter(name: str, form: Form) -> None:
    for variable in variables(load_space(name).nodes).values():
        parameter = form(variable)
        for value in variable.values:
            encoded = parameter.encode(value)
            assert parameter.decode(encoded) == value
            create_trial(params={"a": encoded}, distributions={"a": parameter.distribution}, value=0.0)  # or it raises


CATEGORIES = CategoricalDistribution


@pytest.mark.parametrize(
    ("values", "distribution"),
    [
        ((1, 2, 3, 4), IntDistribution(1, 4)),
        ((16, 32, 48), IntDistribution(16, 48, step=16)),
        ((-4, -1, 2), IntDistribution(-4, 2, step=3)),
        ((7,), IntDistribution(7, 7)),
        ((16, 32, 64, 96), CATEGORIES((16, 32, 64, 96))),
        ((32, 16), CATEGORIES((32, 16))),
        ((2**53, 2**53 + 2), CATEGORIES((2**53, 2**53 + 2))),
        ((0.3, 0.5, 0.7, 0.9), FloatDistribution(0.3, 0.9, step=0.2)),
        ((0.25, 0.5, 1.0), CATEGORIES((0.25, 0.5, 1.0))),
        ((0.5,), CATEGORIES((0.5,))),
        ((1, 1.5, 2), CATEGORIES((1, 1.5, 2))),
        ((False, True), CATEGORIES((False, True))),
        ((None, "relative", 3), CATEGORIES((None, "relative", 3))),
        (("1", 1), CATEGORIES(("1", 1))),
        (("mlp", '{"type": "plain"}'), CATEGORIES(("mlp", '{"type": "plain"}'))),
    ],
)
def test_a_study_holds_the_values_themselves(values: tuple[Any, ...], distribution: BaseDistribution) -> None:
    parameter = as_values(Variable("a", values))
    assert parameter.distribution == distribution
    for value in values:
        kept = stored(parameter.distribution, parameter.encode(value))
        assert (kept, type(kept)) == (value, type(value))
        assert (parameter.decode(kept), type(parameter.decode(kept))) == (value, type(value))


@pytest.mark.parametrize(
    ("values", "labels"),
    [((0, False), ("0", "false")), ((1, 1.0), ("1", "1.0")), ((True, 1, "1", None), ("true", "1", '"1"', "null"))],
)
def test_values_that_are_equal_for_python_have_labels_that_differ(
    values: tuple[Any, ...], labels: tuple[str, ...]
) -> None:
    for form in (as_values, as_places):
        parameter = form(Variable("a", values))
        if form is as_values:
            assert parameter.distribution == CATEGORIES(labels)
        back = [parameter.decode(stored(parameter.distribution, parameter.encode(value))) for value in values]
        assert list(map(repr, back)) == list(map(repr, values))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_log", [False, True])
def test_a_range_without_steps_is_a_range(form: Form, is_log: bool) -> None:
    parameter = form(Variable("a", (), 0.1, 0.9, is_log))
    assert parameter.distribution == FloatDistribution(0.1, 0.9, log=is_log)
    assert parameter.encode(0.5) == parameter.decode(0.5) == 0.5


def test_samplers_see_the_order_of_numbers_that_are_not_evenly_spaced() -> None:
    assert as_places(Variable("a", (16, 32, 64, 96))).distribution == IntDistribution(0, 3)
    assert as_places(Variable("a", ("mlp", "hilo"))).distribution == CATEGORIES((0, 1))


@pytest.mark.parametrize("value", [32, 32.0])
def test_a_value_of_another_type_of_number_is_the_value_that_is_equal(value: float) -> None:
    for form in FORMS:
        parameter = form(Variable("a", (16, 32, 64)))
        assert parameter.decode(parameter.encode(value)) == 32


def test_what_is_suggested_are_values_in_the_order_of_the_variables() -> None:
    made = {"b": Variable("b", (16, 32, 48)), "a": Variable("a", ("x", "y")), "c": Variable("c", (), 0.0, 1.0)}
    trial = optuna.create_study().ask()
    chosen = choices(trial, {name: as_values(variable) for name, variable in made.items()})
    assert list(chosen) == ["b", "a", "c"]
    assert chosen == trial.params

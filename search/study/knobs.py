"""A space's variables as Optuna's parameters, and back.

Every variable is a parameter of every trial, under one name and one range, whether or not the choices around it use it:
a Gaussian process sees only what all trials share. Ordered values are indices, labels are categories.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from archdsl.schema.variables import Variable


def distribution(variable: Variable) -> BaseDistribution:
    """The range of a variable's parameter."""
    if not variable.values:
        return FloatDistribution(variable.low, variable.high, log=variable.log)
    if variable.is_ordered:
        return IntDistribution(0, len(variable.values) - 1)
    return CategoricalDistribution([str(value) for value in variable.values])


def decode(variable: Variable, parameter: Any) -> Any:
    """The value that a parameter stands for."""
    if not variable.values:
        return parameter
    if variable.is_ordered:
        return variable.values[int(parameter)]
    return next(value for value in variable.values if str(value) == parameter)


def encode(variable: Variable, value: Any) -> Any:
    """The parameter that stands for a value."""
    if not variable.values:
        return float(value)
    return variable.values.index(value) if variable.is_ordered else str(value)


def choices(trial: optuna.Trial, variables: dict[str, Variable]) -> dict[str, Any]:
    """A sampled value for every variable."""
    found = {}
    for name, variable in variables.items():
        ranged = distribution(variable)
        if isinstance(ranged, IntDistribution):
            parameter: Any = trial.suggest_int(name, ranged.low, ranged.high)
        elif isinstance(ranged, FloatDistribution):
            parameter = trial.suggest_float(name, ranged.low, ranged.high, log=ranged.log)
        else:
            parameter = trial.suggest_categorical(name, distribution(variable).choices)  # type: ignore[attr-defined]
        found[name] = decode(variable, parameter)
    return found

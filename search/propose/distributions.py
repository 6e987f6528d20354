"""A space's variables as Optuna's parameters, and back.

Every variable is a parameter of every trial, under one name and one range, whether or not the choices around it use it:
a Gaussian process sees only what all trials share. A study holds the values themselves, for whoever reads it. Samplers
see the place of each value among the others (`mirror.py`): numbers that are not evenly spaced are categories in a
study, and categories have no order. Studies of earlier versions hold indices, and the text of what is no number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from archdsl.json_types import Scalar
from archdsl.search.network import Choices
from archdsl.spaces.variables import Variable

_EXACT = 2**53
"""Up to which a whole number is exact as a float, which databases keep."""


_Typed = tuple[type, Scalar]
"""A value with its type."""


class Parameter:
    """A variable as a parameter: its distribution, and what stands for each of the variable's values."""

    def __init__(self, variable: Variable, distribution: BaseDistribution, encoded: Sequence[Scalar]) -> None:
        """`encoded` are in the order of the variable's values; none where it is a range without steps."""
        self.distribution, self._values, self._encoded = distribution, variable.values, tuple(encoded)
        pairs = list(zip(self._values, self._encoded, strict=True))
        # 1, 1.0 and true are equal for Python, and three values for a space
        self._encode: dict[_Typed, Scalar] = {(type(value), value): code for value, code in pairs}
        self._decode: dict[_Typed, Scalar] = {(type(code), code): value for value, code in reversed(pairs)}

    def encode(self, value: Scalar) -> Scalar:
        """The parameter that stands for a value."""
        if not self._values:
            assert isinstance(value, int | float)
            return float(value)
        if (key := (type(value), value)) in self._encode:
            return self._encode[key]
        return self._encoded[self._values.index(value)]

    def decode(self, parameter: Scalar) -> Scalar:
        """The value that a parameter stands for."""
        if not self._values:
            return parameter
        if (key := (type(parameter), parameter)) in self._decode:
            return self._decode[key]
        value: Scalar = self._values[self._encoded.index(parameter)]
        return value


Form = Callable[[Variable], Parameter]
"""How a study holds variables."""


def as_values(variable: Variable) -> Parameter:
    """Whole numbers and decimals that are evenly spaced as such, others as categories; labels where values are equal
    for Python.
    """
    values = variable.values
    if not values:
        return Parameter(variable, _range(variable), ())
    if variable.is_ordered and (even := _even(values)) is not None:
        return Parameter(variable, even, values)
    categories = values if len(set(values)) == len(values) else tuple(map(json.dumps, values))
    return Parameter(variable, CategoricalDistribution(categories), categories)


def as_places(variable: Variable) -> Parameter:
    """The place of each value among the others, as a whole number where they are in order, else as a category."""
    places = range(len(variable.values))
    if not variable.values:
        return Parameter(variable, _range(variable), ())
    if variable.is_ordered:
        return Parameter(variable, IntDistribution(0, len(places) - 1), places)
    return Parameter(variable, CategoricalDistribution(places), places)


def as_indices(variable: Variable) -> Parameter:
    """As studies of earlier versions hold it: the index of what is in order, the text of what is not."""
    if not variable.values or variable.is_ordered:
        return as_places(variable)
    texts = [str(value) for value in variable.values]
    return Parameter(variable, CategoricalDistribution(texts), texts)


def choices(trial: optuna.Trial, parameters: Mapping[str, Parameter]) -> Choices:
    """A sampled value for every variable."""
    return {name: parameter.decode(_suggested(trial, name, parameter)) for name, parameter in parameters.items()}


def _suggested(trial: optuna.Trial, name: str, parameter: Parameter) -> Scalar:
    match parameter.distribution:
        case IntDistribution(low=low, high=high, step=step):
            return trial.suggest_int(name, low, high, step=step)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case CategoricalDistribution(choices=categories):
            return trial.suggest_categorical(name, categories)
    raise TypeError(f"an unsupported distribution: {parameter.distribution}")


def _range(variable: Variable) -> FloatDistribution:
    return FloatDistribution(variable.low, variable.high, log=variable.log)


def _even(values: Sequence[Scalar]) -> BaseDistribution | None:
    """The distribution of rising numbers of one type that are evenly spaced; None for others."""
    whole = [value for value in values if isinstance(value, int) and type(value) is int and abs(value) <= _EXACT]
    if len(whole) == len(values):
        steps = {after - before for before, after in pairwise(whole)} or {1}
        return IntDistribution(whole[0], whole[-1], step=steps.pop()) if len(steps) == 1 else None
    fractions = [value for value in values if isinstance(value, float)]
    if len(values) > 1 and len(fractions) == len(values):
        decimals = [Decimal(str(value)) for value in fractions]
        paces = {after - before for before, after in pairwise(decimals)}
        step = float(paces.pop())
        return FloatDistribution(fractions[0], fractions[-1], step=step) if not paces and step > 0 else None
    return None

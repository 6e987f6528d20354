"""Python values as json.load gives them, copied: what is handed in may change later, a document does not."""

from __future__ import annotations

import math
from typing import Any

from archdsl.errors import Keys, Problem, SpecError, short
from archdsl.json_types import Json, JsonObject, Scalar, object_in
from archdsl.language.text.reader import MAX_DEPTH

_MOST_VALUES = 100_000


def json_values(raw: dict[str, Any]) -> JsonObject:
    """A copy of a document in plain dicts and lists; tuples become lists.

    Raises:
        SpecError: something in it is no JSON value, is nested too deep or too much; told by its path.
    """
    problems: list[Problem] = []
    copied = _copied(raw, (), problems, [_MOST_VALUES])
    if problems:
        raise SpecError(problems)
    return object_in(copied)


def _copied(value: Any, keys: Keys, problems: list[Problem], left: list[int]) -> Json:
    left[0] -= 1
    if left[0] < 0 or len(keys) > MAX_DEPTH:
        rule = f"a document is nested at most {MAX_DEPTH} deep" if left[0] >= 0 else "a document has too many values"
        if left[0] >= -1:
            problems.append(Problem(keys[:1], rule, None, "give a spec, which is a few kilobytes of JSON"))
        return None
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                problems.append(Problem(keys, "a field's name must be a string", short(key), f'write "{key}"'))
        return {key: _copied(inner, (*keys, str(key)), problems, left) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner, (*keys, place), problems, left) for place, inner in enumerate(value)]
    if value is None or type(value) in (str, bool, int) or (type(value) is float and math.isfinite(value)):
        scalar: Scalar = value
        return scalar
    number = type(value) is float
    rule = "a number must be finite" if number else f"a {type(value).__name__} is no JSON value"
    remedy = "use a finite number" if number else "use dict, list, str, int, float, bool or None"
    problems.append(Problem(keys, rule, short(str(value)) if number else None, remedy))
    return None

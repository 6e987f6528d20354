"""Candidates: from a choice of a space's variables to a network that holds and is inside the static budgets."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from archdsl.cost import Count, count
from archdsl.errors import SpecError
from archdsl.schema.canonical import canonical_hash
from archdsl.schema.document import Spec
from archdsl.schema.space import Space
from archdsl.schema.variables import Variable
from archdsl.search.settings import Settings
from archdsl.spaces import draw, point

_MOST_RAISED = 20
_MOST_OF_A_NAME = 55
"""Characters of a space's name that its networks begin with; with 9 more they are as long as a name may be."""


class Candidate(NamedTuple):
    """A network that holds and is inside the static budgets."""

    spec: Spec
    hash: str
    counted: Count

    def costs(self, settings: Settings) -> dict[str, float]:
        """What the static budgets bound, by metric."""
        memory = self.counted.memory_bytes(settings.dtype, settings.batch)
        return {"params": self.counted.params, "MACs": self.counted.macs, "memory": memory}

    def over_budget(self, settings: Settings) -> str | None:
        """The first static budget that it is over, with both values; None where it keeps all of them."""
        costs = self.costs(settings)
        for name, budget in settings.static_budgets.items():
            if budget is not None and costs[name] > budget:
                return f"{name} {costs[name]:.4g} over {budget:.4g}"
        return None


class Refused(Exception):
    """A candidate that falls before it is measured; `args` are the rung and the reason."""


class Raised(Refused):
    """A candidate that falls because the code of a block raised what is no refusal."""


def candidate(space: Space, choose: Callable[[str], Any], settings: Settings) -> Candidate:
    """The network of a choice, if it holds and costs what it may.

    Raises:
        Refused: at the rung "static" or "cost".
    """
    try:
        spec, _ = point(space, choose)
        known, counted = canonical_hash(spec), count(spec)
    except SpecError as error:
        raise Refused("static", str(error)) from None
    except Exception as error:  # a block of another package may raise anything
        raise Raised("static", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    found = Candidate(spec.model_copy(update={"name": f"{space.name[:_MOST_OF_A_NAME]}-{known[:8]}"}), known, counted)
    if (reason := found.over_budget(settings)) is not None:
        raise Refused("cost", reason)
    return found


def random_candidate(
    space: Space,
    variables: dict[str, Variable],
    settings: Settings,
    seen: set[str],
    generator: random.Random,
    draws: int = 2000,
    is_hopeless: Callable[[Candidate], bool] = lambda found: False,
) -> tuple[Candidate, dict[str, Any]] | None:
    """A network that was not tried yet and is not hopeless, drawn at random, with its choices; None if so many draws
    find none.

    Where blocks raise from the start on, few draws tell as much.
    """
    raised = 0
    for drawn in range(draws):
        if drawn == raised == _MOST_RAISED:
            return None
        choices = {name: draw(variable, generator) for name, variable in variables.items()}
        try:
            found = candidate(space, choices.__getitem__, settings)
        except Refused as refused:
            raised += isinstance(refused, Raised)
            continue
        if found.hash not in seen and not is_hopeless(found):
            return found, choices
    return None

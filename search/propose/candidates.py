"""Candidates: from a choice of a space's variables to a network that holds and is inside the static budgets."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.language.canonical import canonical_hash
from archdsl.load.spaces import draw, point
from archdsl.search.config import Settings
from archdsl.search.network import Choices, Choose, Network
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.spaces.space import Space
from archdsl.spaces.variables import Variable

_MOST_OF_A_NAME = 55
"""Characters of a space's name that its networks begin with; with 9 more they are as long as a name may be."""


class Refused(Exception):
    """A candidate that falls before it is measured; `args` are the rung and the reason."""


class Raised(Refused):
    """A candidate that falls because the code of a block raised what is no refusal."""


Drawn: TypeAlias = dict[str, Network | Refused]
"""What became of choices, by their text."""


def candidate(space: Space, choose: Choose, settings: Settings | None) -> Network:
    """The network of a choice, if it holds and costs what it may; without settings it may cost anything.

    Raises:
        Refused: at the rung "static" or "cost".
    """
    try:
        spec, _ = point(space, choose)
        network_hash, counted = canonical_hash(spec), count(spec)
    except SpecError as error:
        raise Refused("static", str(error)) from None
    except Exception as error:  # a block of another package may raise anything
        raise Raised("static", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    name = f"{space.name[:_MOST_OF_A_NAME]}-{network_hash[:8]}"
    network = Network(spec.model_copy(update={"name": name}), counted, network_hash)
    if settings is not None and (reason := network.over_budget(settings)) is not None:
        raise Refused("cost", reason)
    return network


def random_candidate(
    space: Space,
    variables: dict[str, Variable],
    settings: Settings | None,
    seen: set[str],
    generator: random.Random,
    policy: DrawingPolicy,
    draws: int | None = None,
    is_hopeless: Callable[[Network], bool] = lambda network: False,
    drawn_before: Drawn | None = None,
) -> tuple[Network, Choices] | None:
    """A network that was not tried yet and is not hopeless, drawn at random, with its choices; None if so many draws,
    by default those of the policy, find none.

    Where blocks raise from the start on, few draws tell as much. `drawn_before`, of the same space and settings, saves
    looking at the same points again: of a small space where most are of no use, each is drawn many times.
    """
    raised = 0
    known: Drawn = {} if drawn_before is None else drawn_before
    for drawn in range(policy.draws if draws is None else draws):
        if drawn == raised == policy.most_raised:
            return None
        choices = {name: draw(variable, generator) for name, variable in variables.items()}
        network = _looked_at(known, policy.most_known, space, choices, settings)
        if isinstance(network, Refused):
            raised += isinstance(network, Raised)
        elif network.network_hash not in seen and not is_hopeless(network):
            return network, choices
    return None


def _looked_at(known: Drawn, most: int, space: Space, choices: Choices, settings: Settings | None) -> Network | Refused:
    """The network of these choices, or why they are refused; known where it was drawn before."""
    key = repr(choices)  # 1, 1.0 and True are equal, and different values
    if key not in known:
        if len(known) >= most:
            known.clear()
        try:
            known[key] = candidate(space, choices.__getitem__, settings)
        except Refused as refused:
            known[key] = refused.with_traceback(None)
    return known[key]

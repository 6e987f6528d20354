"""The smallest network of a space that is found without trying all of them."""

from __future__ import annotations

import random

from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy import Policy
from archdsl.search.propose.candidates import random_candidate
from archdsl.search.propose.scaled import Scaled
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables


def smallest_network(space: Space, settings: Settings, policy: Policy) -> Network | None:
    """The network of the fewest MACs among a few random ones, with every number lowered as far as it goes.

    It keeps the static budgets. None where no random network does.
    """
    by_name, generator = variables(space.nodes), random.Random(settings.seed)
    drawn = (
        random_candidate(space, by_name, settings, set(), generator, policy.drawing, policy.drawing.few_draws)
        for _ in range(policy.drawing.few_draws)
    )
    smallest = min((pair for pair in drawn if pair is not None), key=lambda pair: pair[0].counted.macs, default=None)
    if smallest is None:
        return None
    return Scaled(space, by_name, settings, policy.scaling, []).smaller(smallest[1], 0.0) or smallest[0]

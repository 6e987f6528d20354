"""Networks drawn over a space, to learn something of the whole of it."""

from __future__ import annotations

import random

from archdsl.errors import SearchError
from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy.propose import DrawingPolicy
from archdsl.search.propose.candidates import Drawn, random_candidate
from archdsl.spaces.space import Space
from archdsl.spaces.variables import variables


def sample(space: Space, settings: Settings, policy: DrawingPolicy, count: int) -> list[Network]:
    """`count` different networks inside the static budgets, each variable drawn evenly; fewer where there are no more.

    The settings' seed decides; a longer sample begins with the shorter one.

    Raises:
        SearchError: no network is inside the budgets.
    """
    generator, by_name = random.Random(f"sample {settings.seed}"), variables(space.nodes)
    by_hash: dict[str, Network] = {}
    before: Drawn = {}
    while len(by_hash) < count:
        drawn = random_candidate(space, by_name, settings, set(by_hash), generator, policy, drawn_before=before)
        if drawn is None:
            break
        by_hash[drawn[0].network_hash] = drawn[0]
    if not by_hash:
        raise SearchError(f"no network of the space '{space.name}' is inside the budgets on params, MACs and memory")
    return list(by_hash.values())

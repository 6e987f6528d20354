"""Evolution over the small space, of networks that the fake machine would have measured and trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection

from archdsl.load.spaces import draw, point, space_of
from archdsl.search.policy import Policy
from archdsl.search.propose.distributions import as_values, choices
from archdsl.search.propose.network_evolution import Evolution
from archdsl.search.propose.study import Completed
from archdsl.spaces.variables import variables
from tests.support.fake_worker import accuracy_of, latency_of
from tests.support.searching import SPACE, settings

SPACE_ = space_of(SPACE)
KNOWN = variables(SPACE_.nodes)
PARAMETERS = {name: as_values(variable) for name, variable in KNOWN.items()}
BUDGET_MS = 6.0


class Nothing(RandomSampler):
    """Draws what it draws, and says that nothing was bred."""

    was_asked = False

    def sample_independent(self, *arguments: Any) -> Any:
        self.was_asked = True
        return super().sample_independent(*arguments)


def evolution(objectives: list[str] | None = None, **limits: Any) -> Evolution:
    space = SPACE_.model_copy(update={"objectives": objectives or SPACE_.objectives})
    return Evolution(
        space,
        PARAMETERS,
        settings(**limits),
        Policy(),
        lambda found: latency_of(found.spec),
        lambda found: latency_of(found.spec) > BUDGET_MS,
    )


def completed(count: int, seed: int = 0, objectives: int = 2) -> list[Completed]:
    """Random networks as the fake machine would measure and train them."""
    generator, found = random.Random(seed), list[Completed]()
    while len(found) < count:
        choices = {name: draw(variable, generator) for name, variable in KNOWN.items()}
        spec = point(SPACE_, choices.__getitem__)[0]
        values = (accuracy_of(spec), latency_of(spec))[:objectives]
        is_inside = latency_of(spec) <= BUDGET_MS
        found.append(Completed(choices, values, latency_of(spec) / BUDGET_MS - 1, is_inside))
    return found


def bred(
    breeder: Evolution,
    earlier: list[Completed],
    seen: set[str],
    seed: int,
    objectives: Sequence[str] = SPACE_.objectives,
) -> dict[str, Any] | None:
    """The choices of the next network; None where nothing is bred."""
    nothing = Nothing(seed=0)
    directions = [StudyDirection["MAXIMIZE" if text.startswith("max") else "MINIMIZE"] for text in objectives]
    study = optuna.create_study(sampler=breeder.sampler(earlier, seen, seed, nothing), directions=directions)
    drawn = choices(study.ask(), PARAMETERS)
    return None if nothing.was_asked else drawn

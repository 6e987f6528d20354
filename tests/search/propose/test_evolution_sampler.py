"""Evolution as a sampler of Optuna, used without archdsl: Optuna's own tests of samplers, and what else it promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from archdsl.search.propose.evolution import EvolutionSampler


class TestEvolutionSampler(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    """As it is by default: the first trials are drawn at random."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: EvolutionSampler(seed=0)


class TestEvolutionFromTheFirstTrialOn(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    """Each trial after the first is bred, so that nothing passes by falling back to random draws."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: EvolutionSampler(seed=0, n_startup_trials=0)

"""Which of Optuna's samplers proposes the next point; every one seeded anew for each trial.

benchmarks/search_quality compares them, and Optuna as it comes, on a table of trained networks. `auto` is what does
best there: evolution, which is none of Optuna's (`evolution.py`); what cannot be bred yet is drawn at random.
"""

from __future__ import annotations

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from archdsl.search.config import Sampler
from archdsl.search.policy.propose import SamplerPolicy


def sampler(name: Sampler, seed: int, completed: int, policy: SamplerPolicy) -> BaseSampler:
    """What proposes the next point, after so many completed trials."""
    if name == "nsga2":
        return NSGAIISampler(population_size=policy.population, seed=seed)  # its first generation is random
    if completed < policy.startup or name in ("auto", "evolution", "random"):
        return RandomSampler(seed=seed)
    if name == "gp" and completed <= policy.most_gp:
        return GPSampler(seed=seed, n_startup_trials=0)
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=0)

"""How long a longer training takes is told from the short one."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finish_length import longer_s, seconds_a_step
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.policy import SHIPPED
from archdsl.search.store.folder import RunFolder
from archdsl.search.training_record import Training
from archdsl.search.trial import Trial
from tests.support.searching import settings


@pytest.fixture
def context(tmp_path: Path) -> Context:
    made = Context(settings(images=1600, epochs=1.0), SHIPPED, RunFolder(tmp_path), new_worker=lambda: None)  # type: ignore[arg-type, return-value]
    made.data = DataFacts(
        classes=10,
        channels=3,
        images=1600,
        validation=96,
        held_out=0,
        chance=0.1,
        describe="fake",
        fingerprint="0",
        request=DataRequest("shapetex", 32, 0, 1600),
    )
    return made


def trial(**facts: float) -> Trial:
    inherited = Training(steps=60, batch=16, parent="a" * 64, **facts)  # type: ignore[arg-type]
    return Trial(0, "hash", {}, 1, 1, training=inherited)


def test_validation_counts_as_steps(context: Context) -> None:
    """Validating 96 images takes as long as two steps of 16."""
    assert seconds_a_step(context, trial(seconds=6.2)) == pytest.approx(0.1)


def test_a_longer_training_has_a_refit(context: Context) -> None:
    policy = SHIPPED.inheritance
    refit_s = 0.1 * policy.refit_cost * policy.refit_steps
    assert longer_s(context, trial(seconds=6.2), 3.0) == pytest.approx(0.1 * 300 + refit_s)
    assert longer_s(context, trial(), 3.0) == 0.0

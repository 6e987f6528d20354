"""How long a longer training takes is told from the short one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.finish_length import (
    in_time,
    lengthen_that_fits,
    longer_s,
    refit_share,
    seconds_a_step,
)
from archdsl.search.loaded_data import DataFacts, DataRequest
from archdsl.search.policy import SHIPPED
from archdsl.search.store.clock import Clock
from archdsl.search.store.folder import RunFolder
from archdsl.search.store.parent import Parent, ParentAccuracy
from archdsl.search.training_record import Training
from archdsl.search.trial import Trial
from tests.support.heirs import TINY, tiny
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
    return Trial(0, "hash", TINY, 1, 1, training=inherited)


def test_validation_counts_as_steps(context: Context) -> None:
    """Validating 96 images takes as long as two steps of 16."""
    assert seconds_a_step(context, trial(seconds=6.2)) == pytest.approx(0.1)


def test_a_longer_training_has_a_refit(context: Context) -> None:
    policy = SHIPPED.inheritance
    refit_s = 0.1 * policy.refit_cost * policy.refit_steps
    assert longer_s(context, trial(seconds=6.2), 3.0) == pytest.approx(0.1 * 300 + refit_s)
    assert longer_s(context, trial(), 3.0) == 0.0


def at(context: Context, now: float) -> float:
    """The search has a parent and 600 s, of which so many are over; the seconds that are left for training."""
    context.clock = Clock(context.settings.model_copy(update={"time_s": 600.0}), SHIPPED, started=0.0, now=lambda: now)
    context.parent = Parent("parent", "parent.safetensors", "a" * 64, TINY, ParentAccuracy(0.9, 0.01, 96), None, 0.0)
    left = context.clock.left_to_train
    assert left is not None
    return left


def test_finalists_share_the_time_by_what_each_is_expected_to_take(context: Context) -> None:
    left = at(context, 300.0)
    quick, slow = trial(seconds=6.2), trial(seconds=12.4)
    first = in_time(context, quick, 3.0, [slow])
    assert first is not None
    assert first.seconds == pytest.approx(left / 3)
    assert first.least_steps == 60
    refit = SHIPPED.inheritance.refit_cost * SHIPPED.inheritance.refit_steps
    assert first.refit_s == pytest.approx(left / 3 * refit / (refit + 300))
    last = in_time(context, slow, 3.0, [])
    assert last is not None
    assert last.seconds == pytest.approx(left)


def test_a_refit_counts_as_far_as_the_parent_has_the_shapes() -> None:
    assert refit_share(tiny(), tiny()) == 1.0
    assert refit_share(tiny("stage1.depth=1", "stage2.depth=2"), tiny()) == 1.0
    assert 0.3 < refit_share(tiny("merge1.width=16"), tiny()) < 0.9
    assert refit_share(tiny("stem.width=8", "merge1.width=16"), tiny()) == 0.0


def test_what_no_refit_can_fit_is_fine_tuned_for_longer(context: Context) -> None:
    at(context, 300.0)
    whole, narrow = trial(seconds=6.2), trial(seconds=6.2)
    narrow = replace(narrow, document=tiny("stem.width=8", "merge1.width=16").to_json())
    lengths = [lengthen_that_fits(context, [each]) or 0.0 for each in (whole, narrow)]
    assert lengths[0] < lengths[1]
    given = in_time(context, narrow, 3.0, [])
    assert given is not None
    assert given.refit_s == 0.0


def test_of_unknown_speed_they_share_it_evenly(context: Context) -> None:
    left = at(context, 300.0)
    first = in_time(context, trial(), 3.0, [trial(), trial()])
    assert first is not None
    assert first.seconds == pytest.approx(left / 3)


def test_without_a_limit_there_is_no_deadline(context: Context) -> None:
    assert in_time(context, trial(seconds=6.2), 3.0, []) is None


def test_nearly_all_of_the_time_is_planned_for(context: Context) -> None:
    left = at(context, 300.0)
    finalists = [trial(seconds=6.2), trial(seconds=6.2)]
    lengthen = lengthen_that_fits(context, finalists)
    assert lengthen is not None
    planned = sum(longer_s(context, each, lengthen) for each in finalists)
    half_an_epoch = 2 * 0.1 * 50
    assert SHIPPED.inheritance.finish_share * left - half_an_epoch <= planned <= SHIPPED.inheritance.finish_share * left


def test_a_length_that_was_planned_holds_on_though_a_training_was_shortened(context: Context) -> None:
    at(context, 590.0)
    short = Training(epochs=4.3, planned_epochs=6.0, steps=430, parent="a" * 64)
    context.records.append(Trial(0, "hash", {}, 1, 1, rung="train_longer", training=short))
    assert lengthen_that_fits(context, [trial(seconds=6.2)]) == 6.0

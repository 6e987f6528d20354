"""A network judged in one pass: its loss, batch norm measured again, and samples that are too small."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from archdsl.deriving.score import least_images, score
from archdsl.errors import WrongUse
from tests.support.heirs import pictures, tiny, trained

IMAGES = pictures(64, side=32)
LABELS = torch.arange(64) % 4


def test_the_loss_is_that_of_the_network_whose_batch_norm_was_measured() -> None:
    model = trained(tiny())
    found = score(model, IMAGES, LABELS)
    measured = model.merge1.norm.running_mean.clone()  # type: ignore[union-attr, operator]
    with torch.no_grad():
        loss = float(F.cross_entropy(model(IMAGES), LABELS))
    assert found.loss == pytest.approx(loss, rel=1e-3)  # the running variance is divided by one image less
    assert score(model, IMAGES, LABELS) == found
    assert torch.equal(model.merge1.norm.running_mean, measured)  # type: ignore[union-attr, arg-type]
    assert (found.images, found.classes, model.training) == (64, 4, False)
    assert found.is_at_chance == (found.loss >= 0.95 * math.log(4))


def test_other_weights_stay_and_batches_do_not_matter_much() -> None:
    model = trained(tiny())
    before = {name: value.clone() for name, value in model.named_parameters()}
    assert score(model, IMAGES, LABELS, batch=32).loss == pytest.approx(score(model, IMAGES, LABELS).loss, rel=0.05)
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_a_sample_that_is_too_small_is_refused_with_the_number_that_is_needed() -> None:
    assert (least_images(4), least_images(100)) == (64, 400)
    with pytest.raises(WrongUse, match="score needs at least 64 images for 4 classes; got 63"):
        score(trained(tiny()), IMAGES[:63], LABELS[:63])


def test_labels_that_do_not_belong_to_the_images_are_refused() -> None:
    model = trained(tiny())
    with pytest.raises(WrongUse, match="a label for each of 64 images"):
        score(model, IMAGES, LABELS[:60])
    with pytest.raises(WrongUse, match="labels must be from 0 to 3; got 0 to 4"):
        score(model, IMAGES, LABELS + (LABELS == 3))
    with pytest.raises(WrongUse, match="needs a classifier"):
        score(trained(tiny(), features_only=True), IMAGES, LABELS)

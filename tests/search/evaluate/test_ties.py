"""Which networks are told apart by their answers, and which accuracy is better than chance."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from archdsl.search.evaluate.kept_weights import KeptWeights, Seeds, beats_chance, indistinguishable
from archdsl.search.evaluate.trainings import SeedTraining


def kept_weights(answers: list[bool], fidelity: str = "6 epochs", held_out: float | None = None) -> KeptWeights:
    accuracy = sum(answers) / max(len(answers), 1)
    error = math.sqrt(accuracy * (1 - accuracy) / max(len(answers), 1))
    return KeptWeights(
        path=Path("weights"),
        seed=0,
        validation_accuracy=accuracy,
        validation_images=len(answers),
        validation_error=error,
        held_out_accuracy=held_out,
        held_out_images=0 if held_out is None else 100,
        held_out_error=None if held_out is None else math.sqrt(held_out * (1 - held_out) / 100),
        fidelity=fidelity,
        epochs=6.0,
        answers=tuple(answers),
        per_class={"validation": {"a": (1, 4), "b": (3, 3)}, "held_out": None},
        trained_seeds=Seeds(1, accuracy, accuracy, accuracy),
    )


def answers(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Of two networks: so many images named rightly by both, by one of them alone, and by none."""
    left = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return left, other


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0, 0, True),  # equal answers
        (4, 0, True),  # 4 <= 2 * 2
        (5, 0, False),  # 5 > 2 * 2.24
        (60, 40, True),  # 20 <= 2 * 10
        (61, 39, False),  # 22 > 20
        (40, 60, True),
        (39, 61, False),
    ],
)
def test_two_networks_are_told_apart_by_the_images_on_which_they_differ(
    first: int, second: int, expected: bool
) -> None:
    left, other = answers(300, first, second, 100)
    assert indistinguishable(kept_weights(left), kept_weights(other)) is expected
    short = SeedTraining(0, 6.0, "6 epochs", 0.5, tuple(other), is_longer=True)
    assert indistinguishable(kept_weights(left), short) is expected


def test_networks_that_were_trained_unequally_long_or_have_no_answers_are_no_tie() -> None:
    left, other = answers(300, 3, 3, 100)
    assert not indistinguishable(kept_weights(left), kept_weights(other, "2 epochs"))
    assert not indistinguishable(kept_weights(left), kept_weights(other[:-1]))
    assert not indistinguishable(kept_weights([]), kept_weights([]))


def test_an_accuracy_is_better_than_chance_if_it_is_two_standard_errors_above() -> None:
    even = kept_weights([True] * 50 + [False] * 50)  # 0.5, error 0.05
    assert beats_chance(even, 0.399)
    assert not beats_chance(even, 0.401)
    assert not beats_chance(kept_weights([True] * 90 + [False] * 10, held_out=0.5), 0.401)  # the held-out one counts
    assert beats_chance(kept_weights([True] * 10 + [False] * 90, held_out=0.5), 0.399)
    assert not beats_chance(kept_weights([False] * 100), 0.0)


def test_balanced_accuracy_is_the_mean_of_the_classes_recalls() -> None:
    assert kept_weights([True]).balanced_accuracy == {"validation": pytest.approx((0.25 + 1.0) / 2), "held_out": None}

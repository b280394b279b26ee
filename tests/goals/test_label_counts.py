"""Overlap of label histograms, and what blind guesses get of it."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from vfljax import goals
from vfljax.attacks import CountInference
from vfljax.goals.label_counts import guessed_overlap, overlap


def judged(counts, labels, classes, info=()):
    fields: dict[str, Any] = {"counts": np.array(counts), "scores": np.array(counts)}
    answer = CountInference(**fields, finite=np.array(True), info=info)  # pyright: ignore
    truth = goals.Truth(np.array(labels), np.array([]), np.array([]), classes)
    return goals.LABEL_COUNTS.score(answer, truth, False)


def test_by_hand():
    """True counts 3, 1, 0, 0: two of four labels overlap; presence is right twice."""
    scored = judged([2, 0, 2, 0], [0, 0, 0, 1], 4)
    assert scored["attack_accuracy"] == 0.5
    assert scored["presence_accuracy"] == 0.5
    assert scored["count_accuracy"] == 0.25


def test_symmetric_bounded_and_one_for_equal_counts_alone():
    generator = np.random.default_rng(0)
    for _ in range(200):
        a, b = generator.multinomial(7, [0.5, 0.2, 0.2, 0.1], size=2)
        assert overlap(a, b) == overlap(b, a)
        assert 0 <= overlap(a, b) <= 1
        assert (overlap(a, b) == 1) == (a == b).all()


def test_too_many_labels_do_not_help():
    assert overlap(np.array([4, 4]), np.array([2, 2])) == 0.5


@pytest.mark.parametrize("true", [(8, 0, 0), (3, 3, 2), (1, 0, 0, 0), (20, 10, 2)])
def test_guesses_are_what_guesses_get(true):
    generator, total = np.random.default_rng(1), sum(true)
    guesses = generator.multinomial(total, np.full(len(true), 1 / len(true)), 20_000)
    rates = np.minimum(guesses, true).sum(axis=1) / total
    error = rates.std() / np.sqrt(len(rates))
    assert abs(rates.mean() - guessed_overlap(true)) < 4 * error + 1e-9


def test_published_random_guess():
    """Of uniform batches, ten classes: .44 for 8 labels, .69 for 32, .85 for 128."""
    generator = np.random.default_rng(2)
    for size, rate in ((8, 0.44), (32, 0.69), (128, 0.85)):
        batches = generator.multinomial(size, np.full(10, 0.1), 300)
        mean = np.mean([guessed_overlap(tuple(map(int, true))) for true in batches])
        assert abs(mean - rate) < 0.02


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"counts.shape of the attack's answer=\(3,\)"):
        judged([1, 1, 1], [0, 1], 4)


class _Sums(NamedTuple):
    raw: np.ndarray
    corrected: np.ndarray


def test_evidence_for_signs_and_sizes_by_hand():
    """Counts 3, 1, 0, 0. Two sums are negative, one of a class that is there."""
    info = _Sums(np.array([-3.0, 0.5, -0.5, 3.0]), np.array([-3.0, -1.0, 0.0, 0.0]))
    scored = judged([3, 1, 0, 0], [0, 0, 0, 1], 4, info)
    assert scored["negative_present"] == 0.5
    assert scored["present_negative"] == 0.5
    assert scored["corrected_explained"] == pytest.approx(1.0)
    expected = np.corrcoef([-3.0, 0.5, -0.5, 3.0], [3, 1, 0, 0])[0, 1] ** 2
    assert scored["raw_explained"] == pytest.approx(expected)


def test_evidence_is_not_there_where_it_means_nothing():
    info = _Sums(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    scored = judged([1, 1], [0, 1], 2, info)
    assert scored["negative_present"] is None
    assert scored["raw_explained"] is None

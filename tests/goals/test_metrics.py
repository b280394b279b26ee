"""Accuracies, shared information, what chance gives of each, and ranked classes."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import (
    f1_score,
    normalized_mutual_info_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from vfljax import metrics


def test_accuracy_counts_no_answer_as_wrong():
    labels, truth = jnp.array([2, -1, 0, 1]), jnp.array([2, 1, 0, 0])
    assert metrics.accuracy(labels, truth) == 0.5


@pytest.mark.parametrize(
    ("counts", "expected"), [([1, 2, 1], 0.5), ([3, 3], 0.5), ([30, 10, 0], 0.75)]
)
def test_chance_is_the_most_frequent_class(counts, expected):
    assert metrics.chance_accuracy(jnp.array(counts)) == expected


def test_confusion_by_hand():
    truth = np.array([0, 0, 0, 1, 2, 2])
    labels = np.array([1, 1, -1, 0, 2, 0])
    np.testing.assert_array_equal(
        metrics.confusion(labels, truth, num_classes=4),
        [[0, 2, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]],
    )


@pytest.mark.parametrize(
    ("truth", "labels", "expected"),
    [
        # Three of class 0 are called 1, and all the others 0 but one.
        ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 2], 5 / 6),
        # Counts [[3, 2], [3, 0]]: 2 + 3 of eight; taking the largest first gives 3 + 0.
        ([0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0, 0], 5 / 8),
        # One name for two classes stands for one of them.
        ([0, 0, 1, 1], [2, 2, 2, 2], 1 / 2),
        # No answer is no name.
        ([0, 0, 1, 1], [-1, -1, 0, 0], 1 / 2),
        ([0, 1, 2], [-1, -1, -1], 0.0),
    ],
)
def test_matched_accuracy_by_hand(truth, labels, expected):
    matched = metrics.matched_accuracy(np.array(labels), np.array(truth), 3)
    assert matched == pytest.approx(expected)


def test_permuted_truth_is_all_wrong_and_all_found():
    truth = np.random.default_rng(0).integers(0, 5, 80)
    labels = np.array([3, 0, 4, 1, 2])[truth]
    assert metrics.accuracy(jnp.array(labels), jnp.array(truth)) == 0.0
    assert metrics.matched_accuracy(labels, truth, 5) == 1.0
    assert metrics.mutual_information(labels, truth, 5) == pytest.approx(1.0)


def test_names_do_not_matter_and_matching_never_loses():
    rng = np.random.default_rng(1)
    for _ in range(20):
        truth, labels = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
        matched = metrics.matched_accuracy(labels, truth, 6)
        shared = metrics.mutual_information(labels, truth, 6)
        assert np.mean(labels == truth) <= matched <= 1
        renamed = rng.permutation(6)[labels], rng.permutation(6)[truth]
        assert metrics.matched_accuracy(*renamed, 6) == pytest.approx(matched)
        assert metrics.mutual_information(*renamed, 6) == pytest.approx(shared)


@pytest.mark.parametrize("seed", range(5))
def test_mutual_information_is_scikit_learn_s(seed):
    """From labels that know nothing to those that know nearly all, some unanswered."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 7, 300)
    labels = np.where(rng.random(300) < seed / 5, truth, rng.integers(-1, 7, 300))
    assert metrics.mutual_information(labels, truth, 7) == pytest.approx(
        normalized_mutual_info_score(truth, labels), abs=1e-12
    )


@pytest.mark.parametrize("truth", [[0] * 40, [2] * 40, [0, 1, 1, 2] * 10])
@pytest.mark.parametrize("labels", [[0] * 40, [-1] * 40, [2, 2, 0, 1] * 10])
def test_mutual_information_of_constants_is_scikit_learn_s(truth, labels):
    assert metrics.mutual_information(
        np.array(labels), np.array(truth), 3
    ) == pytest.approx(normalized_mutual_info_score(truth, labels), abs=1e-12)


def test_mutual_information_by_hand():
    """Half the samples of both classes answered, and answered rightly.

    H(truth) = log 2, H(labels) = (3/2) log 2 with a half −1, and log 2 / 2 are shared:
    2 · (1/2) / (1 + 3/2).
    """
    truth, labels = np.array([0, 0, 1, 1]), np.array([0, -1, 1, -1])
    shared = metrics.mutual_information(labels, truth, 2)
    assert shared == pytest.approx(0.4)


def test_chance_of_a_known_case():
    """B = 512, C = 10: the best of all renamings gives a blind guess about 16 %."""
    truth = np.random.default_rng(2).integers(0, 10, 512)
    levels = metrics.chance_levels(truth, 10)
    assert levels.matched_accuracy == pytest.approx(0.16, abs=0.01)
    assert 0.01 < levels.mutual_information < 0.05


def test_chance_falls_with_the_size_of_the_batch():
    rng = np.random.default_rng(3)
    levels = [metrics.chance_levels(rng.integers(0, 5, n), 5) for n in (8, 64, 512)]
    for of_smaller, of_larger in itertools.pairwise(levels):
        assert of_smaller.matched_accuracy > of_larger.matched_accuracy + 0.02
        assert of_smaller.mutual_information > of_larger.mutual_information + 0.02
    assert levels[-1].matched_accuracy > 1 / 5


@pytest.mark.parametrize("num_classes", [2, 10])
def test_blind_guesses_stay_within_chance(num_classes):
    """Other guesses than those that the levels are from, on average."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, num_classes, 128)
    levels = metrics.chance_levels(truth, num_classes)
    guesses = rng.integers(0, num_classes, (50, 128))
    matched = [metrics.matched_accuracy(guess, truth, num_classes) for guess in guesses]
    shared = [
        metrics.mutual_information(guess, truth, num_classes) for guess in guesses
    ]
    assert np.mean(matched) < levels.matched_accuracy + 0.02
    assert np.mean(shared) == pytest.approx(levels.mutual_information, abs=0.01)


def test_always_naming_one_class_is_chance_too():
    """Nine tenths of the batch are of one class."""
    truth = np.array([1] * 90 + [0] * 10)
    assert metrics.chance_levels(truth, 2).matched_accuracy == 0.9
    assert metrics.matched_accuracy(np.zeros(100, int), truth, 2) == 0.9


def test_chance_has_a_seed():
    truth = np.arange(30) % 3
    assert metrics.chance_levels(truth, 3) == metrics.chance_levels(truth, 3)
    assert metrics.chance_levels(truth, 3) != metrics.chance_levels(truth, 3, seed=1)


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        # Pairs (positive, negative): .8 beats .1 and .5, .3 beats .1: three of four.
        ([0.1, 0.3, 0.5, 0.8], [0, 1, 0, 1], 3 / 4),
        # .5 ties with .5 and beats .1: one and a half of two.
        ([0.5, 0.1, 0.5], [0, 0, 1], 3 / 4),
        ([0.2, 0.2, 0.2, 0.2, 0.2], [1, 0, 0, 1, 0], 1 / 2),
        ([1.0, 2.0, np.inf], [1, 0, 0], 0.0),
        ([-np.inf, 2.0, 3.0], [0, 1, 1], 1.0),
    ],
)
def test_auc_by_hand(scores, truth, expected):
    assert metrics.auc(np.array(scores), np.array(truth)) == pytest.approx(expected)


@pytest.mark.parametrize("levels", [3, 10**6])
def test_auc_is_scikit_learn_s(levels):
    """Three levels make nearly all pairs of equal scores ties."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        truth = (rng.random(60) < 0.2).astype(int)
        truth[:2] = 0, 1
        scores = rng.integers(0, levels, 60) + 0.5 * levels * truth
        expected = roc_auc_score(truth, scores)
        assert metrics.auc(scores, truth) == pytest.approx(expected, abs=1e-12)
        assert metrics.auc(-scores, truth) == pytest.approx(1 - expected, abs=1e-12)


def test_auc_without_an_answer_is_nan():
    assert np.isnan(metrics.auc(np.ones(3), np.zeros(3, int)))
    assert np.isnan(metrics.auc(np.ones(3), np.ones(3, int)))
    assert np.isnan(metrics.auc(np.array([np.nan, 1.0, 2.0]), np.array([0, 1, 0])))


def test_top_k_accuracy_by_hand():
    """The class is first, second, third, first among equals, last among equals, and in
    a row that is no answer.
    """
    scores = jnp.array(
        [
            [3.0, 2.0, 1.0],
            [3.0, 2.0, 1.0],
            [3.0, 2.0, 1.0],
            [1.0, 1.0, 1.0],
            [1.0, 1.0, 1.0],
            [3.0, 2.0, jnp.nan],
        ]
    )
    truth = jnp.array([0, 1, 2, 0, 2, 0])
    for k, hits in ((1, 2), (2, 3), (3, 5)):
        found = metrics.top_k_accuracy(scores, truth, k)
        assert float(found) == pytest.approx(hits / 6)


def test_top_1_is_the_accuracy_of_the_arg_max():
    """Scores of few levels, so that many tie."""
    rng = np.random.default_rng(6)
    scores = jnp.asarray(rng.integers(0, 3, (200, 7)).astype(np.float32))
    truth = jnp.asarray(rng.integers(0, 7, 200))
    expected = metrics.accuracy(jnp.argmax(scores, axis=1), truth)
    assert metrics.top_k_accuracy(scores, truth, 1) == expected


@pytest.mark.parametrize("k", [1, 5, 19])
def test_top_k_accuracy_is_scikit_learn_s(k):
    rng = np.random.default_rng(7)
    scores = rng.normal(size=(300, 20)).astype(np.float32)
    truth = rng.integers(0, 20, 300)
    expected = top_k_accuracy_score(truth, scores, k=k, labels=np.arange(20))
    found = metrics.top_k_accuracy(jnp.asarray(scores), jnp.asarray(truth), k)
    assert float(found) == pytest.approx(float(expected))


@pytest.mark.parametrize("k", [0, 4])
def test_top_k_needs_that_many_classes(k):
    with pytest.raises(ValueError, match=rf"k={k}: must be in \[1, 3\]"):
        metrics.top_k_accuracy(jnp.ones((2, 3)), jnp.zeros(2, int), k)


@pytest.mark.parametrize("positive", [0, 1, 2])
def test_f1_is_scikit_learn_s(positive):
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 3, 100)
    labels = np.where(rng.random(100) < 0.5, truth, rng.integers(-1, 3, 100))
    expected = f1_score(truth == positive, labels == positive)
    assert metrics.f1(labels, truth, positive) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("labels", "truth", "expected"),
    [
        # One hit, precision 1/2, recall 1/3: 2 · (1/6) / (5/6).
        ([1, 1, 0, -1, 0], [1, 0, 1, 1, 0], 2 / 5),
        ([0, 0], [1, 1], 0.0),
        ([1, 1], [0, 0], 0.0),
        ([0, 0], [0, 0], 0.0),
    ],
)
def test_f1_by_hand(labels, truth, expected):
    found = metrics.f1(np.array(labels), np.array(truth))
    assert found == pytest.approx(expected)


def test_fu_batch_f1_by_hand():
    """Batches of four, four and two.

    1. Named 0, 1; positive 0, 2: precision 1/2, recall 1/2.
    2. None named, so all are; positive 4: precision 1/4, recall 1.
    3. Named 8; none is positive: precision 0, recall 0.
    With weights .4, .4, .2: precision .3, recall .6, F1 = .36 / .9 = .4. The standard
    one counts one hit, three named and three positive: 1/3.
    """
    truth = np.concatenate([[1, 0, 1, 0], [1, 0, 0, 0], [0, 0]])
    labels = np.concatenate([[1, 1, 0, 0], [0, -1, 0, 0], [1, 0]])
    assert metrics.fu_batch_f1(labels, truth, 4) == pytest.approx(0.4)
    assert metrics.f1(labels, truth) == pytest.approx(1 / 3)


def test_fu_batch_f1_takes_never_for_always():
    truth = (np.random.default_rng(9).random(64) < 0.3).astype(int)
    never, always = np.zeros(64, int), np.ones(64, int)
    assert metrics.fu_batch_f1(never, truth, 16) == metrics.fu_batch_f1(
        always, truth, 16
    )
    assert metrics.fu_batch_f1(never, truth, 64) == pytest.approx(
        metrics.f1(always, truth)
    )
    assert metrics.fu_batch_f1(always, np.zeros(64, int), 16) == 0.0


def test_fu_batch_f1_of_one_batch_is_f1():
    rng = np.random.default_rng(10)
    truth, labels = rng.integers(0, 2, 50), rng.integers(0, 2, 50)
    expected = pytest.approx(metrics.f1(labels, truth))
    assert metrics.fu_batch_f1(labels, truth, 50) == expected
    assert metrics.fu_batch_f1(labels, truth, 1000) == expected


def test_fu_batch_f1_needs_batches():
    with pytest.raises(ValueError, match="batch_size=0: must be >= 1"):
        metrics.fu_batch_f1(np.array([1]), np.array([1]), 0)

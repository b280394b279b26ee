"""How answers are judged: every goal that is exported, and each by hand."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import goals
from vfljax.attacks import (
    CompletionInfo,
    CountInference,
    Inference,
    MembershipInference,
    RoundInference,
)
from vfljax.goals import ALL_LABELS, BACKDOOR, LABELS, Truth


def answer(labels, *, scores=None, published=None, info=()):
    """One trial's, in host memory."""
    labels = np.asarray(labels)
    fields: dict[str, Any] = {
        "labels": labels,
        "scores": np.zeros((len(labels), 3)) if scores is None else scores,
        "finite": np.array(True),
        "published_labels": published,
        "info": info,
    }
    return Inference(**fields)


def counts(numbers):
    """Counts of one trial, in host memory."""
    fields: dict[str, Any] = {
        "counts": np.array(numbers),
        "scores": np.array(numbers, float),
        "finite": np.array(True),
    }
    return CountInference(**fields)


def completion(ranks, other_ranks):
    """What completion attacks say of their epochs."""
    fields: dict[str, Any] = {
        "ranks": np.array(ranks),
        "other_ranks": np.array(other_ranks),
        "losses": np.zeros(len(ranks)),
    }
    return CompletionInfo(**fields)


def truth(labels: Any, *, is_known=None, num_classes=3, **others):
    labels = np.asarray(labels)
    return Truth(
        labels=labels,
        test_labels=others.pop("test_labels", np.zeros(0, int)),
        is_known=np.zeros(len(labels), bool) if is_known is None else is_known,
        num_classes=num_classes,
        **others,
    )


class _Samples(NamedTuple):
    """What an attack says of every sample."""

    labels: np.ndarray
    embeddings: np.ndarray
    certified: np.ndarray


TRUE_EMBEDDINGS = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])


def samples(labels, embeddings, certified=(True, True, True)):
    """Samples of one trial, in host memory; the counts follow from the labels."""
    labels = np.array(labels)
    info = _Samples(labels, np.array(embeddings), np.array(certified))
    found = np.bincount(labels[labels >= 0], minlength=3)
    return counts(found)._replace(info=info)


def rounds(scores, numbers):
    """Scores and counts of rounds, in host memory."""
    fields: dict[str, Any] = {"scores": np.array(scores), "counts": np.array(numbers)}
    return RoundInference(**fields, finite=jnp.array(True))


def members(called):
    """Answers about records, in host memory."""
    fields: dict[str, Any] = {"is_member": np.array(called)}
    return MembershipInference(**fields, finite=jnp.array(True))


class Example(NamedTuple):
    """A right answer and what a goal is judged by."""

    answer: Any
    truth: Truth
    nothing: Any


RANKS = np.array([[[0, 1, 2], [1, 0, 2]], [[0, 1, 2], [2, 0, 1]]])
EXAMPLES = {
    "LABELS": Example(answer([0, 2, 1]), truth([0, 2, 1]), answer([-1, -1, -1])),
    "ALL_LABELS": Example(
        answer([0, 2], info=completion(RANKS, RANKS)),
        truth([0, 2], test_labels=np.array([0, 2])),
        answer([-1, -1], info=completion(RANKS, RANKS)),
    ),
    "BACKDOOR": Example(
        answer([1, 1]),
        truth([0, 2], facts={"target": np.array(1), "without": np.array([0, 2])}),
        answer([-1, -1]),
    ),
    "SAMPLES": Example(
        samples([1, 0, 0], TRUE_EMBEDDINGS[[2, 0, 1]]),
        truth([0, 0, 1], facts={"head_inputs": TRUE_EMBEDDINGS}),
        samples([-1, -1, -1], np.full((3, 2), np.nan), (False, False, False)),
    ),
    "PROPERTY": Example(
        rounds([1.2, 0.7, -0.1], [4.0, 2.0, 0.0]),
        truth([4, 2, 0], facts={"batch_size": 4}),
        rounds([np.nan] * 3, [np.nan] * 3),
    ),
    "MEMBERSHIP": Example(members([True, True]), truth([1, 1]), members([False] * 2)),
    "LABEL_COUNTS": Example(counts([2, 0, 1]), truth([0, 2, 0]), counts([0, 0, 0])),
}
GOALS = {
    name: value for name, value in vars(goals).items() if isinstance(value, goals.Goal)
}


def test_every_goal_has_an_example():
    assert set(EXAMPLES) == set(GOALS)


@pytest.mark.parametrize("name", GOALS)
def test_rates_of_a_right_answer_are_columns_of_a_row(name):
    """Plain numbers and names, as they are written to a file."""
    goal, example = GOALS[name], EXAMPLES[name]
    assert goal.name == name.lower()
    assert goal.words
    scored = goal.score(example.answer, example.truth, False)
    assert scored["attack_accuracy"] == 1.0
    for column, value in scored.items():
        assert column == column.lower()
        assert value is None or (type(value) is float and 0 <= value <= 1), column


@pytest.mark.parametrize("name", GOALS)
def test_no_answer_never_counts(name):
    goal, example = GOALS[name], EXAMPLES[name]
    assert goal.score(example.nothing, example.truth, False)["attack_accuracy"] == 0.0


def test_labels_by_hand():
    """Known is the first; of the other five 2 are right, 3 by the published readout."""
    found = LABELS.score(
        answer([0, 1, 1, 2, 0, -1], published=np.array([0, 0, 1, 2, 1, 0])),
        truth([0, 0, 1, 2, 1, 2], is_known=np.arange(6) == 0),
        True,
    )
    assert found["attack_accuracy"] == pytest.approx(2 / 5)
    assert found["published_accuracy"] == pytest.approx(4 / 5)
    assert found["auc"] is None
    expected = [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(np.reshape(found["confusion"], (3, 3)), expected)
    assert np.sum(found["published_confusion"]) == 5
    assert found["matched_accuracy"] >= found["attack_accuracy"]


def test_two_classes_are_ranked_by_the_difference_of_scores():
    """Margins .1, .4, .4 and .9 of classes 0, 0, 1 and 1: AUC 7/8."""
    margins = np.array([0.1, 0.4, 0.4, 0.9])
    scores = np.stack([1 - margins, np.ones(4)], axis=1)
    found = LABELS.score(
        answer([1, 1, 1, 1], scores=scores), truth([0, 0, 1, 1], num_classes=2), False
    )
    assert found["auc"] == pytest.approx(0.875)
    assert "confusion" not in found


def test_all_labels_by_hand():
    """Of samples 1 to 3: two right after epoch 0, one after the last; tests 0 and 1."""
    ranks = [[[0, 1], [1, 0], [0, 1], [1, 0]], [[1, 0], [0, 1], [1, 0], [1, 0]]]
    tests = [[[0, 1], [0, 1]], [[0, 1], [1, 0]]]
    labels = np.array(ranks)[-1, :, 0]
    found = ALL_LABELS.score(
        answer(labels, scores=np.eye(2)[labels], info=completion(ranks, tests)),
        truth(
            [0, 1, 0, 0],
            is_known=np.arange(4) == 0,
            num_classes=2,
            test_labels=np.array([1, 1]),
        ),
        False,
    )
    assert found["attack_accuracy"] == 0.0
    assert found["best_attack_accuracy"] == pytest.approx(2 / 3)
    assert found["test_attack_accuracy"] == 0.5
    assert found["best_test_attack_accuracy"] == 0.0
    # The best epoch names classes 1, 0 and 1 for 1, 0 and 0: one hit of two named.
    assert found["best_attack_f1"] == pytest.approx(2 / 3)
    assert found["attack_f1"] == 0.0
    assert found["best_attack_fu_batch_f1"] == pytest.approx(2 / 3)
    assert "attack_top5" not in found


def test_five_of_many_classes():
    """The class is third, sixth and first: two of three among the first five."""
    order = np.tile(np.arange(7), (1, 3, 1))[:, :, :5]
    found = ALL_LABELS.score(
        answer(
            [0, 0, 0], scores=np.zeros((3, 7)), info=completion(order, order[:, :0])
        ),
        truth([2, 5, 0], num_classes=7),
        False,
    )
    assert found["attack_top5"] == found["best_attack_top5"] == pytest.approx(2 / 3)
    assert found["attack_accuracy"] == pytest.approx(1 / 3)
    assert not any(column.startswith("test_") for column in found)


def test_an_answer_without_epochs_has_the_rates_of_all_attacks():
    right = answer([0, 2, 1])
    assert ALL_LABELS.score(right, truth([0, 2, 1]), False) == LABELS.score(
        right, truth([0, 2, 1]), False
    )


FACTS = {
    "target": np.array(2),
    "poisoned": np.array([3, 0, 1]),
    "without": np.array([2, 0, 2, -1]),
}


def test_backdoor_by_hand():
    """True classes 0, 1, 2 and 1: of three others 2 follow the trigger, 1 anyhow."""
    found = BACKDOOR.score(
        answer([2, 2, 2, 0]), truth([0, 1, 2, 1], facts=FACTS), False
    )
    assert found == {
        "attack_accuracy": pytest.approx(2 / 3),
        "published_accuracy": 0.75,
        "chance_accuracy": pytest.approx(1 / 3),
        "inferred_accuracy": None,
    }


def test_labels_inferred_beforehand_are_judged_by_those_of_the_training_set():
    """Samples 3, 0 and 1 are of classes 2, 0 and 1: 2 and 1 of 3 are right."""
    facts = FACTS | {"inferred": jnp.array([[2, 0, -1], [2, 1, 0]])}
    judged = truth([0, 1, 2, 1], facts=facts)
    judged = judged._replace(train_labels=np.array([0, 1, 1, 2]))
    found = BACKDOOR.score(answer([0, 0, 0, 0]), judged, False)
    assert found["inferred_accuracy"] == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="train_labels=None: must be there"):
        BACKDOOR.score(answer([0] * 4), judged._replace(train_labels=None), False)


def test_all_of_the_target_class_already():
    facts = FACTS | {"without": np.array([2, 2])}
    found = BACKDOOR.score(answer([2, 2]), truth([2, 2], facts=facts), False)
    assert (found["attack_accuracy"], found["chance_accuracy"]) == (0.0, 0.0)
    assert found["published_accuracy"] == 1.0


def test_samples_by_hand():
    """The first is right, the second has another label, the third another embedding."""
    found = goals.SAMPLES.score(
        samples([0, 2, 1], [[1.0, 0.001], [0.0, 2.0], [1.0, 1.1]], (True, True, False)),
        truth([0, 0, 1], facts={"head_inputs": TRUE_EMBEDDINGS}),
        False,
    )
    assert found["recovered_accuracy"] == pytest.approx(1 / 3)
    assert found["certified_share"] == pytest.approx(2 / 3)
    assert found["wrongly_certified"] == pytest.approx(1 / 3)
    assert found["attack_accuracy"] == pytest.approx(2 / 3)


def test_an_answer_counts_for_one_sample():
    """Two samples alike, of which one was found: half of them."""
    twice = np.ones((2, 2))
    answer = samples([0, 2], [[1.0, 1.0], [9.0, 9.0]], (True, False))
    found = goals.SAMPLES.score(
        answer, truth([0, 0], facts={"head_inputs": twice}), False
    )
    assert found["recovered_accuracy"] == 0.5

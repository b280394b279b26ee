"""Properties of rounds and memberships of records, judged by hand."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.attacks import MembershipInference, RoundInference
from vfljax.goals import MEMBERSHIP, PROPERTY, Truth


def truth_of(labels, **facts):
    nothing = np.zeros(0, int)
    return Truth(np.array(labels), nothing, nothing.astype(bool), 2, facts)


def rounds(scores, counts):
    fields: dict[str, Any] = {"scores": np.array(scores), "counts": np.array(counts)}
    return RoundInference(**fields, finite=jnp.array(True))


def members(called):
    fields: dict[str, Any] = {"is_member": np.array(called)}
    return MembershipInference(**fields, finite=jnp.array(True))


def test_rounds_by_hand():
    """Of two rounds with the property one is above .5, of three others two are not.

    Five of six pairs are in order. Errors of counts are 0, 2, 1, 0, 2 of 4 samples; the
    mean count is 8/5, from which the true ones are 8/5 (thrice) and 12/5 (twice) away.
    """
    answer = rounds([0.9, 0.4, 0.3, 0.6, 0.1], [4.0, 2.0, 1.0, 0.0, 2.0])
    scored = PROPERTY.score(answer, truth_of([4, 4, 0, 0, 0], batch_size=4), True)
    assert scored["attack_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scored["chance_accuracy"] == 0.5
    assert scored["auc"] == pytest.approx(5 / 6)
    assert scored["mean_score"] == pytest.approx(2.3 / 5)
    assert scored["count_error"] == pytest.approx(5 / 5 / 4)
    chance = (3 * 8 / 5 + 2 * 12 / 5) / 5 / 4
    assert scored["count_error_chance"] == pytest.approx(chance)
    assert scored["score_series"] == [0.9, 0.4, 0.3, 0.6, 0.1]
    assert scored["count_series"] == [4.0, 2.0, 1.0, 0.0, 2.0]
    assert scored["true_series"] == [4, 4, 0, 0, 0]


def test_a_method_that_does_not_count_has_no_error_of_counts():
    answer = rounds([0.9, 0.4], [np.nan, np.nan])
    scored = PROPERTY.score(answer, truth_of([4, 0], batch_size=4), True)
    assert scored["count_error"] is scored["count_error_chance"] is None
    assert scored["count_series"] is None
    assert "score_series" not in PROPERTY.score(
        answer, truth_of([4, 0], batch_size=4), False
    )


def test_rounds_that_are_all_alike_have_no_auc():
    """Three of four with the property score above .5."""
    answer = rounds([0.9, 0.6, 0.7, 0.2], [4.0, 4.0, 4.0, 4.0])
    scored = PROPERTY.score(answer, truth_of([4] * 4, batch_size=4), False)
    assert scored["auc"] is None
    assert scored["attack_accuracy"] == 0.75
    assert scored["count_error"] == scored["count_error_chance"] == 0.0


def test_a_round_without_an_answer_is_told_wrongly():
    answer = rounds([0.9, np.nan], [4.0, np.nan])
    scored = PROPERTY.score(answer, truth_of([4, 0], batch_size=4), True)
    assert scored["attack_accuracy"] == 0.5
    assert scored["count_error"] == 0.5
    assert scored["score_series"] == [0.9, None]


def test_memberships_by_hand():
    """Four called members, three rightly; of four members three are found."""
    answer = members([True, True, True, False, True, False])
    scored = MEMBERSHIP.score(answer, truth_of([1, 1, 1, 1, 0, 0]), False)
    assert scored["precision"] == scored["recall"] == 0.75
    assert scored["chance_precision"] == scored["chance_accuracy"] == 4 / 6
    assert scored["attack_accuracy"] == 4 / 6


def test_nobody_called_a_member_has_no_precision():
    answer = members([False] * 3)
    scored = MEMBERSHIP.score(answer, truth_of([1, 0, 0]), False)
    assert scored["precision"] is None
    assert scored["recall"] == 0.0
    assert scored["attack_accuracy"] == pytest.approx(2 / 3)
    assert scored["chance_accuracy"] == pytest.approx(2 / 3)


def test_answers_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"scores.shape .*\(2,\)"):
        PROPERTY.score(rounds([0.1], [1.0]), truth_of([1, 0], batch_size=4), False)
    answer = members([False])
    with pytest.raises(ValueError, match=r"is_member.shape .*\(2,\)"):
        MEMBERSHIP.score(answer, truth_of([1, 0]), False)

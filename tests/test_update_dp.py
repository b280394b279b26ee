"""Accounts of updates beside dp_accounting, cases by hand, and what must not happen."""

import math

import dp_accounting
import numpy as np
import pytest
import scipy.stats
from dp_accounting import dp_event, rdp
from dp_accounting.pld import privacy_loss_distribution

from vfljax.update_dp import (
    Draws,
    drawn_from_all,
    drawn_with_replacement,
    epsilon_of_sums,
    most_rounds,
    participant_epsilon,
    record_epsilon,
)

DELTA = 1e-5


def test_one_round_of_all_by_hand():
    """Vectors 1 apart: δ(ε) = Φ(1/2 − ε) − e^ε Φ(−1/2 − ε), at z = 2."""
    epsilon = participant_epsilon(2.0, 1, 1.0, DELTA)
    normal = scipy.stats.norm.cdf
    found = normal(0.5 - epsilon) - math.exp(epsilon) * normal(-0.5 - epsilon)
    assert found == pytest.approx(DELTA, rel=1e-6)
    assert epsilon == pytest.approx(dp_accounting.get_epsilon_gaussian(1.0, DELTA))


def test_rounds_of_all_are_one_round_with_less_noise():
    """16 rounds at z are one at z/4."""
    many, one = (participant_epsilon(z, n, 1.0, DELTA) for z, n in ((8, 16), (2, 1)))
    assert many == pytest.approx(one)


def test_one_round_of_some_is_the_sampled_gaussian_mechanism():
    """Exact: with another participant in its place for sure, a tenth is distinguished
    as by dp_accounting, with vectors 2/z apart.
    """
    reference = privacy_loss_distribution.from_gaussian_mechanism(
        1.0, sampling_prob=0.1
    )
    expected = reference.get_epsilon_for_delta(DELTA)
    assert participant_epsilon(2.0, 1, 0.1, DELTA) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("noise", "rounds", "chosen", "total"),
    [(2.0, 100, 10, 100), (1.0, 1000, 5, 500), (8.0, 300, 10, 30)],
)
def test_training_is_between_a_lower_bound_and_renyi_accounting(
    noise, rounds, chosen, total
):
    """The lower one composes the worst pair of one round; the upper one is that of
    sampling without replacement (Wang, Balle, Kasiviswanathan 2019).
    """
    found = participant_epsilon(noise, rounds, chosen / total, DELTA)
    pair = privacy_loss_distribution.from_gaussian_mechanism(
        noise / 2, sampling_prob=chosen / total
    )
    lower = pair.self_compose(rounds).get_epsilon_for_delta(DELTA)
    account = rdp.RdpAccountant(
        neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE
    )
    one = dp_event.GaussianDpEvent(noise / 2)
    account.compose(
        dp_event.SampledWithoutReplacementDpEvent(total, chosen, one), rounds
    )
    assert lower * (1 - 1e-3) <= found < account.get_epsilon(DELTA)
    assert found < 1.3 * lower


def test_records_are_between_a_lower_bound_and_twice_that():
    """All other gradients oppose that of the record: shifts of 2k with k of it."""
    chances = drawn_with_replacement(1, 4, 200).chances
    pair = privacy_loss_distribution.from_mixture_gaussian_mechanism(
        4.0,
        [2.0 * times for times in range(5)],
        [1 - sum(chances), *chances],
        value_discretization_interval=1e-3,
    )
    lower = pair.self_compose(200).get_epsilon_for_delta(DELTA)
    found = record_epsilon(4.0, 200, 4, 200, DELTA)
    assert lower * (1 - 1e-2) <= found < 2 * lower


def test_drawing_with_replacement_is_that_of_the_binomial_distribution():
    """Of the two records of a batch, each is the one of four with chance 1/4."""
    assert drawn_with_replacement(1, 2, 4).chances == pytest.approx((6 / 16, 1 / 16))
    once = drawn_with_replacement(1, 1, 20)
    assert once.chances == pytest.approx(drawn_from_all(1, 0.05).chances)
    assert record_epsilon(2.0, 50, 1, 20, DELTA) == pytest.approx(
        participant_epsilon(2.0, 50, 0.05, DELTA)
    )


def test_different_sums_add_up():
    drawn, sure = drawn_from_all(1000, 0.01), Draws(3)
    both = epsilon_of_sums(2.0, [drawn, sure], DELTA)
    parts = [epsilon_of_sums(2.0, [each], DELTA / 2) for each in (drawn, sure)]
    alone = [epsilon_of_sums(2.0, [each], DELTA) for each in (drawn, sure)]
    assert max(alone) < both < sum(parts)


def test_more_noise_fewer_rounds_and_fewer_drawn_protect_better():
    base = participant_epsilon(2.0, 100, 0.1, DELTA)
    assert participant_epsilon(4.0, 100, 0.1, DELTA) < 0.6 * base
    assert participant_epsilon(2.0, 50, 0.1, DELTA) < base
    assert participant_epsilon(2.0, 100, 0.05, DELTA) < base
    assert base < 0.5 * participant_epsilon(2.0, 100, 1.0, DELTA)


def test_the_ends():
    assert participant_epsilon(0.0, 10, 0.5, DELTA) == math.inf
    assert participant_epsilon(0.01, 10, 0.5, DELTA) == math.inf  # above 100
    assert participant_epsilon(1.0, 0, 0.5, DELTA) == 0.0
    assert participant_epsilon(1e9, 10, 0.5, DELTA) < 1e-3
    nearly_all = participant_epsilon(2.0, 4, 1 - 1e-9, DELTA)
    assert nearly_all == pytest.approx(participant_epsilon(2.0, 4, 1.0, DELTA), 1e-3)


def test_most_rounds_are_exceeded_by_nearly_none():
    number = most_rounds(100, 0.1)
    beyond = scipy.stats.binom.sf(np.array([number, number - 1]), 100, 0.1)
    assert beyond[0] <= 1e-9 < beyond[1]
    assert most_rounds(0, 0.1) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: participant_epsilon(-1.0, 1, 1.0, DELTA), "noise_multiplier=-1.0"),
        (lambda: participant_epsilon(1.0, 1, 0.0, DELTA), r"share=0.0: must be in \(0"),
        (lambda: participant_epsilon(1.0, 1, 1.0, 1.0), r"delta=1.0: must be in \(0"),
        (lambda: record_epsilon(1.0, 1, 0, 9, DELTA), "batch_size=0: must be in"),
        (lambda: record_epsilon(1.0, 1, 1, 0, DELTA), "num_records=0: must be in"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

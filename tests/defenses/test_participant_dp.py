"""ParticipantDP by hand: the clip, the noise of one update and of a mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax.defenses import (
    Chain,
    DPGaussian,
    ExampleClipping,
    ParticipantDP,
    PerTensor,
    Signs,
    UpdateReleases,
    check_for_messages,
    participant_dp,
    update_shapes,
)
from vfljax.update_dp import participant_epsilon, record_epsilon

ZERO = {"a": jnp.zeros((100, 90)), "b": jnp.zeros(1000)}
RELEASES = UpdateReleases(
    rounds=100,
    attacked_rounds=0,
    participants=10,
    share=0.1,
    seen=10,
    are_equal=True,
    local_steps=2,
    attacked_steps=2,
    batch_size=8,
    attacked_batch_size=None,
    records=400,
    has_statistics=False,
)
SPENT = 1e-5 - 1e-9  # of delta, but for who is in more rounds than are accounted for


def sent_by(defense, number, update=ZERO):
    """Updates of so many participants, stacked, as rows."""
    keys = jax.random.split(jax.random.key(3), number)
    sent, _ = jax.vmap(lambda key: defense.perturb_update(key, (), update))(keys)
    leaves = [leaf.reshape(number, -1) for leaf in jax.tree.leaves(sent)]
    return np.concatenate(leaves, axis=1)


def test_the_whole_update_is_clipped():
    """A vector of norm 5 in two tensors, and one that is short enough."""
    defense = ParticipantDP(clip_norm=1.0).at(0.0, update_shapes(ZERO))
    update = {"a": jnp.array([3.0]), "b": jnp.array([[4.0]])}
    sent, _ = defense.perturb_update(jax.random.key(0), (), update)
    np.testing.assert_allclose([sent["a"][0], sent["b"][0, 0]], [0.6, 0.8], rtol=1e-6)
    short = {"a": jnp.array([0.3]), "b": jnp.array([[0.4]])}
    sent, _ = defense.perturb_update(jax.random.key(0), (), short)
    np.testing.assert_array_equal(sent["a"], short["a"])


def test_a_mean_has_the_central_noise_and_no_other():
    """z = 1.5, S = 2, M = 25: one update has z·S/5 = 0.6, the mean z·S/25 = 0.12."""
    shapes = update_shapes(ZERO, participants=25)
    defense = ParticipantDP(clip_norm=2.0, noise_multiplier=1.5).at(1.5, shapes)
    sent = sent_by(defense, 25)
    for entries, std in ((sent[0], 0.6), (sent.mean(axis=0), 0.12)):
        normal = scipy.stats.norm(scale=std).cdf
        assert scipy.stats.kstest(entries, normal).pvalue > 0.01
        assert scipy.stats.kstest(entries / 1.1, normal).pvalue < 1e-4


def test_how_many_participants_there_are_must_be_known():
    with pytest.raises(ValueError, match="num_participants=None: must be >= 1"):
        ParticipantDP(noise_multiplier=1.0).perturb_update(jax.random.key(0), (), ZERO)
    with pytest.raises(ValueError, match="num_participants=0: must be >= 1"):
        ParticipantDP(num_participants=0)
    with pytest.raises(ValueError, match=r"clip_norm=inf: must be in \(0, inf\)"):
        ParticipantDP(clip_norm=float("inf"))
    with pytest.raises(ValueError, match="acts on updates of horizontal"):
        check_for_messages("defenses.x", ParticipantDP())
    own = participant_dp(1.0, num_participants=4)
    assert own.at(1.0, update_shapes(ZERO, participants=25)) == own


# ---- what it guarantees --------------------------------------------------------------
def budget_of(defense, **changes):
    return defense.update_budget(RELEASES._replace(**changes))


def test_who_sees_the_mean_faces_the_central_mechanism():
    found = budget_of(participant_dp(4.0, num_participants=10))
    expected = participant_epsilon(4.0, 100, 0.1, SPENT)
    assert found.protects == "a participant"
    assert found.epsilon == pytest.approx(expected)
    assert found.words.startswith(f"ε = {expected:.3g} (δ = 1e-05) for a participant")
    assert "10 % of the participants in each" in found.words
    assert "Properties that several share are not bounded" in found.words


def test_who_sees_single_updates_is_told_more():
    """By hand: with 1/√10 of the noise, in 32 rounds at most, and no secret drawing."""
    found = budget_of(participant_dp(40.0, num_participants=10), seen=1)
    expected = participant_epsilon(40.0 / np.sqrt(10), 32, 1.0, SPENT)
    assert found.epsilon == pytest.approx(expected)
    assert "32 rounds at most, of 100" in found.words
    assert (
        found.epsilon > 5 * budget_of(participant_dp(40.0, num_participants=10)).epsilon
    )


def test_a_participant_that_looks_subtracts_its_own_noise():
    found = budget_of(participant_dp(4.0, num_participants=10), seen=9)
    expected = participant_epsilon(4.0 * np.sqrt(0.9), 100, 0.1, SPENT)
    assert found.epsilon == pytest.approx(expected)


def test_attacked_rounds_count_and_nobody_is_drawn_there():
    defense, alone = (
        participant_dp(4.0, num_participants=10),
        participant_epsilon(4.0, 2, 1.0, SPENT),
    )
    found = budget_of(defense, rounds=0, attacked_rounds=2)
    assert found.epsilon == pytest.approx(alone)
    both = budget_of(defense, attacked_rounds=2)
    assert both.epsilon > max(alone, budget_of(defense).epsilon)
    assert f"which alone has {alone:.3g}" in both.words


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"has_statistics": True}, "running statistics of the network are sent"),
        ({"are_equal": False}, "shares of the aggregate differ"),
    ],
)
def test_where_nothing_is_guaranteed_it_is_said(changes, reason):
    found = budget_of(participant_dp(4.0, num_participants=10), **changes)
    assert found.epsilon == float("inf")
    assert found.words.startswith(f"No guarantee: {reason}")


def test_records_are_protected_in_all_steps_of_their_participant():
    """In 32 rounds of two steps at most."""
    found = budget_of(ExampleClipping(noise_multiplier=4.0))
    assert found.protects == "a record"
    expected = record_epsilon(4.0, 64, 8, 400, SPENT)
    assert found.epsilon == pytest.approx(expected)
    assert "64 local steps with 8 of 400 records" in found.words


def test_an_attacked_batch_by_label_has_the_record_in_it():
    """By hand: vectors 2/z apart in each of two steps; from own rows it is drawn."""
    defense = ExampleClipping(noise_multiplier=4.0)
    by_label = budget_of(defense, rounds=0, attacked_rounds=1)
    expected = participant_epsilon(4.0, 2, 1.0, SPENT)
    assert by_label.epsilon == pytest.approx(expected)
    own = budget_of(defense, rounds=0, attacked_rounds=1, attacked_batch_size=8)
    assert own.epsilon == pytest.approx(record_epsilon(4.0, 2, 8, 400, SPENT))
    assert own.epsilon < 0.5 * by_label.epsilon


def test_chains():
    """What follows works on single updates, what comes before is clipped with them."""
    noised = participant_dp(4.0, num_participants=10)
    single = budget_of(noised, seen=1)
    assert budget_of(Chain(Signs(), noised)) == budget_of(noised)
    assert budget_of(Chain(noised, Signs())) == single
    steps = ExampleClipping(noise_multiplier=4.0)
    assert budget_of(Chain(steps, Signs())) == budget_of(steps)
    assert budget_of(Chain(steps, noised)) == budget_of(steps)
    assert budget_of(PerTensor(of=noised)) is None
    assert budget_of(Chain(Signs(), DPGaussian(noise_std=1.0))) is None

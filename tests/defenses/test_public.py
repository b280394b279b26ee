"""What is known of a perturbation, what it guarantees, and records that are swept."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses, label_dp
from vfljax.defenses import (
    CAE,
    PPDL,
    Chain,
    Defense,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    GradientCompression,
    Isotropic,
    Marvell,
    MaxNorm,
    NoDefense,
    Releases,
    Shapes,
    Sparsification,
    check_defense,
)

SWAP = defenses.Autoencoder(codebook=jnp.eye(2)[::-1], decoder={})


def send(record, message, labels, strength=None, prepared=(), seed=0):
    """The message as it is sent, at the record's first strength if none is said."""
    shapes = Shapes(
        num_samples=len(message), batch_size=len(message), embed=message.shape[1]
    )
    strength = record.strengths[0] if strength is None else strength
    defense = record.at(strength, shapes, prepared)
    perturb = jax.jit(defense.perturb)
    rows = jnp.arange(len(message))
    return perturb(jax.random.key(seed), defense.init(), message, labels, rows)[0]


@pytest.mark.parametrize(
    ("record", "field", "expected"),
    [
        (DPGaussian(noise_std=0.5), "noise_std", 4.0),
        (DPLaplace(noise=0.5), "noise_std", 4.0),
        (DPLaplace(noise=0.5, reading="released"), "noise_std", 4 * 2**0.5),
        (Sparsification(keep_fraction=0.25), "keep_fraction", 0.25),
        (GradientCompression(keep_fraction=0.25), "keep_fraction", 0.25),
        (PPDL(release_fraction=0.5, bound=0.3), "replaced_by", 0.3),
        (PPDL(release_fraction=0.5), "noise_std", 0.4),
        (DiscreteSGD(bins=4), "noise_std", 0.4 / 12**0.5),
        (DiscreteSGD(bins=4, reading="released", bound=1.0), "noise_std", 4 / 12**0.5),
        (Marvell(power=8.0), "noise_std", 4.0),
        (MaxNorm(share=0.5), "noise_std", 0.5 * 0.24**0.5),
        (Isotropic(ratio=0.5), "noise_std", 0.5 * 0.4**0.5),
    ],
)
def test_public_by_hand(record, field, expected):
    """B = 8 and C = 5: entries of an untrained message deviate by √(.8/5) = .4.

    Of 4 bins of 4 · .4 each is .4 wide, or 2 · 8 · 1 / 4 = 4 wide as released.
    """
    known = record.public(8, 5)
    assert float(known.get(field)) == pytest.approx(expected)
    rest = {"noise_std": 0.0, "keep_fraction": 1.0, "replaced_by": 0.0}
    assert rest == {name: NoDefense().public(8, 5).get(name) for name in rest}
    if not isinstance(record, PPDL):
        assert all(known.get(name) == rest[name] for name in rest if name != field)


@pytest.mark.parametrize("exhausted", ["raw", "zero"])
def test_what_ppdl_puts_in_place_of_entries_is_public(exhausted):
    record = PPDL(release_fraction=0.25, exhausted=exhausted)
    sent = send(record, jnp.full((8, 5), 0.01), jnp.zeros(8, int))
    size = np.float32(record.public(8, 5).replaced_by)
    assert set(np.abs(np.asarray(sent)).ravel()) == {np.float32(0.0), size}


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_noise_of_max_norm_is_public(strength):
    """Rows as long as an untrained model's of four classes, and a longest one of √2."""
    directions = jax.random.normal(jax.random.key(1), (4000, 4))
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    lengths = jnp.full((4000, 1), 0.75**0.5).at[0].set(2**0.5)
    message = lengths * directions / 4000
    record = MaxNorm(share=strength)
    noise = 4000 * np.asarray(send(record, message, jnp.zeros(4000, int)) - message)
    expected = record.public(4000, 4).noise_std
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(expected, rel=0.05)


# What shapes and preparation fill in.


def test_memory_has_the_shape_of_what_is_remembered():
    shapes = Shapes(num_samples=50, batch_size=8, embed=3)
    by_sample = Sparsification().at(0.1, shapes)
    assert by_sample.init().shape == (50, 3)
    assert Sparsification(residual="by_row").at(0.1, shapes).init().shape == (8, 3)
    assert Sparsification(residual="none").at(0.1, shapes).init() == ()
    assert (by_sample.remembers_rows, by_sample.strengths) == (False, (0.1,))
    assert Sparsification(residual="by_row").remembers_rows
    own = Sparsification(memory_shape=(60, 3)).at(0.1, shapes)
    assert own.init().shape == (60, 3)


def test_marvell_takes_any_width_under_a_top_model():
    summed = Shapes(num_samples=9, batch_size=9, embed=2)
    record = Marvell(power=(1.0, 2.0))
    assert (record.keeps_zero_sum, record.only_classes) == (True, 2)
    assert record.at(2.0, summed) == Marvell(power=2.0)
    assert record.at(2.0, summed._replace(sums_logits=False)).keeps_zero_sum is False
    assert not Marvell(zero_sum=False).at(1.0, summed).needs_zero_sum


def test_laplace_says_what_its_strength_is():
    assert DPLaplace().strength_name == "noise_std"
    assert DPLaplace(reading="released").strength_name == "noise_scale"
    assert DPGaussian().strength_name == "noise_std"
    assert (NoDefense().strength_name, NoDefense().strengths) == (None, (None,))


def test_a_field_with_a_tuple_is_the_swept_axis():
    """Of a user's defense, without another word."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Scale(Defense):
        factor: float | tuple[float, ...] = (0.5, 2.0)
        words: tuple[str, ...] = ("a", "b")

        def perturb(self, key, state, gradients, labels, sample_ids):
            return self.factor * gradients, state

    assert (Scale().strength_name, Scale().strengths) == ("factor", (0.5, 2.0))
    np.testing.assert_array_equal(
        send(Scale(), jnp.ones((3, 2)), jnp.zeros(3, int), strength=2.0), 2.0
    )
    assert (Scale(factor=3.0).strengths, Scale(factor=3.0).is_sweep) == ((None,), False)


# Budgets.


def test_budget_of_noise_is_that_of_label_dp():
    """B = 32, σ = .05, ten releases: one number per message and one for all."""
    noise = DPGaussian(noise_std=0.05, covers_label_party=True)
    found = noise.budget(32, 3, Releases(number=10, batch_size=32))
    assert found is not None
    expected = label_dp.label_budget(
        "gaussian", 0.05, batch_size=32, num_classes=3, clip_norm=0.2, num_releases=10
    )
    assert found[0] == expected
    assert "over 10 messages about the same sample" in found[1]


def test_budget_without_cover_is_that_of_one_message():
    found = DPGaussian(noise_std=0.05).budget(32, 3, Releases(10, batch_size=32))
    assert found is not None
    assert found[0].epsilon == pytest.approx(found[0].epsilon_training)
    assert "Over training nothing is guaranteed" in found[1]


def test_budget_of_training_in_other_batches():
    """√2/B is a quarter of that in batches of 8, and so is ε, nearly."""
    noise = DPLaplace(noise=0.1, clip_norm=math.inf, covers_label_party=True)
    found = noise.budget(32, 3, Releases(1, batch_size=8))
    alone = noise.budget(8, 3, Releases(1, batch_size=8))
    assert found is not None
    assert alone is not None
    assert found[0].epsilon == pytest.approx(2 / 32 / (0.1 / 2**0.5))
    assert found[0].epsilon_training == alone[0].epsilon_training
    assert "Batches of the training have 8 samples." in found[1]


def test_one_factor_for_the_whole_batch_guarantees_nothing_where_it_acts():
    noise = DPGaussian(noise_std=0.05, reading="released")
    found = noise.budget(2, 3, Releases(1, batch_size=2))
    assert found is not None
    assert found[0].epsilon == found[0].epsilon_training == math.inf
    assert found[1].startswith("No guarantee: the clip at 0.2 acts on rows as long")
    assert MaxNorm().budget(2, 3, Releases(1, batch_size=2)) is None


# Chains.


def test_a_chain_of_code_and_rounding_prepares_its_code():
    """Prepared at the code's place; the rounding has the strengths, or the code."""
    chain = Chain(CAE(entropy_weight=0.5, seeds=(3, 4)), DiscreteSGD(bins=(6, 12)))
    assert (chain.strengths, chain.strength_name) == ((6, 12), "bins")
    assert (chain.keeps_zero_sum, chain.drops_entries) == (False, False)
    assert [chain.choice(12, trial) for trial in (0, 1, 2)] == [0, 1, 0]
    dcae = Chain(CAE(entropy_weight=(0.5, 1.0), seeds=(3, 4)), DiscreteSGD(bins=12))
    assert (dcae.strengths, dcae.strength_name) == ((0.5, 1.0), "entropy_weight")
    assert [dcae.choice(1.0, trial) for trial in (0, 1, 2)] == [2, 3, 2]
    shapes = Shapes(num_samples=8, batch_size=8, embed=2)
    at = chain.at(12, shapes, (SWAP, ())), dcae.at(0.5, shapes, (SWAP, ()))
    for defense in at:
        assert not defense.is_sweep
        np.testing.assert_array_equal(
            defense.encode_labels(jnp.eye(2)), jnp.eye(2)[::-1]
        )
        public = defense.public(8, 2).noise_std
        assert public == pytest.approx(DiscreteSGD(bins=12).public(8, 2).noise_std)
    message = jax.random.normal(jax.random.key(0), (8, 2))
    args = (message, jnp.zeros(8, int))
    np.testing.assert_array_equal(
        send(chain, *args, strength=12, prepared=(SWAP, ())),
        send(dcae, *args, prepared=(SWAP, ())),
    )


def test_the_axis_of_a_chain():
    """Several strengths before a tuple of one, before a number, before nothing."""
    alone, one = DPGaussian(noise_std=0.1), DPGaussian(noise_std=(0.1,))
    assert Chain(alone, DiscreteSGD(bins=12)).strengths == (12,)
    assert Chain(one, DiscreteSGD(bins=12)).strengths == (0.1,)
    assert Chain(one, DiscreteSGD(bins=(12,))).strengths == (12,)
    assert Chain(one, DiscreteSGD()).strengths == (24, 18, 12, 6)
    assert Chain(DiscreteSGD(), one).strengths == (24, 18, 12, 6)
    assert Chain(alone, NoDefense()).strength_name == "noise_std"
    assert Chain(NoDefense()).strengths == (None,)
    nested = Chain(NoDefense(), Chain(alone, DiscreteSGD()))
    assert (nested.strength_name, nested.is_sweep) == ("bins", True)
    shapes = Shapes(num_samples=1, batch_size=1, embed=2)
    assert nested.at(6, shapes) == Chain(NoDefense(), Chain(alone, DiscreteSGD(bins=6)))
    twice = Chain(alone, alone).at(0.3, shapes)
    assert twice == Chain(alone, DPGaussian(noise_std=0.3))
    assert dataclasses.replace(twice, parts=(alone,)) == Chain(alone)


def test_a_chain_prepares_its_parts():
    """Without an autoencoder there is nothing to wait for."""
    preparing = Chain(NoDefense(), DPGaussian()).prepare(10)
    with pytest.raises(StopIteration) as stop:
        next(preparing)
    assert stop.value.value == ((), ())


def test_a_chain_sends_what_its_parts_send_one_by_one():
    """Two of eight entries are kept, and then all rounded to one of three levels."""
    chain = Chain(Sparsification(keep_fraction=0.25), DiscreteSGD(bins=2))
    message = jnp.arange(1.0, 9.0).reshape(4, 2)
    sent = send(chain, message, jnp.zeros(4, int))
    kept = jnp.where(message >= 7.0, message, 0.0)
    rounded = send(DiscreteSGD(bins=2), kept, jnp.zeros(4, int))
    np.testing.assert_allclose(sent, rounded, rtol=1e-6)
    assert (chain.keeps_zero_sum, chain.drops_entries) == (False, True)
    known = chain.public(4, 2)
    assert known.noise_std == pytest.approx(DiscreteSGD(bins=2).public(4, 2).noise_std)
    assert (known.keep_fraction, known.replaced_by) == (0.25, 0.0)


def test_what_acts_on_noise_keeps_its_guarantee_and_what_acts_before_has_none():
    releases = Releases(number=1, batch_size=32)
    noise = DPLaplace(noise=0.05, covers_label_party=True)
    after = Chain(noise, DiscreteSGD(bins=12))
    assert after.budget(32, 3, releases) == noise.budget(32, 3, releases)
    assert after.covers_label_party
    before = Chain(Sparsification(keep_fraction=0.5), noise)
    assert before.budget(32, 3, releases) is None


def test_noise_of_a_chain_adds_up():
    """By hand: 10 · √(.3² + .4²) = 5."""
    chain = Chain(DPGaussian(noise_std=0.3), DPGaussian(noise_std=0.4))
    assert chain.public(10, 3).noise_std == pytest.approx(5.0)


def test_limits_of_the_parts_are_those_of_the_chain():
    assert Chain(Marvell(power=1.0), NoDefense()).only_classes == 2
    assert Chain(NoDefense()).only_classes is None
    by_row = Sparsification(keep_fraction=0.5, residual="by_row")
    assert Chain(by_row, DiscreteSGD()).remembers_rows
    assert not Chain(DiscreteSGD()).remembers_rows


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((DPGaussian(), DiscreteSGD()), r"numbers \[0, 1\] have several strengths"),
        ((DiscreteSGD(bins=6), CAE()), "number 1 encodes labels after another"),
        ((DPGaussian(noise_std=0.1), Marvell()), "number 1 relies on rows that sum"),
    ],
)
def test_chains_that_make_no_sense(parts, message):
    with pytest.raises(ValueError, match=message):
        Chain(*parts)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            MaxNorm,
            r"defenses.x: is the class MaxNorm, must be an instance: MaxNorm\(\)",
        ),
        (send, "is the function 'send', must be a record"),
        (0.5, "is 0.5, must be an instance of vfljax.defenses.Defense"),
    ],
)
def test_what_is_no_defense_is_told_what_is_missing(value, message):
    check_defense("defenses.x", MaxNorm())
    with pytest.raises(ValueError, match=message):
        check_defense("defenses.x", value)

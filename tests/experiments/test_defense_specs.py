"""What specs say about a defense, beside what the defense does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vfljax.experiments.base_spec import Public, Releases, Shapes

from vfljax import defenses
from vfljax.experiments import (
    CAE,
    DCAE,
    PPDL,
    Chain,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    Experiment,
    Marvell,
    MaxNorm,
    NoDefense,
    Sparsification,
    Training,
)

SWAP = defenses.Autoencoder(codebook=jnp.eye(2)[::-1], decoder={})


def send(spec, message, labels, strength=None, trained=(), seed=0):
    """The message as the spec's defense sends it, at its first strength if not said."""
    shapes = Shapes(
        num_samples=len(message), batch_size=len(message), num_classes=message.shape[1]
    )
    strength = spec.strengths[0] if strength is None else strength
    defense = spec.make(strength, shapes, trained)
    perturb = jax.jit(defense.perturb)
    rows = jnp.arange(len(message))
    return perturb(jax.random.key(seed), defense.init(), message, labels, rows)[0]


@pytest.mark.parametrize("exhausted", ["raw", "zero"])
def test_what_ppdl_puts_in_place_of_entries_is_public(exhausted):
    spec = PPDL(strengths=(0.25,), exhausted=exhausted)
    sent = send(spec, jnp.full((8, 5), 0.01), jnp.zeros(8, int))
    size = np.float32(spec.public(0.25, 8, 5).replaced_by)
    assert set(np.abs(np.asarray(sent)).ravel()) == {np.float32(0.0), size}


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_noise_of_max_norm_is_public(strength):
    """Rows as long as an untrained model's of four classes, and a longest one of √2."""
    directions = jax.random.normal(jax.random.key(1), (4000, 4))
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
    lengths = jnp.full((4000, 1), 0.75**0.5).at[0].set(2**0.5)
    message = lengths * directions / 4000
    spec = MaxNorm(strengths=(strength,))
    noise = 4000 * np.asarray(send(spec, message, jnp.zeros(4000, int)) - message)
    expected = spec.public(strength, 4000, 4).noise_std
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(expected, rel=0.05)


def test_a_chain_of_code_and_rounding_is_dcae():
    """Prepared at the code's place; the rounding has the strengths."""
    chain = Chain(
        parts=(CAE(strengths=(0.5,), seeds=(3, 4)), DiscreteSGD(strengths=(6, 12)))
    )
    dcae = DCAE(strengths=(0.5,), seeds=(3, 4), bins=12)
    assert (chain.strengths, chain.strength_name) == ((6, 12), "bins")
    assert chain.facts() == dcae.facts() == (False, False)
    assert chain.public(12, 8, 2) == dcae.public(0.5, 8, 2)
    assert [chain.place(12, trial) for trial in (0, 1, 2)] == [0, 1, 0]
    shapes = Shapes(num_samples=8, batch_size=8, num_classes=2)
    made = (chain.make(12, shapes, (SWAP, ())), dcae.make(0.5, shapes, SWAP))
    codes = [defense.encode_labels(jnp.eye(2)) for defense in made]
    np.testing.assert_array_equal(codes[0], codes[1])
    message = jax.random.normal(jax.random.key(0), (8, 2))
    args = (message, jnp.zeros(8, int))
    np.testing.assert_array_equal(
        send(chain, *args, strength=12, trained=(SWAP, ())),
        send(dcae, *args, trained=SWAP),
    )


def test_a_chain_prepares_its_parts():
    """Without an autoencoder there is nothing to wait for."""
    preparing = Chain(parts=(NoDefense(), DPGaussian())).prepare(10)
    with pytest.raises(StopIteration) as stop:
        next(preparing)
    assert stop.value.value == ((), ())


def test_a_chain_sends_what_its_parts_send_one_by_one():
    """Two of eight entries are kept, and then all rounded to one of three levels."""
    chain = Chain(
        parts=(Sparsification(strengths=(0.25,)), DiscreteSGD(strengths=(2,)))
    )
    message = jnp.arange(1.0, 9.0).reshape(4, 2)
    sent = send(chain, message, jnp.zeros(4, int), trained=((), ()))
    kept = jnp.where(message >= 7.0, message, 0.0)
    rounded = send(DiscreteSGD(strengths=(2,)), kept, jnp.zeros(4, int))
    np.testing.assert_allclose(sent, rounded, rtol=1e-6)
    assert chain.facts() == (False, True)
    alone = DiscreteSGD(strengths=(2,)).public(2, 4, 2)
    assert chain.public(2, 4, 2) == Public(alone.noise_std, keep_fraction=0.25)


def test_what_acts_on_noise_keeps_its_guarantee_and_what_acts_before_has_none():
    releases = Releases(number=1, batch_size=32)
    noise = DPLaplace(strengths=(0.05,), covers_label_party=True)
    after = Chain(parts=(noise, DiscreteSGD()))
    assert after.budget(12, 32, 3, releases) == noise.budget(0.05, 32, 3, releases)
    assert after.covers_label_party
    before = Chain(parts=(Sparsification(strengths=(0.5,)), noise))
    assert before.budget(0.05, 32, 3, releases) is None


def test_noise_of_a_chain_adds_up():
    """By hand: 10 · √(.3² + .4²) = 5."""
    chain = Chain(parts=(DPGaussian(strengths=(0.3,)), DPGaussian(strengths=(0.4,))))
    assert chain.public(0.4, 10, 3).noise_std == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), r"parts=\(\): must be not empty"),
        (
            (DPGaussian(strengths=(0.1, 0.2)), DiscreteSGD()),
            r"parts\[0\].strengths=\(0.1, 0.2\): must be one",
        ),
        ((DiscreteSGD(strengths=(6,)), CAE()), "number 1 encodes labels after another"),
        ((DPGaussian(strengths=(0.1,)), Marvell()), "number 1 relies on rows that sum"),
    ],
)
def test_chains_that_make_no_sense(parts, message):
    with pytest.raises(ValueError, match=message):
        Chain(parts=parts)


def test_limits_of_the_parts_are_those_of_the_chain():
    assert Chain(parts=(Marvell(strengths=(1.0,)), NoDefense())).only_classes == 2
    by_row = Sparsification(strengths=(0.5,), residual="by_row")
    with pytest.raises(ValueError, match=r"defenses.both.residual='by_row'"):
        Experiment(
            name="x",
            training=Training(steps=1, batch_size=8),
            batch_sizes=(9,),
            defenses={"both": Chain(parts=(by_row, DiscreteSGD()))},
        )

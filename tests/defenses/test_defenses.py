"""Each defense against hand-worked messages, its distribution, and bad arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax import defenses


def perturb(defense, message, state=None, ids=None, seed=0):
    message = jnp.asarray(message, jnp.float32)
    state = defense.init() if state is None else state
    ids = jnp.arange(len(message)) if ids is None else jnp.asarray(ids)
    return defense.perturb(jax.random.key(seed), state, message, ids, ids)


@pytest.mark.parametrize(
    ("make", "distribution"),
    [
        (lambda: defenses.dp_gaussian(0.03), scipy.stats.norm(scale=0.03)),
        (lambda: defenses.dp_laplace(0.03), scipy.stats.laplace(scale=0.03 / 2**0.5)),
        (
            lambda: defenses.dp_laplace(0.03, reading="released"),
            scipy.stats.laplace(scale=0.03),
        ),
    ],
)
def test_noise_has_its_distribution_and_no_other(make, distribution):
    noise = np.asarray(perturb(make(), jnp.zeros((500, 40)))[0]).ravel()
    assert scipy.stats.kstest(noise, distribution.cdf).pvalue > 0.01
    wrong = scipy.stats.norm(scale=0.03 * 1.1)
    assert scipy.stats.kstest(noise, wrong.cdf).pvalue < 1e-4


def test_clipping_by_hand():
    """Rows (.3, .4) and (0, .1) have norms .5 and .1; the clip norm is .2."""
    message = [[0.3, 0.4], [0.0, 0.1]]
    paper, _ = perturb(defenses.dp_gaussian(0.0), message)
    np.testing.assert_allclose(paper, [[0.12, 0.16], [0.0, 0.1]], rtol=1e-6)
    released, _ = perturb(defenses.dp_gaussian(0.0, reading="released"), message)
    np.testing.assert_allclose(released, [[0.12, 0.16], [0.0, 0.04]], rtol=1e-6)


def test_published_clip_never_acts_from_8_samples_on():
    message = jnp.tile(jnp.array([[1.0, -1.0, 0.0]]), (8, 1)) / 8
    np.testing.assert_array_equal(
        perturb(defenses.dp_gaussian(0.0), message)[0], message
    )


def test_sparsification_by_hand():
    """Magnitudes 1..6: the half that is kept has those above the median 3.5."""
    message = [[1.0, -5.0, 2.0], [4.0, -3.0, 6.0]]
    sent, _ = perturb(defenses.sparsification(0.5, residual="none"), message)
    np.testing.assert_array_equal(sent, [[0.0, -5.0, 0.0], [4.0, 0.0, 6.0]])


def test_residual_returns_to_the_same_sample():
    defense = defenses.sparsification(0.25, residual="by_sample", memory_shape=(9, 2))
    sent, state = perturb(defense, [[4.0, 1.0], [0.0, 2.0]], ids=[7, 3])
    np.testing.assert_array_equal(sent, [[4.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(state[jnp.array([7, 3])], [[0.0, 1.0], [0.0, 2.0]])
    sent, _ = perturb(defense, [[0.0, 1.5], [0.0, 0.0]], state, ids=[3, 7])
    np.testing.assert_array_equal(sent, [[0.0, 3.5], [0.0, 0.0]])


def test_residual_by_row_goes_to_whoever_sits_there():
    defense = defenses.sparsification(0.25, residual="by_row", memory_shape=(2, 2))
    _, state = perturb(defense, [[4.0, 1.0], [0.0, 2.0]], ids=[7, 3])
    sent, _ = perturb(defense, [[0.0, 0.0], [0.0, 1.0]], state, ids=[5, 6])
    np.testing.assert_array_equal(sent, [[0.0, 0.0], [0.0, 3.0]])


def test_discrete_sgd_by_hand():
    """Entries −3, 1, 1, 1: μ = 0, σ = √3, levels −2√3, 0, 2√3 for two bins.

    −3 is nearest to −2√3 = −3.46 and 1 is nearest to 0.
    """
    sent, _ = perturb(defenses.discrete_sgd(2), [[-3.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(sent, [[-2 * 3**0.5, 0], [0, 0]], atol=1e-6)


def test_discrete_sgd_ends_absorb_the_tails():
    message = np.zeros((50, 2), np.float32)
    message[0, 0] = -100.0
    sent, _ = perturb(defenses.discrete_sgd(12), message)
    assert float(sent.min()) == pytest.approx(
        message.mean() - 2 * message.std(), rel=1e-5
    )


def test_discrete_sgd_released_is_unbounded():
    """Bound .3, W = 6: multiples of .1, however far out."""
    defense = defenses.discrete_sgd(6, reading="released", bound=0.3)
    sent, _ = perturb(defense, [[0.44, -0.16], [7.0, 0.01]])
    np.testing.assert_allclose(sent, [[0.4, -0.2], [7.0, 0.0]], atol=1e-6)


def test_discrete_sgd_of_equal_entries_is_left_alone():
    message = np.full((3, 2), 0.25, np.float32)
    np.testing.assert_array_equal(
        perturb(defenses.discrete_sgd(6), message)[0], message
    )
    zeros = np.zeros((3, 2), np.float32)
    np.testing.assert_array_equal(perturb(defenses.discrete_sgd(6), zeros)[0], zeros)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: defenses.dp_gaussian(-1.0), r"noise_std=-1.0: must be in \[0, inf\]"),
        (lambda: defenses.dp_gaussian(float("nan")), "noise_std=nan"),
        (lambda: defenses.dp_laplace(-1.0), "noise=-1.0"),
        (lambda: defenses.dp_gaussian(0.1, clip_norm=0.0), "clip_norm=0.0"),
        (lambda: defenses.dp_gaussian(0.1, reading="fu"), "paper, released"),
        (lambda: defenses.sparsification(0.0), r"keep_fraction=0.0: must be in \(0, 1"),
        (lambda: defenses.sparsification(1.5), "keep_fraction=1.5"),
        (lambda: defenses.sparsification(0.5, residual="by_row"), "memory_shape=None"),
        (lambda: defenses.sparsification(0.5), "memory_shape=None: needed for"),
        (
            lambda: defenses.sparsification(0.5, residual="none", memory_shape=(2, 2)),
            r"memory_shape=\(2, 2\): needed for .* only then; residual='none'",
        ),
        (lambda: defenses.Sparsification(keep_fraction=0.5).init(), "memory_shape=Non"),
        (lambda: defenses.DPGaussian(noise_std=()), r"noise_std=\(\): must be not emp"),
        (
            lambda: defenses.DPGaussian(noise_std=(0.1, -1.0)),
            r"noise_std=-1.0: must be in \[0, inf\]",
        ),
        (
            lambda: defenses.DPLaplace(noise=(0.1, float("inf"))),
            "noise=inf: must be finite",
        ),
        (
            lambda: defenses.Isotropic(ratio=(0.5, 0.5)),
            r"ratio=\(0.5, 0.5\): must be without repetitions",
        ),
        (lambda: defenses.discrete_sgd(2.5), "bins=2.5: must be a whole number"),
        (lambda: defenses.discrete_sgd(0), "bins=0: must be"),
        (lambda: defenses.discrete_sgd(6, bound=0.0), "bound=0.0"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()

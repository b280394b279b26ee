"""MARVELL: the optimum, the noise it is turned into, and the edge cases."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from vfljax.defenses import Chain, NoDefense, dp_gaussian
from vfljax.defenses.marvell import count_unprotected, marvell, optimal_noise


def divergence(v, u, g, d, along_1, isotropic_1, along_0, isotropic_0):
    """KL both ways of N(Δ, Σ₁ + vI) and N(0, Σ₀ + uI), from eigenvalues, Σ over axes.

    KL(p‖q) = ½ [tr Σq⁻¹Σp − d + log det Σq / det Σp + Δᵀ Σq⁻¹ Δ]; the logarithms
    cancel in the sum of both.
    """
    other = np.array([(isotropic_1 + v) / (isotropic_0 + u)])
    main = np.array([(along_1 + v) / (along_0 + u)])
    ratios = (d - 1) * (other + 1 / other) + main + 1 / main
    shift = g / (along_1 + v) + g / (along_0 + u)
    return ((ratios + shift) / 2 - d).item()


def numerical_optimum(v, u, g, share, power, d):
    """The smallest divergence, from sequential quadratic programming.

    In the logarithms a of λ1₁ + v, λ1₀ + u, λ2₁ + v, λ2₀ + u the divergence is a sum of
    exponentials of linear functions, and so is the power: a convex problem, where any
    local minimum is the minimum. Scaled by g.
    """
    v, u, power = v / g, u / g, power / g
    own = np.array([v, u, v, u])
    weights = np.outer([1, d - 1], [share, 1 - share]).ravel()
    exponents = np.array(
        [
            [1, -1, 0, 0],
            [-1, 1, 0, 0],
            [0, 0, 1, -1],
            [0, 0, -1, 1],
            [-1, 0, 0, 0],
            [0, -1, 0, 0],
        ]
    )
    budget = power + weights @ own
    start = np.log(own + 0.9 * power / (2 * d * max(share, 1 - share)))
    factors = np.array([1, 1, d - 1, d - 1, 1, 1]) / 2
    scale = factors @ np.exp(exponents @ start)  # of the solver's tolerances

    def objective(a):
        terms = factors * np.exp(exponents @ a) / scale
        return terms.sum(), terms @ exponents

    def left(a):
        return np.log(budget) - np.log(weights @ np.exp(a))

    def left_slope(a):
        terms = weights * np.exp(a)
        return -terms / terms.sum()

    # λ1 >= λ2 >= 0, the first of them in the variances as sent.
    wider = np.array([[1.0, 0, -1, 0], [0, 1, 0, -1]])
    solution = scipy.optimize.minimize(
        objective,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(bound, None) for bound in np.log(own)],
        constraints=[
            {"type": "ineq", "fun": left, "jac": left_slope},
            {"type": "ineq", "fun": lambda a: wider @ a, "jac": lambda a: wider},
        ],
        options={"ftol": 1e-14, "maxiter": 300},
    )
    assert left(solution.x) > -1e-9
    assert (wider @ solution.x > -1e-9).all()
    along_1, along_0, isotropic_1, isotropic_0 = np.exp(solution.x) - own
    return divergence(v, u, 1.0, d, along_1, isotropic_1, along_0, isotropic_0)


def instances(seed, count):
    """Variances, squared distance, positive share and power over several decades."""
    draw = np.random.default_rng(seed)
    g, share = 10 ** draw.uniform(-3, 1, count), draw.uniform(0.05, 0.95, count)
    v, u = g * 10 ** draw.uniform(-3, 1, (2, count))
    return v, u, g, share, g * 10 ** draw.uniform(-2, 1, count)


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_is_the_optimum(d):
    """50 instances each, in float64; about half have the wider positive class."""
    arguments = instances(d, 50)
    with jax.enable_x64(True):
        levels = jax.jit(jax.vmap(lambda *a: optimal_noise(*a, dimension=d)))(
            *(jnp.asarray(argument) for argument in arguments)
        )
        levels = jax.tree.map(np.asarray, levels)
    assert levels.sum_kl.dtype == np.float64
    for place, (v, u, g, share, power) in enumerate(zip(*arguments, strict=True)):
        level = jax.tree.map(lambda leaf, place=place: leaf[place], levels)
        along_1, isotropic_1 = level.along_positive, level.isotropic_positive
        along_0, isotropic_0 = level.along_negative, level.isotropic_negative
        assert along_1 >= isotropic_1 * (1 - 1e-12) >= 0
        assert along_0 >= isotropic_0 * (1 - 1e-12) >= 0
        assert (isotropic_1 if u <= v else isotropic_0) == 0
        used = share * (along_1 + (d - 1) * isotropic_1)
        used += (1 - share) * (along_0 + (d - 1) * isotropic_0)
        assert used == pytest.approx(power, rel=1e-12)
        said = divergence(v, u, g, d, along_1, isotropic_1, along_0, isotropic_0)
        assert level.sum_kl == pytest.approx(said, rel=1e-9, abs=1e-12)
        best = numerical_optimum(v, u, g, share, power, d)
        assert level.sum_kl == pytest.approx(best, rel=1e-6)


def test_optimum_by_hand():
    """One dimension, no variance, g = 1, π = 1/5, P = .28.

    E = √((.28 + .8)/(.28 + .2)) = 1.5, hence λ1₀ = .28/(.2·1.5 + .8) = .28/1.1 and
    λ1₁ = .42/1.1; the divergence is ½ (1.5 + 1/1.5 − 2 + 1.1/.28 + 1.1/.42) = 3.357143.
    Exchanging the classes exchanges the answers; without variance the dimension does
    not matter.
    """
    for d in (1, 7):
        levels = optimal_noise(0.0, 0.0, 1.0, 0.2, 0.28, dimension=d)
        expected = [0.42 / 1.1, 0.28 / 1.1, 0.0, 0.0, 3.357143]
        np.testing.assert_allclose(levels, expected, rtol=1e-6)
        levels = optimal_noise(0.0, 0.0, 1.0, 0.8, 0.28, dimension=d)
        expected = [0.28 / 1.1, 0.42 / 1.1, 0.0, 0.0, 3.357143]
        np.testing.assert_allclose(levels, expected, rtol=1e-6)


def test_equal_variances_need_noise_along_the_means_alone():
    levels = optimal_noise(0.3, 0.3, 2.0, 0.4, 1.0, dimension=6)
    assert levels.isotropic_positive == levels.isotropic_negative == 0
    assert 0.4 * levels.along_positive + 0.6 * levels.along_negative == pytest.approx(1)


@pytest.mark.parametrize("d", [1, 4])
def test_no_power_and_no_distance_are_no_noise(d):
    """What is left is the divergence of the messages, with u = v/4 and g = v.

    Each direction gives ½ (4 + ¼) − 1, and the distance ½ (g/v + g/u) = ½ (1 + 4).
    """
    levels = optimal_noise(0.4, 0.1, 0.4, 0.3, 0.0, dimension=d)
    assert all(level == 0 for level in levels[:4])
    assert levels.sum_kl == pytest.approx((4.25 * d + 5) / 2 - d)
    levels = optimal_noise(0.4, 0.1, 0.0, 0.3, 0.7, dimension=d)
    assert all(level == 0 for level in levels[:4])
    assert levels.sum_kl == pytest.approx(4.25 * d / 2 - d)
    assert optimal_noise(0.0, 0.0, 0.0, 0.3, 0.7, dimension=d).sum_kl == 0
    assert optimal_noise(0.0, 0.0, 1.0, 0.3, 0.0, dimension=d).sum_kl == jnp.inf


def test_float32_and_small_messages():
    """Scaled by the square of 1e-6, the levels scale and the divergence does not."""
    arguments = [
        jnp.asarray(argument, jnp.float32)
        for argument in (*instances(3, 20), np.full(20, 1.0))
    ]

    def solve(v, u, g, share, power, scale):
        return optimal_noise(
            scale * v, scale * u, scale * g, share, scale * power, dimension=3
        )

    solve = jax.jit(jax.vmap(solve))
    levels = solve(*arguments)
    with jax.enable_x64(True):
        exact = solve(*(jnp.asarray(np.asarray(a, np.float64)) for a in arguments))
    small = solve(*arguments[:-1], jnp.full(20, 1e-12))
    np.testing.assert_allclose(levels.sum_kl, exact.sum_kl, rtol=1e-4)
    np.testing.assert_allclose(small.sum_kl, levels.sum_kl, rtol=1e-4)
    for mine, theirs in zip(small[:4], levels[:4], strict=True):
        assert mine.dtype == jnp.float32
        # The optimum is flat: √ε of float32 in the levels, of the power.
        np.testing.assert_allclose(
            1e12 * mine / arguments[4], theirs / arguments[4], atol=5e-3
        )


def gaussian_classes(rows=(4000, 2500), spread=(0.5, 1.0), seed=0):
    """Negative and positive rows of given spreads about 0 and (2, −1, .5), / 2048."""
    draw = np.random.default_rng(seed)
    mean = np.array([2.0, -1.0, 0.5])
    message = np.concatenate(
        [
            spread[0] * draw.normal(size=(rows[0], 3)),
            spread[1] * draw.normal(size=(rows[1], 3)) + mean,
        ]
    )
    labels = np.repeat([0, 1], rows)
    order = draw.permutation(len(labels))
    return jnp.asarray(message[order] / 2048, jnp.float32), jnp.asarray(labels[order])


def two_logits(rows=(4000, 2500), seed=0):
    """Rows (−t, t) with t < 0 for positive samples: gradients of two logits."""
    draw = np.random.default_rng(seed)
    labels = np.repeat([0, 1], rows)
    probability = scipy.special.expit(draw.normal(size=len(labels)))
    t = (probability - labels) / len(labels)
    return jnp.asarray(np.stack([-t, t], 1), jnp.float32), jnp.asarray(labels)


def perturb(defense, message, labels, state=None, seed=0):
    state = defense.init() if state is None else state
    return defense.perturb(
        jax.random.key(seed), state, message, labels, jnp.arange(len(labels))
    )


def is_normal(values, variance):
    return scipy.stats.kstest(values, scipy.stats.norm(scale=variance**0.5).cdf).pvalue


@pytest.mark.parametrize("positive_label", [0, 1])
def test_noise_has_the_covariance_of_the_optimum_and_no_other(positive_label):
    """Along Δ λ1, across it λ2, for each class; means and variances by NumPy."""
    message, labels = gaussian_classes()
    labels = labels if positive_label else 1 - labels
    sent, _ = perturb(marvell(2.0, zero_sum=False), message, labels)
    noise = np.asarray(sent - message, np.float64)
    classes = [np.asarray(message)[np.asarray(labels) == label] for label in (1, 0)]
    delta = classes[0].mean(0) - classes[1].mean(0)
    variance_1, variance_0 = (rows.var(axis=0).mean() for rows in classes)
    levels = optimal_noise(
        float(variance_1),
        float(variance_0),
        float(delta @ delta),
        len(classes[0]) / len(labels),
        2.0 * float(delta @ delta),
        dimension=3,
    )
    basis = np.linalg.qr(np.stack([delta, [1, 0, 0], [0, 1, 0]], 1))[0]
    for label, along, isotropic in (
        (1, levels.along_positive, levels.isotropic_positive),
        (0, levels.along_negative, levels.isotropic_negative),
    ):
        parts = (noise[np.asarray(labels) == label] @ basis).T
        assert is_normal(parts[0], float(along)) > 0.01
        assert is_normal(parts[0], 1.7 * float(along)) < 1e-4
        if label == positive_label:  # the wider class
            assert isotropic == 0
            np.testing.assert_allclose(parts[1:], 0.0, atol=1e-8)
        else:
            for part in parts[1:]:
                assert is_normal(part, float(isotropic)) > 0.01
                assert is_normal(part, 1.7 * float(isotropic)) < 1e-4
                assert abs(np.corrcoef(parts[0], part)[0, 1]) < 0.05
    power = np.mean(np.sum(noise**2, axis=1))
    assert power == pytest.approx(2.0 * float(delta @ delta), rel=0.06)


def test_rows_of_two_logits_stay_of_that_form():
    """The noise is of one dimension, of standard deviation √λ1 along (1, −1)/√2."""
    message, labels = two_logits()
    sent, state = perturb(marvell(3.0), message, labels)
    np.testing.assert_allclose(sent.sum(1), 0.0, atol=1e-9)
    assert state.num_unprotected == 0
    height = np.asarray(message[:, 0] - message[:, 1], np.float64) / 2**0.5
    positive = np.asarray(labels) == 1
    g = (height[positive].mean() - height[~positive].mean()) ** 2
    levels = optimal_noise(
        float(height[positive].var()),
        float(height[~positive].var()),
        float(g),
        float(positive.mean()),
        3 * float(g),
        dimension=1,
    )
    noise = np.asarray(sent[:, 0] - sent[:, 1], np.float64) / 2**0.5 - height
    for members, along in (
        (positive, float(levels.along_positive)),
        (~positive, float(levels.along_negative)),
    ):
        assert is_normal(noise[members], along) > 0.01
        assert is_normal(noise[members], 1.7 * along) < 1e-4


def test_no_score_beats_the_bound():
    """AUC <= ½ + √ε/2 − ε/8 in Gaussian classes; the best linear score is close to it.

    Without the noise the same score has an AUC above .9.
    """
    message, labels = gaussian_classes(spread=(0.8, 1.0))
    positive = np.asarray(labels) == 1

    def auc(rows):
        direction = rows[positive].mean(0) - rows[~positive].mean(0)
        scores = np.asarray(rows @ direction)
        above = scipy.stats.mannwhitneyu(scores[positive], scores[~positive])
        return above.statistic / (positive.sum() * (~positive).sum())

    sent, _ = perturb(marvell(4.0, zero_sum=False), message, labels)
    unit = 2048.0**2
    g = 5.25 / unit
    levels = optimal_noise(1 / unit, 0.64 / unit, g, 1 / 3, 4 * g, dimension=3)
    epsilon = float(levels.sum_kl)
    assert epsilon < 4
    assert auc(message) > 0.9
    assert 0.6 < auc(sent) < 0.5 + epsilon**0.5 / 2 - epsilon / 8


@pytest.mark.parametrize("zero_sum", [True, False])
def test_batches_that_cannot_be_protected_are_sent_as_they_are_and_counted(zero_sum):
    message, _ = two_logits((4, 2))
    defense = marvell(1.0, zero_sum=zero_sum)
    state = defense.init()
    for expected, labels in ((1, jnp.zeros(6, int)), (2, jnp.ones(6, int))):
        sent, state = perturb(defense, message, labels, state)
        np.testing.assert_array_equal(sent, message)
        assert state.num_unprotected == expected
    equal_means = jnp.array([[0.1, -0.1], [0.3, -0.3], [0.5, -0.5]] * 2)
    sent, state = perturb(defense, equal_means, jnp.repeat(jnp.arange(2), 3), state)
    np.testing.assert_array_equal(sent, equal_means)
    assert state.num_unprotected == 3
    sent, state = perturb(defense, message, jnp.array([0, 0, 0, 0, 1, 0]), state)
    assert jnp.all(sent != message)
    assert state.num_unprotected == 3
    chex.assert_trees_all_equal_shapes_and_dtypes(state, defense.init())


def test_unprotected_batches_are_found_in_any_state():
    """Alone, in a chain in a chain, in one state per message, and where there is none.

    A batch of one class goes through each MARVELL once.
    """
    message, labels = two_logits((4, 2))
    alone = marvell(1.0)
    whole = Chain(NoDefense(), Chain(alone, alone))
    for defense, expected in ((alone, 1), (whole, 2), (dp_gaussian(0.1), 0)):
        _, state = perturb(defense, message, jnp.zeros_like(labels))
        assert count_unprotected(state) == expected
        assert count_unprotected((state, state)) == 2 * expected
        _, state = perturb(defense, message, labels, state)
        assert count_unprotected(state) == expected


@pytest.mark.parametrize("zero_sum", [True, False])
def test_classes_without_variance_get_noise_along_their_difference(zero_sum):
    message = jnp.array([[0.2, -0.2]] * 5 + [[-0.3, 0.3]])
    labels = jnp.array([0] * 5 + [1])
    sent, state = perturb(marvell(1.0, zero_sum=zero_sum), message, labels)
    assert jnp.all(jnp.isfinite(sent) & (sent != message))
    assert state.num_unprotected == 0
    np.testing.assert_allclose(sent.sum(1), 0.0, atol=1e-6)


@pytest.mark.parametrize("zero_sum", [True, False])
def test_power_is_traced_mapped_and_zero_is_exactly_no_defense(zero_sum):
    message, labels = two_logits((4, 2))

    @jax.jit
    def send(power, labels):
        return perturb(marvell(power, zero_sum=zero_sum), message, labels)

    powers = jnp.array([0.0, 0.5, 8.0])
    mapped, states = jax.jit(jax.vmap(send, in_axes=(0, None)))(powers, labels)
    for place, power in enumerate(powers):
        alone, _ = perturb(marvell(float(power), zero_sum=zero_sum), message, labels)
        np.testing.assert_allclose(mapped[place], alone, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(send(power, labels)[0], alone, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(mapped[0], message)
    np.testing.assert_array_equal(states.num_unprotected, 0)
    nobody, state = perturb(marvell(0, zero_sum=zero_sum), message, 0 * labels)
    np.testing.assert_array_equal(nobody, message)
    assert state.num_unprotected == 0


def test_classes_may_be_exchanged():
    """The names 0 and 1 mean nothing: up to rounding the same noise is sent."""
    message, labels = two_logits((4, 2))
    sent, _ = perturb(marvell(2.0), message, labels)
    exchanged, _ = perturb(marvell(2.0), message, 1 - labels)
    # Δ, and with it the noise, changes its sign only in more than one dimension.
    np.testing.assert_allclose(
        jnp.abs(sent - message), jnp.abs(exchanged - message), rtol=1e-3, atol=1e-6
    )


def test_what_it_says_about_itself():
    assert marvell(1.0).keeps_zero_sum
    assert marvell(1.0).needs_zero_sum
    assert not marvell(1.0, zero_sum=False).keeps_zero_sum
    assert not marvell(1.0, zero_sum=False).needs_zero_sum
    with pytest.raises(ValueError, match="relies on rows that sum to zero"):
        Chain(dp_gaussian(0.1), marvell(1.0))


def test_bad_arguments():
    message, labels = two_logits((4, 2))
    with pytest.raises(ValueError, match=r"power=-1.0: must be in \[0, inf\]"):
        marvell(-1.0)
    with pytest.raises(ValueError, match="width 3: must be 2"):
        perturb(marvell(1.0), jnp.ones((6, 3)), labels)
    with pytest.raises(ValueError, match=r"labels: contain \[2\]; must be 0 or 1"):
        perturb(marvell(1.0), message, labels.at[1].set(2))
    with pytest.raises(ValueError, match="dimension=0: must be >= 1"):
        optimal_noise(1.0, 1.0, 1.0, 0.5, 1.0, dimension=0)

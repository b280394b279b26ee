"""Posterior means of messages: by hand, by Gaussian-process regression, limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, models, protocol

LINEAR = protocol.PartyModel(
    init=lambda key, x: jnp.zeros((x.shape[1], 2)), apply=lambda params, x: x @ params
)


def linear_view(features, classes=2):
    """One linear layer without a bias: J Jᵀ is X Xᵀ for each class."""
    features = jnp.asarray(features, jnp.float32)
    params = jnp.zeros((features.shape[1], classes))
    sent = jnp.zeros((len(features), classes))
    return protocol.SampleGradientView(LINEAR, params, features, sent, classes)


def centered(rows):
    return rows - np.mean(rows, axis=1, keepdims=True)


def test_by_hand():
    """Features 3 and 1, σ² = ½, C = 2: (σ/τ)² = 1, and X Xᵀ = [[9, 3], [3, 1]].

    With the signs (−1, 1) for both classes k is taken for 2·(−3 + 1)²/4 = 2, so
    M = ½ (I + X Xᵀ/2) = [[2.75, .75], [.75, .75]] and

        (M + I)⁻¹ = [[3.75, .75], [.75, 1.75]]⁻¹ = [[1.75, −.75], [−.75, 3.75]]/6.

    Rows without their means are (1, −1) and (.5, −.5); for the first class

        (1, .5) − (1.75·1 − .75·.5, −.75·1 + 3.75·.5)/6 = (1, .5) − (1.375, 1.125)/6
                                                       = (.770833, .3125).
    """
    signs = jax.random.rademacher(jax.random.key(0), (2, 2), float)
    np.testing.assert_array_equal(signs, [[-1, -1], [1, 1]])
    recovered = jnp.array([[1.25, -0.75], [0.75, -0.25]])
    view = linear_view([[3.0], [1.0]])
    inference = attacks.message_smoothing(view, recovered, noise_std=0.5**0.5)
    expected = np.array([0.770833, 0.3125])
    np.testing.assert_allclose(
        inference.scores, np.stack([expected, -expected], axis=1), atol=1e-5
    )
    np.testing.assert_array_equal(inference.labels, [0, 0])


def test_a_sample_learns_from_one_that_looks_alike():
    """The second sample's own message says class 1, the first's loudly class 0."""
    recovered = jnp.array([[1.0, -1.0], [-0.1, 0.1]])
    alike, unlike = linear_view([[1.0], [1.0]]), linear_view([[1.0], [0.0]])
    found = attacks.message_smoothing(alike, recovered, 1.0).labels
    np.testing.assert_array_equal(found, [0, 0])
    found = attacks.message_smoothing(unlike, recovered, 1.0).labels
    np.testing.assert_array_equal(found, [0, 1])


@pytest.mark.parametrize("noise_std", [0.05, 0.5, 3.0])
def test_equals_gaussian_process_regression(noise_std):
    """E[u | u + η] = M (M + (σ/τ)² I)⁻¹ (u + η), solved densely in float64.

    The kernel is that of a network of two layers, its Jacobian taken by JAX; the scale
    is the mean of the diagonal as the same random signs estimate it.
    """
    batch, classes = 6, 3
    keys = jax.random.split(jax.random.key(1), 3)
    features = jax.random.normal(keys[0], (batch, 5))
    model = models.mlp((4,), embed=classes)
    params = model.init(keys[1], features)
    view = protocol.BatchGradientView(model, params, features, params, classes)
    recovered = jax.random.normal(keys[2], (batch, classes))
    jacobian = jax.jacobian(lambda p: model.apply(p, features).reshape(-1))(params)
    leaves = [leaf.reshape(batch * classes, -1) for leaf in jax.tree.leaves(jacobian)]
    rows = np.concatenate(leaves, axis=1).astype(np.float64)
    kernel = rows @ rows.T
    signs = np.asarray(
        jax.random.rademacher(jax.random.key(0), (batch, classes), float)
    ).reshape(-1)
    estimate = signs @ kernel @ signs / signs.size
    prior = 0.5 * (np.eye(batch * classes) + kernel / estimate)
    noisy = centered(np.asarray(recovered, np.float64)).reshape(-1)
    noise = classes * noise_std**2
    expected = prior @ np.linalg.solve(prior + noise * np.eye(len(prior)), noisy)
    inference = attacks.message_smoothing(view, recovered, noise_std)
    np.testing.assert_allclose(
        inference.scores, expected.reshape(batch, classes), atol=2e-4
    )


def test_the_estimated_scale_is_near_the_mean_of_the_diagonal():
    """Of 600 entries: Hutchinson's error falls with the root of their number."""
    features = jax.random.normal(jax.random.key(2), (300, 400))
    signs = jax.random.rademacher(jax.random.key(0), (300, 2), float)
    estimate = jnp.sum((features.T @ signs) ** 2) / signs.size
    np.testing.assert_allclose(estimate, jnp.sum(features**2) / 300, rtol=0.1)


def test_without_noise_nothing_changes_but_the_rows_means():
    recovered = jax.random.normal(jax.random.key(3), (4, 2))
    view = linear_view(jax.random.normal(jax.random.key(4), (4, 3)))
    scores = attacks.message_smoothing(view, recovered, 0.0).scores
    np.testing.assert_array_equal(scores, centered(recovered))


def test_more_noise_leaves_less_and_keeps_the_decision_of_a_lone_sample():
    recovered, view = jnp.array([[0.7, -0.3]]), linear_view([[2.0]])
    sizes = []
    for noise_std in (0.0, 0.1, 1.0, 10.0):
        inference = attacks.message_smoothing(view, recovered, noise_std)
        np.testing.assert_array_equal(inference.labels, [0])
        sizes.append(float(jnp.abs(inference.scores).max()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.02 < sizes[0]


def test_noise_may_be_traced_and_mapped():
    recovered = jax.random.normal(jax.random.key(3), (4, 2))
    view = linear_view(jax.random.normal(jax.random.key(4), (4, 3)))

    def smooth(noise_std):
        return attacks.message_smoothing(view, recovered, noise_std).scores

    mapped = jax.jit(jax.vmap(smooth))(jnp.array([0.0, 0.4]))
    np.testing.assert_allclose(mapped[1], smooth(0.4), atol=1e-5)
    np.testing.assert_allclose(mapped[0], smooth(0.0), atol=1e-6)


def test_features_of_zeros_have_no_neighbors():
    """J Jᵀ = 0: M = ½ I, every row shrinks by ½/(½ + (σ/τ)²) = 1/3 with (σ/τ)² = 1."""
    recovered = jnp.array([[0.6, -0.6], [-0.3, 0.3]])
    view = linear_view([[0.0], [0.0]])
    scores = attacks.message_smoothing(view, recovered, 0.5**0.5).scores
    np.testing.assert_allclose(scores, recovered / 3, atol=1e-6)


def test_the_record_smooths_what_its_attack_recovers(make_exchange):
    """From messages as received, and from a batch gradient."""
    exchange, known = make_exchange(), attacks.Known(noise_std=0.3)
    of_parts = (
        (attacks.DirectInference(), "sample"),
        (attacks.LinearRecovery(), "batch"),
    )
    for of, name in of_parts:
        view = getattr(exchange, name)
        smoothed = attacks.MessageSmoothing(of=of)(jax.random.key(0), view, known)
        recovered = of(jax.random.key(0), view).scores
        expected = attacks.message_smoothing(view, recovered, 0.3)
        np.testing.assert_allclose(smoothed.scores, expected.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_std": -0.1}, "noise_std=-0.1: must be >= 0 and finite"),
        ({"noise_std": float("inf")}, "noise_std=inf: must be >= 0 and finite"),
        ({"iterations": 0}, r"iterations=0: must be in \[1, inf\]"),
        (
            {"recovered": jnp.zeros((3, 2))},
            r"recovered: shape \(3, 2\), must be \(2, 2",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(changes, message):
    arguments = {"recovered": jnp.zeros((2, 2)), "noise_std": 0.1, **changes}
    with pytest.raises(ValueError, match=message):
        attacks.message_smoothing(linear_view([[1.0], [1.0]]), **arguments)


def test_there_must_be_messages_to_smooth():
    with pytest.raises(ValueError, match="must be an attack that recovers messages"):
        attacks.MessageSmoothing(of=attacks.NormScoring())

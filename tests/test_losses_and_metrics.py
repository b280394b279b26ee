"""Cross-entropy, its derivative, and the two metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import losses, metrics


def test_cross_entropy_by_hand():
    """Logits (0, ln 3) are (1/4, 3/4); targets (1, 0) and (.5, .5)."""
    logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
    targets = jnp.array([[1.0, 0.0], [0.5, 0.5]])
    expected = (-np.log(0.25) - 0.5 * np.log(0.25) - 0.5 * np.log(0.75)) / 2
    np.testing.assert_allclose(
        losses.cross_entropy(logits, targets), expected, rtol=1e-6
    )


def test_logit_gradient_is_the_derivative():
    key_logits, key_targets = jax.random.split(jax.random.key(0))
    logits = jax.random.normal(key_logits, (7, 4))
    targets = jax.nn.softmax(jax.random.normal(key_targets, (7, 4)))
    np.testing.assert_allclose(
        losses.logit_gradient(logits, targets),
        jax.grad(losses.cross_entropy)(logits, targets),
        atol=1e-7,
    )


def test_accuracy_counts_no_answer_as_wrong():
    labels, truth = jnp.array([2, -1, 0, 1]), jnp.array([2, 1, 0, 0])
    assert metrics.accuracy(labels, truth) == 0.5


@pytest.mark.parametrize(
    ("counts", "expected"), [([1, 2, 1], 0.5), ([3, 3], 0.5), ([30, 10, 0], 0.75)]
)
def test_chance_is_the_most_frequent_class(counts, expected):
    assert metrics.chance_accuracy(jnp.array(counts)) == expected

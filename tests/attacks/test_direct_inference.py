"""Direct inference: exactness, and both readouts under noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses, losses, metrics, models, protocol


def sample_view(gradients):
    model = models.mlp((), embed=gradients.shape[1])
    features = jnp.ones((len(gradients), 2))
    params = model.init(jax.random.key(0), features)
    return protocol.SampleGradientView(
        model, params, features, gradients, gradients.shape[1]
    )


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_exact_without_defense(classes):
    key_logits, key_labels = jax.random.split(jax.random.key(0))
    logits = 3.0 * jax.random.normal(key_logits, (64, classes))
    labels = jax.random.randint(key_labels, (64,), 0, classes)
    gradients = losses.logit_gradient(logits, jax.nn.one_hot(labels, classes))
    inference = attacks.direct_inference(sample_view(gradients))
    np.testing.assert_array_equal(inference.labels, labels)
    np.testing.assert_array_equal(inference.published_labels, labels)


def test_readouts_by_hand():
    """Row 0: smallest last, first negative first. Row 1: no negative entry."""
    inference = attacks.direct_inference(
        sample_view(jnp.array([[-0.1, 0.3, -0.2], [0.3, 0.1, 0.2]]))
    )
    np.testing.assert_array_equal(inference.labels, [2, 1])
    np.testing.assert_array_equal(inference.published_labels, [0, -1])


def test_saturated_row_still_gets_an_answer():
    """Softmax 1 in float32 at the label: the row has no negative entry left."""
    logits = jnp.array([[0.0, 200.0, 0.0]])
    gradients = losses.logit_gradient(logits, jnp.array([[0.0, 1.0, 0.0]]))
    inference = attacks.direct_inference(sample_view(gradients))
    np.testing.assert_array_equal(inference.published_labels, [-1])
    assert inference.labels[0] >= 0


# Laplace scale, (first-negative at logit deviations .5, 1.5, 3), range of arg-min:
# B = 32, C = 10, from an independent simulation of the published setting, whose own
# sampling error is about .01.
NOISE_TABLE = [
    (1e-3, (0.824, 0.498, 0.332), (0.985, 1.0)),
    (1e-2, (0.254, 0.234, 0.225), (0.70, 0.75)),
    (1e-1, (0.1285, 0.1285, 0.1285), (0.125, 0.145)),
]


@pytest.mark.parametrize(("scale", "first_negative", "arg_min"), NOISE_TABLE)
def test_readouts_under_laplace_noise(scale, first_negative, arg_min):
    noisy = defenses.dp_laplace(scale, reading="released", clip_norm=jnp.inf)

    def accuracies(key, deviation):
        key_logits, key_labels, key_noise = jax.random.split(key, 3)
        logits = deviation * jax.random.normal(key_logits, (32, 10))
        labels = jax.random.randint(key_labels, (32,), 0, 10)
        gradients = losses.logit_gradient(logits, jax.nn.one_hot(labels, 10))
        sent, _ = noisy.perturb(key_noise, (), gradients, labels, jnp.arange(32))
        inference = attacks.direct_inference(sample_view(sent))
        assert inference.published_labels is not None
        return (
            metrics.accuracy(inference.published_labels, labels),
            metrics.accuracy(inference.labels, labels),
        )

    for deviation, expected in zip((0.5, 1.5, 3.0), first_negative, strict=True):
        keys = jax.random.split(jax.random.key(7), 2000)
        first, smallest = jax.vmap(lambda key, d=deviation: accuracies(key, d))(keys)
        assert first.mean() == pytest.approx(expected, abs=0.02)
        assert arg_min[0] <= smallest.mean() <= arg_min[1]

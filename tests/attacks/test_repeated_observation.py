"""The matched filter over epochs: weights by hand, and what it gains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses

CLASSES, BATCH = 4, 200


@pytest.fixture
def exchange_of_noise():
    """Messages −B·u of one batch, sent again and again under fresh Gaussian noise."""
    keys = jax.random.split(jax.random.key(0), 3)
    truth = jax.random.randint(keys[0], (BATCH,), 0, CLASSES)
    softmax = jax.nn.softmax(jax.random.normal(keys[1], (BATCH, CLASSES)))
    clean = (softmax - jax.nn.one_hot(truth, CLASSES)) / BATCH

    def observe(amplitudes, noise_std):
        defense = defenses.dp_gaussian(noise_std / BATCH, clip_norm=jnp.inf)
        amplitudes = jnp.asarray(amplitudes, jnp.float32)

        def send(key, amplitude):
            return defense.perturb(key, (), amplitude * clean, truth, truth)[0]

        sent = jax.vmap(send)(jax.random.split(keys[2], len(amplitudes)), amplitudes)
        return -BATCH * sent

    def accuracy(inference):
        return float(jnp.mean(inference.labels == truth))

    return observe, accuracy


def test_weights_by_hand():
    """Mean squares 25, 10 and 1; minus σ² = 9: 16, 1 and −8; amplitudes 4, 1 and 0.

    Weights .8, .2 and 0, scores .8·(1, 7) + .2·(2, −4) = (1.2, 4.8).
    """
    recovered = jnp.array([[[1.0, 7.0]], [[2.0, -4.0]], [[1.0, -1.0]]])
    inference = attacks.repeated_observation(recovered, noise_std=3.0)
    np.testing.assert_allclose(inference.info.weights, [0.8, 0.2, 0.0], atol=1e-6)
    np.testing.assert_allclose(inference.scores, [[1.2, 4.8]], atol=1e-6)
    np.testing.assert_array_equal(inference.labels, [1])


def test_weights_are_equal_where_there_is_only_noise():
    """σ² = 100 is above every mean square: scores (1 + 2 + 1, 7 − 4 − 1)/3."""
    recovered = jnp.array([[[1.0, 7.0]], [[2.0, -4.0]], [[1.0, -1.0]]])
    inference = attacks.repeated_observation(recovered, noise_std=10.0)
    np.testing.assert_allclose(inference.info.weights, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(inference.scores, [[4 / 3, 2 / 3]], atol=1e-6)


def test_one_observation_is_itself():
    recovered = jnp.array([[[0.2, -0.1], [-3.0, 4.0]]])
    inference = attacks.repeated_observation(recovered)
    np.testing.assert_allclose(inference.scores, recovered[0], rtol=1e-6)


def test_accuracy_grows_with_the_number_of_observations(exchange_of_noise):
    """σ = 2: a label stands out by 1/σ of noise once, by √25/2 after 25 epochs."""
    observe, accuracy = exchange_of_noise
    recovered = observe(np.ones(25), 2.0)
    reached = [
        accuracy(attacks.repeated_observation(recovered[:number], 2.0))
        for number in (1, 5, 25)
    ]
    assert reached[0] < 0.5
    assert reached[0] + 0.1 < reached[1] < reached[2] - 0.1
    assert reached[2] > 0.8


def test_late_epochs_of_a_fitted_model_do_no_harm(exchange_of_noise):
    """Four epochs with a signal and sixty without: the plain mean buries it."""
    observe, accuracy = exchange_of_noise
    recovered = observe([1.0] * 4 + [0.01] * 60, 1.0)
    inference = attacks.repeated_observation(recovered, 1.0)
    equal = inference._replace(labels=jnp.argmax(recovered.mean(axis=0), axis=1))
    assert accuracy(inference) > accuracy(equal) + 0.15
    assert jnp.all(inference.info.weights[:4] > inference.info.weights[4:].max())


def test_a_broken_row_has_no_answer():
    recovered = jnp.ones((2, 3, 2)).at[1, 0, 0].set(jnp.nan)
    inference = attacks.repeated_observation(recovered)
    assert not inference.finite
    np.testing.assert_array_equal(inference.labels, [-1, 0, 0])


def test_bad_arguments():
    with pytest.raises(ValueError, match="recovered: no observation"):
        attacks.repeated_observation(jnp.zeros((0, 4, 3)))
    with pytest.raises(ValueError, match=r"noise_std=-1\.0: must be in \[0, inf\]"):
        attacks.repeated_observation(jnp.zeros((1, 4, 3)), -1.0)

"""Gradient inversion: its loss and derivatives against autodiff through the network."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks
from vfljax.attacks.gradient_inversion import Guess


def published_loss(guess, view, layers):
    """Algorithm 2 as printed: the network forward, its gradient, squared distance."""
    batch = view.features.shape[0]

    def loss(params):
        logits = view.model.apply(params, view.features) + guess.other_logits.T
        targets = jax.nn.softmax(guess.label_logits.T)
        return -jnp.sum(targets * jax.nn.log_softmax(logits)) / batch

    simulated = jax.grad(loss)(view.params)
    return sum(
        jnp.sum((simulated[layer][name] - view.gradient[layer][name]) ** 2)
        for layer in layers
        for name in ("kernel", "bias")
    )


@pytest.mark.parametrize("layers", [("hidden_0", "output"), ("output",)])
@pytest.mark.parametrize("batch", [5, 40])
def test_first_adam_step_is_that_of_the_double_backward(layers, batch, make_exchange):
    """After one Adam step the moments are (1−β)·gradient: the derivative itself."""
    view = make_exchange(batch=batch).batch
    inversion = attacks.make_inversion(view, 0.05, layers)
    start = inversion.init(jax.random.key(1))
    state, loss = inversion.step(start)
    expected, gradient = jax.value_and_grad(published_loss)(start.guess, view, layers)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    first_moment = optax.tree.get(state.optimizer_state, "mu")
    for name in Guess._fields:
        np.testing.assert_allclose(
            getattr(first_moment, name),
            0.1 * getattr(gradient, name),
            rtol=1e-3,
            atol=1e-3 * float(jnp.abs(getattr(gradient, name)).max()),
        )


def test_best_guess_is_kept_when_the_rate_is_absurd(make_exchange):
    view = make_exchange().batch
    inference = attacks.gradient_inversion(
        jax.random.key(0), view, steps=50, learning_rate=1e3
    )
    assert inference.info.best_loss == inference.info.losses.min()
    assert inference.finite


def test_losses_fall(make_exchange):
    info = attacks.gradient_inversion(
        jax.random.key(0), make_exchange().batch, steps=800
    ).info
    assert info.losses[-1] < 1e-3 * info.losses[0]


def test_learning_rate_may_be_traced(make_exchange):
    view = make_exchange().batch
    rates = jnp.array([0.01, 0.05])
    mapped = jax.vmap(
        lambda rate: (
            attacks.gradient_inversion(
                jax.random.key(0), view, steps=20, learning_rate=rate
            ).info.best_loss
        )
    )(rates)
    alone = attacks.gradient_inversion(
        jax.random.key(0), view, steps=20, learning_rate=0.05
    ).info.best_loss
    np.testing.assert_allclose(mapped[1], alone, rtol=1e-4)
    assert mapped[0] != mapped[1]


def test_steps_must_be_positive(make_exchange):
    with pytest.raises(ValueError, match=r"steps=0: must be in \[1, inf\]"):
        attacks.gradient_inversion(jax.random.key(0), make_exchange().batch, steps=0)

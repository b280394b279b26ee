"""Updates of horizontal learning, and what the last layer's gradient is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models, protocol

NETWORKS = {
    "sigmoid_cnn": (models.SigmoidCNN(width=3, start_bound=0.5).make(4), (8, 8)),
    "relu_mlp": (models.MLP(hidden=(9, 6)).make(4), (5,)),
}


def draw(name, batch, seed=0):
    """A network of four classes with a batch of uniform features."""
    model, shape = NETWORKS[name]
    keys = jax.random.split(jax.random.key(seed), 3)
    features = jax.random.uniform(keys[0], (batch, *shape))
    labels = jax.random.randint(keys[1], (batch,), 0, 4)
    params = model.init(keys[2], features)
    return model, params, features, labels


def view_of(model, params, features, labels):
    update = protocol.batch_gradient(model, params, features, labels, 4)
    return protocol.UpdateView(
        model=model,
        params=params,
        update=update,
        learning_rate=0.1,
        num_classes=4,
        batch_size=len(labels),
        sample_shape=features.shape[1:],
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_row_sums_are_what_the_closed_form_says(name):
    """g_i = (1/B) Σ_b (p_{b,i} − 1[y_b = i])·a_b, by autodiff and from one forward."""
    model, params, features, labels = draw(name, 7)
    view = jax.jit(view_of, static_argnums=0)(model, params, features, labels)
    inputs = jax.jit(protocol.inputs_of_head, static_argnums=2)(
        view, features, "output"
    )
    messages = jax.nn.softmax(model.apply(params, features)) - jax.nn.one_hot(labels, 4)
    expected = messages.T @ jnp.sum(inputs, axis=1) / 7
    kernel, bias = protocol.head_of(view.update, "output")
    found = jnp.sum(kernel, axis=1)
    scale = float(jnp.max(jnp.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(bias, jnp.mean(messages, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jnp.sum(found), 0.0, atol=1e-5 * scale)
    absent = np.bincount(labels, minlength=4) == 0
    assert (np.asarray(found)[absent] >= 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_of_the_head_are_the_features_before_it(name):
    """For one sample G_i/g_i is what the layer was given, whichever class i."""
    model, params, features, labels = draw(name, 1, seed=3)
    view = jax.jit(view_of, static_argnums=0)(model, params, features, labels)
    inputs = protocol.inputs_of_head(view, features, "output")
    kernel, bias = protocol.head_of(view.update, "output")
    expected = jnp.tile(inputs, (4, 1))
    np.testing.assert_allclose(kernel / bias[:, None], expected, rtol=1e-4, atol=1e-5)
    head, offset = protocol.head_of(params, "output")
    logits = inputs @ head.T + offset[None, :]
    np.testing.assert_allclose(logits, model.apply(params, features), rtol=1e-4)


def test_local_steps_equal_a_loop_of_plain_sgd():
    """Three steps at a rate at which the second gradient is another one."""
    model, params, features, labels = draw("relu_mlp", 12)
    steps = features.reshape(3, 4, 5), labels.reshape(3, 4)
    send = jax.jit(
        protocol.local_update, static_argnums=0, static_argnames="num_classes"
    )
    sent = send(model, params, *steps, learning_rate=0.5, num_classes=4)
    gradient = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))
    moved = params
    for x, y in zip(*steps, strict=True):
        slope = gradient(model, moved, x, y, 4)
        moved = jax.tree.map(lambda w, g: w - 0.5 * g, moved, slope)
    expected = jax.tree.map(lambda w, v: (w - v) / 0.5, params, moved)
    for found, leaf in zip(
        jax.tree.leaves(sent), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, leaf, atol=1e-5)
    at_once = jax.tree.map(
        lambda *leaves: sum(leaves),
        *(gradient(model, params, x, y, 4) for x, y in zip(*steps, strict=True)),
    )
    gap = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), sent, at_once)
    assert max(jax.tree.leaves(gap)) > 1e-3

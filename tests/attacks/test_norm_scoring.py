"""Norm scoring: by hand, on a split model, and what every attack owes."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, losses, metrics, protocol

MODEL = protocol.PartyModel(
    init=lambda key, features: (), apply=lambda params, features: features
)

attack = jax.jit(attacks.norm_scoring, static_argnames="signed")


def view_of(gradients, num_classes=2):
    gradients = jnp.asarray(gradients)
    features = jnp.ones((len(gradients), 2))
    return protocol.SampleGradientView(MODEL, (), features, gradients, num_classes)


@functools.partial(jax.jit, static_argnums=(1, 2))
def cut_gradients(seed=0, batch=64, embed=5, rate=0.15):
    """Gradients at the cut below a linear top model that predicts the base rate."""
    key_labels, key_weight, key_embedding = jax.random.split(jax.random.key(seed), 3)
    labels = jax.random.bernoulli(key_labels, rate, (batch,)).astype(int)
    weight = jax.random.normal(key_weight, (embed, 2))
    embedding = 0.1 * jax.random.normal(key_embedding, (batch, embed))
    logits = embedding @ weight + jnp.log(jnp.array([1 - rate, rate]))[None]
    return losses.logit_gradient(logits, jax.nn.one_hot(labels, 2)) @ weight.T, labels


def test_scores_by_hand():
    """Norms 5, 1, 2, 0; the middle is 2.5, and 2.5, −1.5, −.5, −2.5 above it."""
    inference = attack(view_of([[3.0, -4.0], [0.0, 1.0], [-2.0, 0.0], [0.0, 0.0]]))
    above = np.array([2.5, -1.5, -0.5, -2.5])
    np.testing.assert_allclose(inference.scores, np.stack([-above, above], axis=1))
    np.testing.assert_array_equal(inference.labels, [1, 0, 0, 0])
    assert inference.finite
    assert inference.published_labels is None


def test_rare_class_is_found_on_a_model_that_predicts_its_rate():
    """Residuals are near .85 and .15, so the norms of the classes do not overlap."""
    for seed in range(3):
        gradients, labels = cut_gradients(seed)
        inference = attack(view_of(gradients))
        np.testing.assert_array_equal(inference.labels, labels)
        assert metrics.auc(np.asarray(inference.scores[:, 1]), np.asarray(labels)) == 1


def test_two_logits_give_root_two_times_the_residual():
    """U = (S − Y)/B = t·(1, −1), so the norm is √2·|t|."""
    logits = jnp.array([[2.0, 0.0], [1.0, 0.0], [0.5, 0.3]])
    gradients = losses.logit_gradient(logits, jnp.array([[1.0, 0], [0, 1], [1, 0]]))
    scores = attack(view_of(gradients)).scores[:, 1]
    length = np.sqrt(2) * np.abs(np.asarray(gradients[:, 0]))
    middle = (length.min() + length.max()) / 2
    np.testing.assert_allclose(scores, length - middle, rtol=1e-5, atol=1e-7)


def test_scale_does_not_matter_down_to_the_smallest_numbers():
    """Squares of 1e-25 are zero in float32; a norm is not."""
    gradients, labels = cut_gradients()
    for scale in (1e-30, 1e20):
        inference = attack(view_of(scale * gradients))
        np.testing.assert_array_equal(inference.labels, labels)


@pytest.mark.parametrize("value", [0.0, 0.3, -7.0])
def test_equal_norms_are_class_0(value):
    inference = attack(view_of(jnp.full((4, 3), value)))
    np.testing.assert_array_equal(inference.labels, 0)
    np.testing.assert_array_equal(inference.scores, 0.0)


def test_signed_number_by_hand():
    """The sign alone; by their length, the second and third would be class 1."""
    view = view_of([[-0.1], [0.9], [-0.8], [0.0]])
    inference = attack(view, signed=True)
    np.testing.assert_array_equal(inference.labels, [1, 0, 1, 0])
    np.testing.assert_allclose(inference.scores[:, 1], [0.1, -0.9, 0.8, 0.0])
    np.testing.assert_array_equal(attack(view).labels, [0, 1, 1, 0])


def test_broken_rows_are_alone():
    gradients = jnp.array([[jnp.nan, 0.0], [3.0, 4.0], [0.0, jnp.inf], [1.0, 0.0]])
    inference = attack(view_of(gradients))
    np.testing.assert_array_equal(inference.labels, [-1, 1, -1, 0])
    assert not inference.finite
    broken = attack(view_of(gradients * jnp.nan))
    np.testing.assert_array_equal(broken.labels, -1)


def test_permuting_the_batch_permutes_the_answer():
    gradients, _ = cut_gradients()
    order = np.random.default_rng(0).permutation(len(gradients))
    moved = attack(view_of(gradients[order]))
    alone = attack(view_of(gradients))
    np.testing.assert_array_equal(moved.scores, alone.scores[order])


def test_jit_and_vmap_equal_a_loop_and_compile_once():
    views = [view_of(cut_gradients(seed)[0]) for seed in range(3)]
    traced = jax.jit(chex.assert_max_traces(attacks.norm_scoring, n=1))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    mapped = jax.jit(jax.vmap(attacks.norm_scoring))(stacked)
    for place, view in enumerate(views):
        jitted = traced(view)
        chex.assert_trees_all_close(jitted, attacks.norm_scoring(view), rtol=1e-5)
        chex.assert_trees_all_close(jitted.scores, mapped.scores[place], rtol=1e-5)


@pytest.mark.parametrize(
    ("view", "signed", "message"),
    [
        (view_of(np.ones((4, 3)), 3), False, "num_classes=3: must be 2"),
        (view_of(np.ones(4)), False, r"gradients: shape \(4,\), must be \(batch, emb"),
        (view_of(np.ones((4, 0))), False, r"gradients: shape \(4, 0\), must be"),
        (view_of(np.ones((4, 2))), True, r"shape \(4, 2\), must be \(batch, 1\) if s"),
    ],
)
def test_what_does_not_fit(view, signed, message):
    with pytest.raises(ValueError, match=message):
        attacks.norm_scoring(view, signed=signed)

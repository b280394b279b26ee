"""Direction scoring: by hand, on a split model, and what every attack owes."""

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

attack = jax.jit(attacks.direction_scoring, static_argnames="product")


def view_of(gradients, num_classes=2):
    gradients = jnp.asarray(gradients)
    features = jnp.ones((len(gradients), 2))
    return protocol.SampleGradientView(MODEL, (), features, gradients, num_classes)


def known_at(*positions, batch):
    return jnp.zeros(batch, bool).at[jnp.array(positions)].set(True)


@functools.partial(jax.jit, static_argnums=(1, 2))
def cut_gradients(seed=0, batch=40, embed=5):
    """Gradients at the cut below a linear top model, anywhere in training."""
    key_labels, key_weight, key_embedding = jax.random.split(jax.random.key(seed), 3)
    labels = jax.random.bernoulli(key_labels, 0.4, (batch,)).astype(int)
    weight = jax.random.normal(key_weight, (embed, 2))
    logits = jax.random.normal(key_embedding, (batch, embed)) @ weight
    return losses.logit_gradient(logits, jax.nn.one_hot(labels, 2)) @ weight.T, labels


def test_scores_by_hand():
    """The reference is (3, 4), its unit vector (.6, .8).

    Cosines with (4, 3), (−5, 0), (0, 0), (8, −8): 24/25, −.6, none, −.2/√2; projections
    4.8, −3, 0, −1.6. Its own are 1 and 5.
    """
    view = view_of([[4.0, 3.0], [3.0, 4.0], [-5.0, 0.0], [0.0, 0.0], [8.0, -8.0]])
    known = known_at(1, batch=5)
    cosine = attack(view, known)
    np.testing.assert_allclose(
        cosine.scores[:, 1], [0.96, 1.0, -0.6, 0.0, -0.2 / np.sqrt(2)], atol=1e-6
    )
    np.testing.assert_array_equal(cosine.scores[:, 0], -cosine.scores[:, 1])
    np.testing.assert_array_equal(cosine.labels, [1, 1, 0, 0, 0])
    assert cosine.info.position == 1
    np.testing.assert_array_equal(
        cosine.info.is_zero, [False, False, False, True, False]
    )
    inner = attack(view, known, product="inner")
    np.testing.assert_allclose(
        inner.scores[:, 1], [4.8, 5.0, -3.0, 0.0, -1.6], atol=1e-6
    )
    np.testing.assert_array_equal(inner.labels, cosine.labels)


def test_exact_below_a_linear_top_model():
    """There g_i = t_i·(w_1 − w_0): all directions agree up to the label's sign."""
    for seed in range(3):
        gradients, labels = cut_gradients(seed)
        known = known_at(int(jnp.argmax(labels)), batch=40)
        inference = attack(view_of(gradients), known)
        np.testing.assert_array_equal(inference.labels, labels)
        np.testing.assert_allclose(jnp.abs(inference.scores), 1.0, rtol=1e-5)
        others = ~np.asarray(known)
        score = np.asarray(inference.scores[:, 1])[others]
        assert metrics.auc(score, np.asarray(labels)[others]) == 1.0


def test_of_several_known_the_longest_is_compared_with():
    """(0, 2) is longer than (1, 0); what is known stays known against the score."""
    view = view_of([[1.0, 0.0], [0.0, 2.0], [1.0, -1.0], [-1.0, 1.0], [9.0, -9.0]])
    inference = attack(view, known_at(0, 1, 2, batch=5))
    assert inference.info.position == 1
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        inference.scores[:, 1], [0.0, 1.0, -half, half, -half], atol=1e-6
    )
    np.testing.assert_array_equal(inference.labels, [1, 1, 1, 1, 0])


def test_reference_of_ones_own():
    """A clean gradient (0, −2) in place of the noised (1, 0)."""
    view = view_of([[1.0, 0.0], [0.3, -0.4], [1.0, 1.0]])
    inference = attack(view, known_at(0, batch=3), reference=jnp.array([0.0, -2.0]))
    np.testing.assert_allclose(
        inference.scores[:, 1], [0.0, 0.8, -np.sqrt(0.5)], atol=1e-6
    )
    np.testing.assert_array_equal(inference.labels, [1, 1, 0])


def test_hints_help_against_noise():
    """Five hints, the longest of them compared with, beat one on the average AUC."""

    def mean_auc(num_known):
        found = []
        for seed in range(20):
            gradients, labels = cut_gradients(seed)
            noise = jax.random.normal(jax.random.key(100 + seed), gradients.shape)
            positives = np.flatnonzero(labels)[:num_known]
            known = known_at(*positives.tolist(), batch=40)
            noised = gradients + 0.5 * jnp.std(gradients) * noise
            inference = attack(view_of(noised), known)
            others = ~np.asarray(known)
            score = np.asarray(inference.scores[:, 1])[others]
            found.append(metrics.auc(score, np.asarray(labels)[others]))
        return np.mean(found)

    assert mean_auc(5) > mean_auc(1) + 0.02


def test_zero_reference_says_nothing():
    view = view_of([[0.0, 0.0], [1.0, 2.0]])
    for product in ("cosine", "inner"):
        inference = attack(view, known_at(0, batch=2), product=product)
        np.testing.assert_array_equal(inference.scores, 0.0)
        np.testing.assert_array_equal(inference.labels, [1, 0])
        np.testing.assert_array_equal(inference.info.is_zero, True)
        assert inference.finite


@pytest.mark.parametrize("product", ["cosine", "inner"])
def test_scale_does_not_matter_down_to_the_smallest_numbers(product):
    """Products of two numbers of 1e-30 are zero in float32; a direction is not."""
    gradients, labels = cut_gradients()
    known = known_at(int(jnp.argmax(labels)), batch=40)
    for scale in (1e-30, 1e20):
        inference = attack(view_of(scale * gradients), known, product=product)
        np.testing.assert_array_equal(inference.labels, labels)


def test_broken_rows_are_alone():
    """Not even known rows have an answer then, and none is compared with."""
    gradients = [[jnp.nan, 0.0], [3.0, 4.0], [0.0, jnp.inf], [-1.0, 0.0]]
    view = view_of(jnp.array(gradients))
    inference = attack(view, known_at(0, 1, 2, batch=4))
    np.testing.assert_array_equal(inference.labels, [-1, 1, -1, 0])
    assert inference.info.position == 1
    assert not inference.finite
    unknown = attack(view, known_at(0, 2, batch=4))
    np.testing.assert_array_equal(unknown.labels, -1)


def test_none_known_inside_a_program_is_no_answer():
    view = view_of([[1.0, 0.0], [0.0, 2.0]])
    inference = attack(view, jnp.zeros(2, bool))
    np.testing.assert_array_equal(inference.labels, -1)
    assert not inference.finite


def test_permuting_the_batch_permutes_the_answer():
    gradients, labels = cut_gradients()
    order = np.random.default_rng(0).permutation(40)
    known = known_at(*np.flatnonzero(labels)[:3].tolist(), batch=40)
    moved = attack(view_of(gradients[order]), known[order])
    alone = attack(view_of(gradients), known)
    np.testing.assert_allclose(moved.scores, alone.scores[order], rtol=1e-6)
    np.testing.assert_array_equal(moved.labels, alone.labels[order])


def test_jit_and_vmap_equal_a_loop_and_compile_once():
    """Mapped over the views and over which samples are known."""
    views = [view_of(cut_gradients(seed)[0]) for seed in range(3)]
    known = jnp.stack([known_at(seed, 7, batch=40) for seed in range(3)])
    traced = jax.jit(chex.assert_max_traces(attacks.direction_scoring, n=1))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    mapped = jax.jit(jax.vmap(attacks.direction_scoring))(stacked, known)
    for place, view in enumerate(views):
        jitted = traced(view, known[place])
        eager = attacks.direction_scoring(view, known[place])
        chex.assert_trees_all_close(jitted, eager, rtol=1e-5, atol=1e-6)
        chex.assert_trees_all_close(
            jitted, jax.tree.map(lambda leaf, i=place: leaf[i], mapped), rtol=1e-5
        )


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"view": view_of(np.ones((4, 3)), 3)}, "num_classes=3: must be 2"),
        ({"view": view_of(np.ones(4))}, r"gradients: shape \(4,\), must be \(batch"),
        ({"known": jnp.ones(3, bool)}, r"known: shape \(3,\), must be \(4,\)"),
        ({"known": jnp.zeros(4, bool)}, "known: no sample is known"),
        ({"reference": jnp.ones(3)}, r"reference: shape \(3,\), must be \(2,\)"),
        ({"product": "dot"}, "product='dot': must be one of cosine, inner"),
    ],
)
def test_what_does_not_fit(changes, message):
    arguments = {"view": view_of(np.ones((4, 2))), "known": jnp.ones(4, bool)}
    with pytest.raises(ValueError, match=message):
        attacks.direction_scoring(**{**arguments, **changes})

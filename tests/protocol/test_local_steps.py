"""Defenses within a participant's local steps: against loops, and at strength zero."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from vfljax import losses, models, protocol
from vfljax.defenses import Chain, ExampleClipping, LogitDropout, Signs

CLASSES = 3
MODEL = models.MLP(hidden=(5,)).make(CLASSES)
ROWS = np.random.default_rng(0)
FEATURES = jnp.asarray(ROWS.normal(size=(2, 6, 4)), jnp.float32)
LABELS = jnp.asarray(ROWS.integers(0, CLASSES, (2, 6)))
PARAMS = MODEL.init(jax.random.key(0), FEATURES[0])


def key_of(seed=7):
    """A key that no one has used."""
    return jax.random.key(seed)


def gradient(
    defense, features=FEATURES[0], labels=LABELS[0], seed: int | None = 7, params=PARAMS
):
    key = None if seed is None else key_of(seed)
    return protocol.batch_gradient(
        MODEL, params, features, labels, CLASSES, defense=defense, key=key
    )


def update(defense, steps=2, key=None, learning_rate=0.3):
    key = key_of() if key is None and defense is not None else key
    return protocol.local_update(
        MODEL,
        PARAMS,
        FEATURES[:steps],
        LABELS[:steps],
        learning_rate=learning_rate,
        num_classes=CLASSES,
        defense=defense,
        key=key,
    )


def entries_of(tree):
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves)


def clip_by_loop(features, labels, norm):
    """One gradient after the other, in NumPy."""
    total, lengths = 0.0, []
    for sample, label in zip(features, labels, strict=True):
        one = entries_of(gradient(None, sample[None], label[None]))
        lengths.append(np.linalg.norm(one))
        total = total + one * min(1.0, norm / lengths[-1])
    return total / len(features), lengths


def test_clipping_of_single_samples_equals_a_loop():
    expected, lengths = clip_by_loop(FEATURES[0], LABELS[0], 1.0)
    assert min(lengths) < 1.0 < max(lengths)
    clip = ExampleClipping(clip_norm=1.0, noise_multiplier=0.0)
    np.testing.assert_allclose(entries_of(gradient(clip)), expected, atol=1e-6)
    whole = entries_of(gradient(None))
    wrong = whole * min(1.0, 1.0 / np.linalg.norm(whole))
    assert not np.allclose(expected, wrong, atol=1e-3)


def test_a_large_norm_clips_nothing():
    clip = ExampleClipping(clip_norm=1e6, noise_multiplier=0.0)
    sent, plain = gradient(clip), gradient(None)
    np.testing.assert_allclose(entries_of(sent), entries_of(plain), atol=1e-6)


def test_one_sample_moves_the_mean_by_two_norms_at_most():
    clip = ExampleClipping(clip_norm=0.01, noise_multiplier=0.0)
    other = FEATURES[0].at[2].multiply(-50.0)
    labels = LABELS[0].at[2].set((LABELS[0][2] + 1) % CLASSES)
    moved = entries_of(gradient(clip)) - entries_of(gradient(clip, other, labels))
    assert 0.001 < np.linalg.norm(moved) <= 2 * 0.01 / 6 * (1 + 1e-4)


@pytest.mark.parametrize("steps", [1, 2])
def test_noise_of_clipped_samples_has_its_distribution_and_no_other(steps):
    """σ·C/B = 2·.5/6 in each step; the clip leaves gradients of .5/6 at most.

    With a tiny learning rate the steps are at the same parameters, so that all else
    than the noise is known: that of K steps has a variance K times as large.
    """
    noisy = ExampleClipping(clip_norm=0.5, noise_multiplier=2.0)
    clip = ExampleClipping(clip_norm=0.5, noise_multiplier=0.0)

    @jax.vmap
    def draw(key):
        return update(noisy, steps, key, learning_rate=1e-7)

    drawn = draw(jax.random.split(key_of(), 200))
    clean = update(clip, steps, learning_rate=1e-7)
    noise = jax.tree.map(lambda many, one: many - one[None], drawn, clean)
    scale = 2.0 * 0.5 / 6 * steps**0.5
    right, wrong = scipy.stats.norm(scale=scale), scipy.stats.norm(scale=1.1 * scale)
    assert scipy.stats.kstest(entries_of(noise), right.cdf).pvalue > 0.01
    assert scipy.stats.kstest(entries_of(noise), wrong.cdf).pvalue < 1e-4


def test_a_step_starts_where_the_noise_of_the_one_before_left_the_parameters():
    defense = ExampleClipping(clip_norm=1.0, noise_multiplier=1.0)

    def step(number, params):
        key = jax.random.fold_in(key_of(), number)
        batch = FEATURES[number], LABELS[number], CLASSES
        return protocol.batch_gradient(MODEL, params, *batch, defense=defense, key=key)

    first = step(0, PARAMS)
    moved = jax.tree.map(lambda w, g: w - 0.3 * g, PARAMS, first)
    second = step(1, moved)
    expected = entries_of(first) + entries_of(second)
    np.testing.assert_allclose(entries_of(update(defense)), expected, atol=1e-5)


def test_dropout_is_in_the_loss():
    """The gradient of the loss of the logits that one mask leaves."""
    defense = LogitDropout(rate=0.5)
    key_logits, _ = jax.random.split(key_of())
    logits = models.embed(MODEL, PARAMS, FEATURES[0])
    mask = np.asarray(defense.perturb_logits(key_logits, jnp.ones_like(logits)))
    assert set(np.unique(mask)) == {0.0, 2.0}

    def loss(params):
        kept = models.embed(MODEL, params, FEATURES[0]) * mask
        return losses.cross_entropy(kept, jax.nn.one_hot(LABELS[0], CLASSES))

    expected = jax.grad(loss)(PARAMS)
    np.testing.assert_allclose(
        entries_of(gradient(defense)), entries_of(expected), rtol=1e-5, atol=1e-7
    )


def test_dropout_drops_at_its_rate_and_keeps_the_mean():
    logits = jnp.full((400, 50), 3.0)
    dropped = np.asarray(LogitDropout(rate=0.2).perturb_logits(key_of(), logits))
    assert np.mean(dropped == 0) == pytest.approx(0.2, abs=0.01)  # 3.5 standard errors
    np.testing.assert_allclose(dropped[dropped != 0], 3.0 / 0.8, rtol=1e-6)


def test_strength_zero_is_exactly_no_defense():
    np.testing.assert_array_equal(
        entries_of(update(LogitDropout(rate=0.0))), entries_of(update(None))
    )


def test_a_defense_of_the_sent_update_leaves_local_steps_as_they_are():
    assert not Signs().acts_in_steps
    sent, plain = update(Signs()), update(None)
    np.testing.assert_array_equal(entries_of(sent), entries_of(plain))


def test_a_chain_acts_in_steps_and_afterwards():
    """Clipped and noised in the step; both orders of the parts are one and the same."""
    clip = ExampleClipping(clip_norm=1.0, noise_multiplier=0.0)
    for parts in ((clip, Signs()), (Signs(), clip)):
        both = Chain(*parts)
        assert both.example_clip_norm == 1.0
        of_step = update(both, steps=1)
        expected, _ = clip_by_loop(FEATURES[0], LABELS[0], 1.0)
        np.testing.assert_allclose(entries_of(of_step), expected, atol=1e-6)
        sent, _ = both.perturb_update(key_of(), both.init_update(of_step), of_step)
        np.testing.assert_array_equal(entries_of(sent), np.sign(entries_of(of_step)))
    dropping = Chain(LogitDropout(rate=0.5), clip)
    assert not np.allclose(entries_of(gradient(dropping)), expected, atol=1e-3)


@pytest.mark.parametrize(
    "defense",
    [
        ExampleClipping(clip_norm=1.0, noise_multiplier=1.0),
        LogitDropout(rate=0.5),
        Chain(LogitDropout(rate=0.5), ExampleClipping(noise_multiplier=1.0)),
    ],
)
def test_jit_and_vmap_over_participants_equal_a_loop(defense):
    places = range(3)

    def keys():
        return jax.random.split(key_of(), 3)

    mapped = jax.jit(jax.vmap(lambda key: update(defense, key=key)))(keys())
    alone = [entries_of(update(defense, key=keys()[place])) for place in places]
    for place in places:
        of_place = jax.tree.map(lambda leaf, i=place: leaf[i], mapped)
        np.testing.assert_allclose(
            entries_of(of_place), alone[place], rtol=1e-4, atol=1e-6
        )
    assert not np.allclose(alone[0], alone[1], atol=1e-3)


def test_messages_are_no_place_for_a_defense_of_local_steps():
    with pytest.raises(ValueError, match="defense: LogitDropout acts on updates"):
        protocol.sum_of_logits(
            (MODEL, MODEL),
            [optax.sgd(0.1)] * 2,
            num_classes=CLASSES,
            defense=LogitDropout(rate=0.5),
        )


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match="key=None: must be a key, LogitDropout acts"):
        gradient(LogitDropout(rate=0.5), seed=None)
    network = models.ResNet(depth=8).make(CLASSES)
    images = jnp.zeros((2, 8, 8, 3))
    statistics = models.init_statistics(network, images)
    forward = models.Forward(statistics, is_training=True)
    with pytest.raises(ValueError, match=r"forward\.is_training=True: must be False"):
        protocol.batch_gradient(
            network,
            network.init(jax.random.key(0), images),
            images,
            LABELS[0][:2],
            CLASSES,
            forward,
            defense=ExampleClipping(),
            key=key_of(),
        )

"""MixMatch step by step, on sizes that can be worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models
from vfljax.attacks import mixmatch as method
from vfljax.attacks.mixmatch import LabeledRows, MixMatch, Weights


def test_halves_are_swapped_and_swapped_back():
    """[[0 1 2 3], [4 5 6 7]]: each batch keeps its first half."""
    pair = jnp.arange(8).reshape(2, 4)
    swapped = method._interleave(pair)
    np.testing.assert_array_equal(swapped, [[0, 1, 6, 7], [4, 5, 2, 3]])
    np.testing.assert_array_equal(method._interleave(swapped), pair)


def test_loss_by_hand():
    """Labeled: −log of 3/4. Unlabeled: ((1/2 − 1)² + (1/2 − 0)²)/2 = 1/4, twice."""
    logits = jnp.log(jnp.array([[[3.0, 1.0]], [[1.0, 1.0]]]))
    targets = jnp.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    loss = method.mixmatch_loss(logits, targets, 2.0)
    np.testing.assert_allclose(loss, -np.log(0.75) + 2.0 * 0.25, rtol=1e-6)


def test_sharpening_by_hand():
    """T = 1/2 squares: .9² : .1² = 81 : 1. T = 1 changes nothing."""
    rows = jnp.array([[0.9, 0.1]])
    np.testing.assert_allclose(
        method.sharpen(rows, 0.5), [[81 / 82, 1 / 82]], rtol=1e-5
    )
    np.testing.assert_allclose(method.sharpen(rows, 1.0), rows, rtol=1e-6)
    gradient = jax.grad(lambda r: method.sharpen(r, 0.5)[0, 0])(rows)
    np.testing.assert_array_equal(gradient, 0.0)


def test_mixing_keeps_at_least_half_of_each_sample():
    inputs, targets = jnp.eye(6), jnp.eye(6)
    for seed in range(20):
        mixed, mixed_targets = method._mix(jax.random.key(seed), inputs, targets, 0.75)
        np.testing.assert_array_equal(mixed, mixed_targets)
        np.testing.assert_allclose(mixed.sum(axis=1), 1.0, rtol=1e-6)
        assert np.diagonal(mixed).min() >= 0.5 - 1e-6


@pytest.fixture
def problem():
    """Two Gaussian clouds, a linear bottom model, one known sample of each."""
    keys = jax.random.split(jax.random.key(0), 2)
    labels = jnp.tile(jnp.array([0, 1]), 20)
    centers = jnp.array([[2.0, 0.0], [-2.0, 0.0]])
    features = centers[labels] + 0.3 * jax.random.normal(keys[0], (40, 2))
    network = models.completed(models.mlp((), embed=3), num_classes=2)
    start = Weights(
        network.init(keys[1], features), models.init_statistics(network, features)
    )
    known = LabeledRows(jnp.array([0, 1]), jnp.array([0, 1]))
    return network, start, features, known, labels


def run(problem, settings=method.DEFAULTS, frozen=(), epochs=3, steps=4, seed=1):
    network, start, features, known, _ = problem
    final, teachers, losses = method.mixmatch(
        jax.random.key(seed),
        network,
        start,
        features,
        known,
        settings,
        num_classes=2,
        num_epochs=epochs,
        steps_per_epoch=steps,
        batch_size=4,
        evaluate=lambda teacher: teacher,
        frozen=frozen,
    )
    jax.tree.map(
        lambda last, leaf: (
            np.testing.assert_array_equal(last, leaf[-1]) if frozen else None
        ),
        final,
        teachers,
    )
    return teachers, losses


def test_the_frozen_part_of_the_teacher_stays(problem):
    _, start, *_ = problem
    teachers, _ = run(problem, frozen=("bottom",))
    for name in ("params", "statistics"):
        jax.tree.map(
            lambda leaf, at_start: np.testing.assert_array_equal(leaf[-1], at_start),
            getattr(teachers, name)["bottom"],
            getattr(start, name)["bottom"],
        )
    head = jax.tree.leaves(teachers.params["head"])
    assert any(not np.allclose(leaf[0], leaf[-1]) for leaf in head)
    teachers, _ = run(problem)
    assert not np.allclose(
        teachers.params["bottom"]["output"]["kernel"][-1],
        start.params["bottom"]["output"]["kernel"],
    )


SCALE, KNOWN_X, OTHER_X = 1.5, 2.0, -1.0  # s, x, u
START = Weights(
    {"bottom": {"scale": SCALE}, "head": {"kernel": [0.3, -0.2]}},
    {"bottom": {"mean": 0.4}, "head": {"mean": 0.7}},
)


def centered_network():
    """f(x) = (s x − m) k, where m, and in the head v, are running means.

    Both move by a tenth per batch. Unlike batch normalization it uses the running mean
    in training too, so that losses show what happens to m.
    """

    def run(params, features, forward):
        m, v = forward.statistics["bottom"]["mean"], forward.statistics["head"]["mean"]
        scaled = params["bottom"]["scale"] * features
        inputs = scaled - m
        after = {
            "bottom": {"mean": 0.9 * m + 0.1 * jnp.mean(scaled)},
            "head": {"mean": 0.9 * v + 0.1 * jnp.mean(inputs)},
        }
        return inputs * params["head"]["kernel"][None], after

    return models.PartyModel(
        init=lambda key, features: START.params,
        apply=lambda params, features: features,
        init_statistics=lambda features: START.statistics,
        run=run,
    )


def by_hand(settings, num_steps):
    """Two known samples [x, x] of class 1, two others [u, u]; λ = 1, so X' = X.

    They run in batches [x, u] and [u, x], after [u, u] for the guesses. Only k has a
    gradient: g (softmax − target) of cross-entropy with g = s x − m, and
    2 g p ⊙ (d − Σ d p)/4 with d = p − q of the mean of four squared errors.
    """

    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    rate, kept = settings.learning_rate, 1 - settings.shrink * settings.learning_rate
    k = np.array(START.params["head"]["kernel"])
    m, v = START.statistics["bottom"]["mean"], START.statistics["head"]["mean"]
    mean_k, mean_v = k, v  # the teacher's
    first, second = np.zeros(2), np.zeros(2)  # Adam's moments
    losses, teachers = [], []
    for step in range(num_steps):
        weight = settings.unlabeled_weight * step / num_steps
        powers = softmax(k * (SCALE * OTHER_X - m)) ** (1 / settings.temperature)
        q, loss, gradient = powers / powers.sum(), 0.0, np.zeros(2)
        for batch in ((OTHER_X, OTHER_X), (KNOWN_X, OTHER_X), (OTHER_X, KNOWN_X)):
            inputs = SCALE * np.array(batch) - m
            for x, g in zip(batch, inputs, strict=True):
                p, d = softmax(k * g), softmax(k * g) - q
                if x == KNOWN_X:
                    loss -= np.log(p[1]) / 2
                    gradient += g * (p - [0, 1]) / 2
                elif KNOWN_X in batch:
                    loss += weight * (d**2).sum() / 4
                    gradient += weight * 2 * g * p * (d - d @ p) / 4
            v = 0.9 * v + 0.1 * inputs.mean()
            m = 0.9 * m + 0.1 * SCALE * np.mean(batch)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + gradient**2 / 1e3
        corrected = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        k = k - rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        decay = settings.ema_decay
        mean_k = decay * mean_k + (1 - decay) * k
        mean_v = decay * mean_v + (1 - decay) * v
        k, v = kept * k, kept * v  # but not m, which belongs to the frozen part
        losses.append(loss)
        teachers.append((mean_k, mean_v))
    return losses, teachers


def test_two_steps_by_hand():
    """t = 0 and T/2 with large settings: each shows in a loss or in the teacher."""
    settings = MixMatch(
        learning_rate=0.2,
        temperature=0.5,
        alpha=1e-4,  # λ = 1
        unlabeled_weight=4.0,
        ema_decay=0.5,
        shrink=0.5,
    )
    _, teachers, losses = method.mixmatch(
        jax.random.key(3),
        centered_network(),
        jax.tree.map(jnp.asarray, START, is_leaf=lambda leaf: isinstance(leaf, list)),
        jnp.array([[OTHER_X], [KNOWN_X], [OTHER_X]]),
        LabeledRows(jnp.array([1]), jnp.array([1])),
        settings,
        num_classes=2,
        num_epochs=2,
        steps_per_epoch=1,
        batch_size=2,
        evaluate=lambda teacher: teacher,
        frozen=("bottom",),
    )
    expected_losses, expected = by_hand(settings, num_steps=2)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for step, (kernel, mean) in enumerate(expected):
        found = jax.tree.map(lambda leaf, step=step: leaf[step], teachers)
        np.testing.assert_allclose(found.params["head"]["kernel"], kernel, atol=1e-5)
        np.testing.assert_allclose(found.statistics["head"]["mean"], mean, rtol=1e-5)
        assert found.params["bottom"]["scale"] == SCALE
        np.testing.assert_allclose(found.statistics["bottom"]["mean"], 0.4, rtol=1e-6)


def test_no_rate_or_no_averaging_leaves_the_teacher_as_it_was(problem):
    """With η = 0 nothing moves. With decay 1 the teacher stays where it started."""
    _, start, *_ = problem
    for settings in (MixMatch(learning_rate=0.0), MixMatch(ema_decay=1.0)):
        teachers, losses = run(problem, settings)
        jax.tree.map(
            lambda leaf, at_start: np.testing.assert_allclose(
                leaf[-1], at_start, rtol=1e-5
            ),
            teachers.params,
            start.params,
        )
        assert np.isfinite(losses).all()


def test_settings_may_be_mapped(problem):
    rates = jnp.array([0.0, 2e-3])
    teachers, losses = jax.vmap(
        lambda rate: run(problem, MixMatch(learning_rate=rate), epochs=2)
    )(rates)
    alone, alone_losses = run(problem, MixMatch(learning_rate=2e-3), epochs=2)
    np.testing.assert_allclose(losses[1], alone_losses, rtol=1e-4)
    np.testing.assert_allclose(
        teachers.params["head"]["layer_0"]["kernel"][1],
        alone.params["head"]["layer_0"]["kernel"],
        rtol=1e-4,
    )


def test_two_known_samples_name_two_clouds(problem):
    network, start, features, known, labels = problem

    def evaluate(teacher):
        forward = models.Forward(teacher.statistics)
        return jnp.argmax(models.embed(network, teacher.params, features, forward), 1)

    _, predicted, losses = method.mixmatch(
        jax.random.key(5),
        network,
        start,
        features,
        known,
        MixMatch(learning_rate=0.02, ema_decay=0.9),
        num_classes=2,
        num_epochs=5,
        steps_per_epoch=50,
        batch_size=8,
        evaluate=evaluate,
    )
    assert predicted.shape == (5, 40)
    assert jnp.mean(predicted[-1] == labels) > 0.95
    assert losses[0] > 0

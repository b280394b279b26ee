"""What a defense may do besides perturbing: targets of its own, and a penalty."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import defenses, losses, models, protocol

CLASSES, WIDTHS, SAMPLES = 3, (5, 4), 24
KEY = jax.random.key
FEATURES = [jax.random.normal(KEY(width), (SAMPLES, width)) for width in WIDTHS]
LABELS = jax.random.randint(KEY(0), (SAMPLES,), 0, CLASSES)
ROWS = jnp.arange(SAMPLES)


def make_protocol(kind, defense):
    """Two parties; with a top model, embeddings are two wide and it is one layer."""
    rates = (optax.adam(0.05),) * 2
    if kind == "sum":
        model = models.mlp((6,), embed=CLASSES)
        return protocol.sum_of_logits(
            (model, model), rates, num_classes=CLASSES, defense=defense
        )
    model = models.mlp((6,), embed=2)
    top = models.top_mlp((CLASSES,), batch_norm=False)
    return protocol.model_splitting(
        (model, model), rates, top, rates[0], num_classes=CLASSES, defense=defense
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlwaysFirst(defenses.Defense):
    """Trains every sample on class 0."""

    def prepare_targets(self, key, labels):
        return jnp.zeros_like(labels).at[:, 0].set(1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shuffled(defenses.Defense):
    """Trains each sample on some other sample's label, drawn once."""

    def prepare_targets(self, key, labels):
        return labels[jax.random.permutation(key, len(labels))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shrinks(defenses.Defense):
    """Adds a penalty that differs between parties, samples and targets."""

    weight: float = 0.3

    def penalty(self, embeddings, targets):
        first, second = embeddings
        by_sample = jnp.sum(first**2, axis=1) + 3 * jnp.sum(second, axis=1)
        return self.weight * jnp.mean(by_sample * targets[:, 1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doubles(Shrinks):
    """And sends twice what comes of it."""

    def perturb(self, key, state, gradients, labels, sample_ids):
        return 2 * gradients, state


KINDS = pytest.mark.parametrize("kind", ["sum", "top"])


@KINDS
def test_a_model_learns_the_targets_that_were_prepared(kind):
    """Class 0 for everybody, whatever the labels are."""
    run = make_protocol(kind, AlwaysFirst())
    state = run.prepare(KEY(2), run.init(KEY(1), FEATURES), LABELS)
    assert state.targets.shape == (SAMPLES, CLASSES)
    batches = jnp.tile(ROWS, (60, 1))
    trained, _ = protocol.train(run, KEY(3), state, FEATURES, LABELS, batches)
    predicted = jnp.argmax(run.predict(trained, FEATURES), axis=1)
    assert set(np.asarray(LABELS).tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(predicted, 0)


@KINDS
def test_targets_belong_to_samples(kind):
    """A batch is trained on the rows of the samples that are in it."""
    run, plain = make_protocol(kind, Shuffled()), make_protocol(kind, None)
    state = run.prepare(KEY(9), run.init(KEY(1), FEATURES), LABELS)
    batch = jnp.array([7, 2, 2, 19])
    sent, _ = run.exchange(
        KEY(3), state, [part[batch] for part in FEATURES], LABELS[batch], batch
    )
    other = LABELS[jax.random.permutation(KEY(9), SAMPLES)][batch]
    assert jnp.any(other != LABELS[batch])
    expected, _ = plain.exchange(
        KEY(3),
        plain.init(KEY(1), FEATURES),
        [part[batch] for part in FEATURES],
        other,
        batch,
    )
    for found, known in zip(sent.gradients, expected.gradients, strict=True):
        np.testing.assert_allclose(found, known, atol=1e-6)


@KINDS
@pytest.mark.parametrize(("defense", "factor"), [(Shrinks(), 1), (Doubles(), 2)])
def test_a_penalty_adds_its_gradient_to_every_message(kind, defense, factor):
    """The label party's own message is clean, but has the penalty's gradient too."""
    run, plain = make_protocol(kind, defense), make_protocol(kind, None)
    inputs = FEATURES, LABELS, ROWS
    sent, _ = run.exchange(KEY(3), run.init(KEY(1), FEATURES), *inputs)
    without, _ = plain.exchange(KEY(3), plain.init(KEY(1), FEATURES), *inputs)
    targets = jax.nn.one_hot(LABELS, CLASSES)
    added = jax.grad(defense.penalty)(tuple(sent.embeddings), targets)
    assert all(float(jnp.max(jnp.abs(part))) > 1e-3 for part in added)
    assert not np.allclose(added[0], added[1], atol=1e-4)
    for party, times in ((0, factor), (1, 1)):
        np.testing.assert_allclose(
            sent.gradients[party],
            times * (without.gradients[party] + added[party]),
            atol=1e-6,
        )
    assert sent.loss == pytest.approx(
        float(without.loss + defense.penalty(tuple(sent.embeddings), targets)), rel=1e-5
    )


def test_a_penalty_is_trained_on():
    """The whole loss by hand, its gradient for every weight of both parties."""
    defense = Shrinks()
    run = make_protocol("sum", defense)
    state = run.init(KEY(1), FEATURES)
    targets = jax.nn.one_hot(LABELS, CLASSES)

    def loss(params):
        embeddings = tuple(map(models.embed, run.models, params, FEATURES))
        penalty = defense.penalty(embeddings, targets)
        return losses.cross_entropy(embeddings[0] + embeddings[1], targets) + penalty

    sent, _ = run.exchange(KEY(3), state, FEATURES, LABELS, ROWS)
    expected = jax.grad(loss)(state.params)
    for found, known in zip(
        jax.tree.leaves(sent.batch_gradients), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, known, atol=1e-6)


@KINDS
def test_without_hooks_there_is_nothing_to_prepare_or_to_add(kind):
    run = make_protocol(kind, defenses.DPGaussian(noise_std=0.1))
    state = run.init(KEY(1), FEATURES)
    assert run.prepare(KEY(3), state, LABELS) is state
    assert run.sends_one_message == (kind == "sum")
    assert not make_protocol(kind, Shrinks()).sends_one_message

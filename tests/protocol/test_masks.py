"""Participants with dropout: masks of each step, which no view shows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vfljax import defenses, losses, models, protocol
from vfljax.protocol import Batches, FederatedAveraging, FederatedSGD

CLASSES, RATE = 3, 0.3


class _Dropping(nn.Module):
    @nn.compact
    def __call__(self, x, is_training):
        is_kept = not models.is_dropping(self, is_training)
        x = nn.Dropout(0.5, deterministic=is_kept)(nn.Dense(16, name="hidden")(x))
        return nn.Dense(CLASSES, name="output")(x)


MODEL = models.stateful_model(_Dropping(), has_statistics=False, drops=True)
SILENT = MODEL._replace(drops=False)  # as if nobody had said that it drops
ROWS = np.random.default_rng(0)
FEATURES = jnp.asarray(ROWS.normal(size=(2, 6, 4)), jnp.float32)
LABELS = jnp.asarray(ROWS.integers(0, CLASSES, (2, 6)))
PARAMS = MODEL.init(jax.random.key(0), FEATURES[0])
TRAINING = models.Forward(is_training=True)


def entries_of(tree):
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree)])


def update(seed: int | None, model=MODEL, forward=TRAINING, steps=2):
    key = None if seed is None else jax.random.key(seed)
    return protocol.local_update(
        model,
        PARAMS,
        FEATURES[:steps],
        LABELS[:steps],
        num_classes=CLASSES,
        forward=forward,
        key=key,
        learning_rate=RATE,
    )


def slope(params, step, key):
    """The gradient of one batch with the masks of a key, written out."""

    def loss(params):
        forward = models.Forward((), key, is_training=True)
        logits = models.embed(MODEL, params, FEATURES[step], forward)
        return losses.cross_entropy(logits, jax.nn.one_hot(LABELS[step], CLASSES))

    return jax.grad(loss)(params)


def test_each_step_has_masks_of_its_own():
    """Two steps by hand: the masks' key is half of the step's."""

    def masks(step):
        return jax.random.split(jax.random.fold_in(jax.random.key(7), step))[0]

    first = slope(PARAMS, 0, masks(0))
    moved = jax.tree.map(lambda w, g: w - RATE * g, PARAMS, first)
    expected = jax.tree.map(jnp.add, first, slope(moved, 1, masks(1)))
    found = entries_of(update(7))
    np.testing.assert_allclose(found, entries_of(expected), rtol=1e-4, atol=1e-6)
    repeated = jax.tree.map(jnp.add, first, slope(moved, 1, masks(0)))
    assert np.abs(found - entries_of(repeated)).max() > 1e-3


def test_what_draws_no_masks():
    """A network that does not say it drops, evaluation, and a step without a key."""
    full = entries_of(update(None))
    for plain in (
        update(7, model=SILENT),
        update(7, forward=models.EVALUATION),
        update(None),
    ):
        np.testing.assert_allclose(entries_of(plain), full, rtol=1e-5, atol=1e-7)
    assert np.abs(entries_of(update(7)) - full).max() > 1e-3


def test_a_given_key_of_masks_stands():
    given = models.Forward((), jax.random.key(3), is_training=True)
    one = entries_of(update(7, forward=given, steps=1))
    expected = entries_of(slope(PARAMS, 0, jax.random.key(3)))
    np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-7)


def test_clipped_samples_have_masks_of_their_own():
    """Six equal samples would have one gradient under one mask: its rank says which."""
    clip = defenses.ExampleClipping(clip_norm=1e6, noise_multiplier=0.0)
    same = jnp.broadcast_to(FEATURES[0, :1], (6, 4)), jnp.zeros(6, int)

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def bias(defense, rows):
        return protocol.batch_gradient(
            MODEL,
            PARAMS,
            same[0][:rows],
            same[1][:rows],
            CLASSES,
            TRAINING,
            defense=defense,
            key=jax.random.key(5),
        )["hidden"]["bias"]

    one, six = (np.asarray(bias(clip, rows)) for rows in (1, 6))
    assert (one == 0).any()
    assert (six != 0).sum() > (one != 0).sum()


@pytest.mark.parametrize(
    "of_round",
    [
        FederatedSGD(num_participants=3),
        FederatedAveraging(num_participants=3, local_steps=2),
    ],
)
def test_a_round_of_participants(of_round):
    """Equal participants with equal batches send other updates; the view has no key."""
    steps = of_round.num_steps(6, 6)

    def begin(model):
        run = of_round.make(
            model,
            optax.sgd(RATE),
            defense=defenses.NoDefense(),
            num_classes=CLASSES,
            learning_rate=RATE,
            num_steps=steps,
        )
        return run, run.init(jax.random.key(0), FEATURES[0])

    batches = Batches(
        jnp.stack([FEATURES[:steps]] * 3),
        jnp.stack([LABELS[:steps]] * 3),
        jnp.arange(3),
        jnp.full(3, 1 / 3),
    )
    run, state = begin(MODEL)
    transcript, _ = jax.jit(run.exchange)(jax.random.key(1), state, batches)
    kernels = np.asarray(transcript.updates["output"]["kernel"])
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3
    view = run.view(state, transcript, 6, (4,))
    assert view.forward.is_training
    assert view.forward.dropout_key is None
    silent, state = begin(SILENT)
    assert not silent.forward(state).is_training
    sent = jax.jit(silent.exchange)(jax.random.key(1), state, batches)[0].updates
    plain = np.asarray(sent["output"]["kernel"])
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-5, atol=1e-7)


def test_networks_say_whether_they_drop():
    words = 9
    for network, drops in (
        (models.FaceCNN(dropout=0.1), True),
        (models.FaceCNN(), False),
        (models.FaceVGG(dropout=0.1), True),
        (models.TextCNN(vocabulary_size=words, dropout=0.1), True),
        (models.TextCNN(vocabulary_size=words), False),
        (models.GRUClassifier(vocabulary_size=words), False),
        (models.ResNet18(), True),
        (models.ResNet18(dropout=0), False),
        (models.ResNet(), False),
        (models.TextEncoder(), True),
        (models.TextEncoder(dropout=0), False),
        (models.MLP(), False),
    ):
        assert network.make(2).drops == drops, network
    assert models.completed(models.TextEncoder().make(2), num_classes=2).drops

"""Calibrated counts on MNIST under local steps and defenses, where others fail.

Anchors are no published numbers. All batches have
one network: mapped over their updates, an attack simulates once.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, data, models, protocol
from vfljax.goals.label_counts import guessed_overlap, overlap
from vfljax.known import Known

MODEL = models.SigmoidCNN(start_bound=0.5).make(10)
NUM_BATCHES = 50
NUM_AUXILIARY = 2000


def plain(key, update):
    return update


def noisy(key, update):
    """Adds a noise of .1 to every entry."""
    leaves, tree = jax.tree.flatten(update)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(leaves, keys, strict=True)
    return tree.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for x, k in pairs])


def signs(key, update):
    return jax.tree.map(jnp.sign, update)


def label_sets(generator, num_steps):
    """Half of eight labels of one class, a quarter of another; alike in all steps."""
    sets = []
    for _ in range(NUM_BATCHES):
        first, second = generator.choice(10, 2, replace=False)
        rest = generator.integers(0, 10, 2)
        batch = np.concatenate([np.full(4, first), np.full(2, second), rest])
        sets.append(np.tile(batch, (num_steps, 1)))
    return np.stack(sets)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_steps", "learning_rate", "defense", "least"),
    [
        (1, 0.1, plain, 0.98),
        (1, 0.1, noisy, 0.98),
        (1, 0.1, signs, 0.655),
        (10, 1e-3, plain, 0.97),
        (10, 1e-2, plain, 0.82),
        (10, 1e-1, plain, 0.74),
    ],
    ids=["undefended", "noise", "signs", "rate .001", "rate .01", "rate .1"],
)
def test_counts_stay_in_their_band(num_steps, learning_rate, defense, least, data_dir):
    images = data.load("mnist", data_dir)
    features = jnp.asarray(images.test_features)
    labels = np.asarray(images.test_labels)
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(labels))
    own, others = rows[:NUM_AUXILIARY], rows[len(rows) // 2 :]
    truth = label_sets(generator, num_steps)
    of_class = [others[labels[others] == c] for c in range(10)]
    flat = [generator.choice(of_class[c]) for c in truth.ravel()]
    chosen = np.array(flat).reshape(truth.shape)
    params = MODEL.init(jax.random.key(0), features[:8])

    def send(params, rate, key, features, labels):
        sent = protocol.local_update(
            MODEL, params, features, labels, learning_rate=rate, num_classes=10
        )
        return defense(key, sent)

    @jax.jit
    def attack_all(params, rate, features, rows, labels, known):
        simulate = jax.tree_util.Partial(send, params, rate)
        known = known.replace(simulate=simulate)
        keys = jax.random.split(jax.random.key(1), NUM_BATCHES)

        def one(trial):
            return simulate(trial[0], features[trial[1]], trial[2])

        updates = jax.lax.map(one, (keys, rows, labels), batch_size=10)
        view = protocol.UpdateView(
            model=MODEL,
            params=params,
            update=params,
            learning_rate=rate,
            num_classes=10,
            batch_size=8,
            sample_shape=(28, 28),
            num_steps=num_steps,
        )

        def attack(update):
            seen = dataclasses.replace(view, update=update)
            return attacks.CalibratedCounts()(jax.random.key(2), seen, known).counts

        return jax.vmap(attack)(updates)

    known = Known(
        auxiliary_features=features[own], auxiliary_labels=jnp.asarray(labels[own])
    )
    found = np.asarray(
        attack_all(params, learning_rate, features, chosen, jnp.asarray(truth), known)
    )
    true = [np.bincount(each.ravel(), minlength=10) for each in truth]
    rate = np.mean([overlap(c, t) for c, t in zip(found, true, strict=True)])
    chance = np.mean([guessed_overlap(tuple(t.tolist())) for t in true])
    print(f"{rate:.3f}, chance {chance:.3f}")
    assert rate >= least > chance

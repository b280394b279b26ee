"""Model completion against a bottom model that learned, and one that did not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, models, protocol
from vfljax.attacks import LabeledRows, MixMatch

CLASSES, SAMPLES = 4, 320
OPTIONS = {
    "settings": MixMatch(learning_rate=0.01, ema_decay=0.95),
    "num_epochs": 6,
    "steps_per_epoch": 40,
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def trained():
    """Classes are the signs of two of sixteen noisy columns: easy only once known."""
    keys = jax.random.split(jax.random.key(0), 5)
    labels = jax.random.randint(keys[0], (SAMPLES,), 0, CLASSES)
    signs = jnp.stack([labels // 2, labels % 2], axis=1) * 2.0 - 1.0
    own = jax.random.normal(keys[1], (SAMPLES, 16)) * 2.0
    own = own.at[:, :2].set(signs + 0.25 * jax.random.normal(keys[2], (SAMPLES, 2)))
    other = jax.random.normal(keys[3], (SAMPLES, 4))
    run = protocol.model_splitting(
        (models.mlp((16,), embed=CLASSES),) * 2,
        (optax.adam(0.01),) * 2,
        models.top_mlp((8, CLASSES), batch_norm=False),
        optax.adam(0.01),
        num_classes=CLASSES,
    )
    state = run.init(keys[4], [own, other])
    rows = protocol.epoch_batches(jax.random.key(6), SAMPLES, 32, 300)
    state, _ = protocol.train(run, jax.random.key(7), state, [own, other], labels, rows)
    view = protocol.trained_model_view(run, state, own)
    rows = jnp.array([jnp.argmax(labels == c) for c in range(CLASSES)])
    return view, LabeledRows(rows, labels[rows]), labels


def accuracy(inference, labels):
    return float(jnp.mean(inference.labels == labels))


@pytest.mark.parametrize("options", [{}, {"mix": "feature"}, {"finetune_bottom": True}])
def test_one_known_label_per_class_names_what_was_learned(options, trained):
    view, known, labels = trained
    inference = attacks.model_completion(
        jax.random.key(1), view, known, **OPTIONS, **options
    )
    assert accuracy(inference, labels) > 0.7
    assert inference.finite
    np.testing.assert_array_equal(inference.info.ranks[-1, :, 0], inference.labels)
    assert inference.info.ranks.shape == (6, SAMPLES, CLASSES)
    assert inference.info.other_ranks.shape == (6, 0, CLASSES)
    assert inference.info.losses.shape == (6,)


def test_more_than_from_the_features_alone(trained):
    view, known, labels = trained
    direct = attacks.direct_semi_supervised(jax.random.key(1), view, known, **OPTIONS)
    completed = attacks.model_completion(jax.random.key(1), view, known, **OPTIONS)
    assert accuracy(completed, labels) > accuracy(direct, labels) + 0.2


def test_the_baseline_does_not_look_at_the_trained_weights(trained):
    view, known, _ = trained
    spoiled = dataclasses.replace(
        view, params=jax.tree.map(lambda leaf: jnp.nan * leaf, view.params)
    )
    few = {**OPTIONS, "num_epochs": 1, "steps_per_epoch": 2}
    first, second = (
        attacks.direct_semi_supervised(jax.random.key(1), v, known, **few)
        for v in (view, spoiled)
    )
    np.testing.assert_array_equal(first.scores, second.scores)


def test_further_samples_are_labeled_too(trained):
    view, known, _ = trained
    few = {**OPTIONS, "num_epochs": 1, "steps_per_epoch": 2}
    inference = attacks.model_completion(
        jax.random.key(1), view, known, other_features=view.features[:7], **few
    )
    np.testing.assert_array_equal(
        inference.info.other_ranks[:, :, 0], inference.info.ranks[:, :7, 0]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 5}, "batch_size=5: must be an even number"),
        ({"num_epochs": 0}, r"num_epochs=0: must be in \[1, inf\]"),
        ({"mix": "label"}, "mix='label': must be one of input, feature"),
        ({"mix": "feature", "finetune_bottom": True}, "mix='feature': .* 'input'"),
    ],
)
def test_arguments_out_of_range(options, message, trained, unchecked_types):
    view, known, _ = trained
    with pytest.raises(ValueError, match=message):
        attacks.model_completion(jax.random.key(0), view, known, **options)


def test_nothing_known_is_refused(trained):
    view, _, _ = trained
    nothing = LabeledRows(jnp.zeros(0, int), jnp.zeros(0, int))
    with pytest.raises(ValueError, match="known: 0 labeled samples"):
        attacks.model_completion(jax.random.key(0), view, nothing)

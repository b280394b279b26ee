"""Taylor mode: only ciphertexts at the active party, a quadratic loss, few defenses."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import defenses
from vfljax.protocol import encrypted


def float64_training(training, noise: Any = 0.0, noise_for_active=True):
    """Gradient descent with momentum .5, rate .1, on the quadratic loss, in NumPy."""
    num_classes, momenta = training.agreement.num_classes, [0.0, 0.0]
    inputs = [*training.passive, training.active]
    weights = [
        np.concatenate([layer["kernel"], layer["bias"][None]]).astype(float)
        for layer in (of_party.params["output"] for of_party in inputs)
    ]
    for rows in training.batches:
        columns = []
        for of_party in inputs:
            rounded = np.rint(of_party.activations[rows] * 2.0**14) / 2.0**14
            columns.append(np.concatenate([rounded, np.ones((len(rows), 1))], axis=1))
        logits = columns[0] @ weights[0] + columns[1] @ weights[1]
        logits = logits - logits.mean(axis=1, keepdims=True)
        truth = np.eye(num_classes)[training.active.labels[rows]]
        message = (logits / num_classes + 1 / num_classes - truth) / len(rows)
        for place in range(2):
            sent = message + (noise if place == 0 or noise_for_active else 0)
            momenta[place] = 0.5 * momenta[place] + columns[place].T @ sent
            weights[place] = weights[place] - 0.1 * momenta[place]
    return weights


def assert_weights(run, expected, tolerance=2e-6):
    for params, weights in zip(run.params, expected, strict=True):
        layer = params["output"]
        found = np.concatenate([layer["kernel"], layer["bias"][None]])
        np.testing.assert_allclose(found, weights, rtol=0, atol=tolerance)


def test_weights_of_the_quadratic_loss(make_training):
    training = make_training(mode="taylor", num_iterations=3)
    run = encrypted.run_here(*training)
    assert_weights(run, float64_training(training))
    assert np.isnan(run.losses).all()
    assert len(run.losses) == 3
    assert run.description["mode"] == "taylor"
    assert "ciphertexts only" in run.description["active_party_sees"]


def test_integers_are_those_without_encryption(make_training):
    make = functools.partial(make_training, 5, (2, 6, 3), mode="taylor")
    real = encrypted.run_here(*make())
    plain = encrypted.run_here(*make(backend="plain_int"))
    for place in (0, 1):
        np.testing.assert_array_equal(
            real.observations[place][1].integers, plain.observations[place][1].integers
        )


def test_messages(make_training):
    """Rows both ways, nothing decrypted but gradients, the active party's too."""
    training = make_training(mode="taylor", num_iterations=1)
    records = encrypted.run_here(*training).messages
    found = [
        (each.sender, each.receiver, each.num_ciphertexts)
        for each in records
        if each.iteration == 0 and each.sender != "network"
    ]
    assert sorted(found) == sorted(
        [
            ("passive_0", "active", 6),
            ("active", "passive_0", 6),
            ("active", "third_party", 1),
            ("third_party", "active", 0),
            ("passive_0", "third_party", 1),
            ("third_party", "passive_0", 0),
        ]
    )


def test_labels_do_not_show_to_the_author_of_the_logits(make_training, make_wire):
    """With `add_plain` the second half of each ciphertext would come back unchanged."""
    wire = make_wire(make_training(mode="taylor", preset="default"))
    passed = wire.run(0)
    sent, received = (
        next(each.parts for each in passed if each.kind == kind)
        for kind in ("embeddings", "logit_gradients")
    )
    for mine, returned in zip(sent, received, strict=True):
        places = np.frombuffer(mine, np.uint8) == np.frombuffer(returned, np.uint8)
        assert places[200:].mean() < 0.05  # 1 in 256, and four zero bits in 64


@pytest.mark.parametrize("covers_label_party", [False, True])
def test_additive_noise(make_training, covers_label_party):
    """The noise is that of the keys; the active party takes off what it knows."""
    defense = defenses.dp_gaussian(
        0.05,
        clip_norm=float("inf"),
        covers_label_party=covers_label_party,
    )
    training = make_training(
        mode="taylor", backend="plain_int", num_iterations=1, defense=defense
    )
    run = encrypted.run_here(*training)
    key = training.active.keys[0]
    noise = 0.05 * np.asarray(jax.random.normal(key, (6, 3)), float)
    assert_weights(run, float64_training(training, noise, covers_label_party))


def test_label_encoding(make_training):
    """Labels encoded as the next class: as if the labels were those."""
    next_class = jnp.eye(3)[jnp.array([1, 2, 0])]
    defense = defenses.cae(defenses.Autoencoder(next_class, None))
    settings = {"mode": "taylor", "backend": "plain_int"}
    encoded = make_training(defense=defense, **settings)
    plain = make_training(**settings)
    active = plain.active._replace(labels=(plain.active.labels + 1) % 3)
    expected = encrypted.run_here(*plain._replace(active=active))
    found = encrypted.run_here(*encoded)
    np.testing.assert_array_equal(
        found.observations[0][1].integers, expected.observations[0][1].integers
    )


@pytest.mark.parametrize(
    ("make_defense", "strength"),
    [
        (defenses.dp_gaussian, 0.05),
        (functools.partial(defenses.sparsification, residual="none"), 0.5),
        (defenses.gradient_compression, 0.5),
        (defenses.discrete_sgd, 6),
        (defenses.isotropic, 1.0),
        (defenses.max_norm, 1.0),
        (defenses.ppdl, 0.5),
        (defenses.marvell, 1.0),
    ],
)
def test_defenses_that_need_the_gradient_are_refused(
    make_training, make_defense, strength
):
    settings = {"mode": "taylor", "backend": "plain_int", "num_classes": 2}
    training = make_training(defense=make_defense(strength), **settings)
    with pytest.raises(ValueError, match=r"defense: .*allowed are defenses that"):
        encrypted.ActiveParty(training.agreement, training.active)


def test_compact_layout_is_refused():
    with pytest.raises(ValueError, match="layout='compact': must be 'row'"):
        encrypted.Agreement(
            num_classes=3,
            batch_size=4,
            widths=(2, 3),
            mode="taylor",
            layout="compact",
            preset="default",
        )

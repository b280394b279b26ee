"""Decoding with the encoder in hand: by hand, and through the protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, protocol
from vfljax.defenses import Defense

SOFT = np.array(
    [
        [0.02, 0.10, 0.58, 0.30],
        [0.45, 0.03, 0.12, 0.40],
        [0.25, 0.70, 0.01, 0.04],
        [0.90, 0.05, 0.05, 0.00],
    ],
    np.float32,
)
PERMUTATION = np.eye(4, dtype=np.float32)[[2, 0, 3, 1]]


def view_of_logits(own):
    """One feature of 1 per sample, weights that are its logits; no gradient needed."""
    model = protocol.PartyModel(
        init=lambda key, x: jnp.zeros((1, 3)), apply=lambda params, x: x @ params
    )
    return protocol.SampleGradientView(
        model, jnp.asarray([own]), jnp.ones((1, 1)), jnp.zeros((1, len(own))), len(own)
    )


def test_by_hand():
    """Label 1, S = (.5, .25, .25), own logits (ln 2, 0, 0): the others sent equal ones.

    B·u = S − ỹ_1 = (−.1, .25, −.15). The implied softmaxes and, less the own logits up
    to a constant, logits are

    0: (−.1, .75, .35),  floored: (−14.509, −.288, −1.050), variance 42.66
    1: (.5, .25, .25):            (−1.386, −1.386, −1.386), variance 0
    2: (.4, .45, .15):            (−1.609, −.799, −1.897), variance .2161
    """
    codebook = jnp.array([[0.0, 0.5, 0.5], [0.6, 0.0, 0.4], [0.5, 0.2, 0.3]])
    recovered = jnp.array([[0.1, -0.25, 0.15]])
    view = view_of_logits([np.log(2.0), 0.0, 0.0])
    inference = attacks.known_encoder(view, recovered, codebook)
    np.testing.assert_allclose(inference.scores, [[-42.66, 0.0, -0.2161]], atol=5e-3)
    np.testing.assert_array_equal(inference.labels, [1])


def test_noise_above_every_probability_tells_nothing_apart():
    """The floor is 1, above all that is implied: only the own logits still vary."""
    own = [np.log(2.0), 0.0, 0.0]
    codebook = jnp.array([[0.0, 0.5, 0.5], [0.6, 0.0, 0.4], [0.5, 0.2, 0.3]])
    recovered = jnp.array([[0.1, -0.25, 0.15]])
    scores = attacks.known_encoder(view_of_logits(own), recovered, codebook, 1.0).scores
    np.testing.assert_allclose(scores, -np.var(own), atol=1e-6)


@pytest.mark.parametrize("codebook", [np.eye(4, dtype=np.float32), PERMUTATION])
def test_codes_without_softness_hide_nothing(codebook, make_exchange):
    """A wrong class implies S_c − 1 < 0 somewhere. Encrypted protocol."""
    exchange = make_exchange(batch=12, classes=4, hidden=(), defense=encoder(codebook))
    recovered = jax.jit(attacks.linear_recovery)(exchange.batch).scores
    inference = attacks.known_encoder(exchange.batch, recovered, jnp.asarray(codebook))
    np.testing.assert_array_equal(inference.labels, exchange.truth)


def test_soft_codes(make_exchange):
    """Untrained parties send moderate logits: nearly all labels, and no impossible one.

    A class is impossible where it implies a negative probability.
    """
    right = []
    for seed in range(4):
        exchange = make_exchange(
            seed, batch=12, classes=4, hidden=(), defense=encoder(SOFT)
        )
        recovered = attacks.direct_inference(exchange.sample).scores
        inference = attacks.known_encoder(exchange.sample, recovered, jnp.asarray(SOFT))
        implied = SOFT[inference.labels] - np.asarray(recovered)
        assert implied.min() > -1e-5
        assert not np.any(np.argmax(recovered, axis=1) == exchange.truth)
        right.append(np.mean(inference.labels == exchange.truth))
    assert np.mean(right) > 0.9


@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments():
    view, recovered = view_of_logits([0.0, 0.0, 0.0]), jnp.zeros((1, 3))
    with pytest.raises(ValueError, match=r"codebook: shape \(2, 3\), must be \(3, 3\)"):
        attacks.known_encoder(view, recovered, jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"recovered: shape \(2, 3\), must be"):
        attacks.known_encoder(view, jnp.zeros((2, 3)), jnp.eye(3))
    with pytest.raises(ValueError, match=r"noise_std=-0\.1: must be in \[0, inf\]"):
        attacks.known_encoder(view, recovered, jnp.eye(3), -0.1)


def encoder(codebook):
    class Encoder(Defense):
        encodes_labels = True

        def encode_labels(self, labels):
            return labels @ jnp.asarray(codebook)

    return Encoder()

"""Entry filtering: rows by hand, and PPDL against who knows it and who doesn't."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, defenses, protocol

linear = protocol.PartyModel(
    init=lambda key, x: jnp.zeros((x.shape[1], 3)), apply=lambda params, x: x @ params
)
as_is = protocol.PartyModel(init=lambda key, x: (), apply=lambda params, x: x)


def sample_view(sent, own):
    """Messages as sent, and what the adversary's own logits say of each."""
    return protocol.SampleGradientView(
        linear, own, jnp.eye(len(sent)), sent, sent.shape[1]
    )


def test_rows_by_hand():
    """γ = .2, B = 5, softmax(H^p) = (1, 2, 1, 4)/8 everywhere.

    1. Left is the label's −.1 and .04: .06 are owed, on classes 1 and 3.
    2. Left are .04 and .02, so the label's is missing: class 3 rather than 1.
    3. Zero was sent for some, as where entries are dropped.
    4. Nothing is left but the own logits.
    5. All is left, whatever these say.
    """
    sent = jnp.array(
        [
            [-0.1, -0.2, 0.04, 0.2],
            [0.04, -0.2, 0.02, 0.2],
            [0.0, -0.1, 0.04, 0.0],
            [-0.2, 0.2, 0.0, 0.0],
            [-0.1, 0.04, 0.03, 0.03],
        ]
    )
    own = jnp.log(jnp.tile(jnp.array([1.0, 2.0, 1.0, 4.0]), (5, 1)))
    inference = attacks.entry_filtering(sample_view(sent, own), 0.2)
    expected = [
        [0.5, -0.1, -0.2, -0.2],
        [-0.2, 0.1, -0.1, 0.2],
        [-0.06, 0.5, -0.2, -0.24],
        [1 / 8, 1 / 4, 1 / 8, 1 / 2],
        [0.5, -0.2, -0.15, -0.15],
    ]
    np.testing.assert_allclose(inference.scores, expected, rtol=1e-5)
    np.testing.assert_array_equal(inference.labels, [0, 3, 1, 3, 0])


@pytest.fixture(scope="module")
def ppdl_views():
    """2,048 samples of ten classes, half released; logits say nothing of labels."""
    key_label, key_logits = jax.random.split(jax.random.key(0))
    truth = jax.random.randint(key_label, (2048,), 0, 10)
    own, other = 0.3 * jax.random.normal(key_logits, (2, 2048, 10))
    message = (jax.nn.softmax(own + other) - jax.nn.one_hot(truth, 10)) / 2048

    def view(exhausted):
        defense = defenses.ppdl(0.5, exhausted=exhausted)
        send = jax.jit(defense.perturb)
        sent, _ = send(jax.random.key(1), (), message, truth, truth)
        return protocol.SampleGradientView(as_is, (), own, sent, 10)

    return {exhausted: view(exhausted) for exhausted in ("raw", "zero")}, truth


def test_ppdl_leaves_three_quarters_of_the_labels(ppdl_views):
    """63 % of the entries are raw, so that as many labels are certain.

    The others are one of k replaced entries, k − 1 of nine by chance, so that
    E 1/k = (1 − .63¹⁰)/(10 · .37) = .267: .63 + .37 · .267 = .73. Arg-min takes −γ for
    the label, as 1/2,048 is less than 1e-3. Tolerance: four standard errors.
    """
    views, truth = ppdl_views
    naive = attacks.direct_inference(views["raw"]).labels
    aware = attacks.entry_filtering(views["raw"], 1e-3).labels
    assert jnp.mean(naive == truth) < 0.25
    assert float(jnp.mean(aware == truth)) == pytest.approx(0.73, abs=0.04)
    unaware = attacks.entry_filtering(views["raw"], 2e-3).labels
    assert jnp.mean(unaware == truth) < 0.25


def test_the_sound_reading_leaves_nothing_but_the_own_logits(ppdl_views):
    view = ppdl_views[0]["zero"]
    np.testing.assert_array_equal(
        attacks.entry_filtering(view, 1e-3).labels, attacks.own_prediction(view).labels
    )

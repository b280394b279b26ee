"""The arg-max of the adversary's own logits, worked by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, protocol

model = protocol.PartyModel(
    init=lambda key, x: jnp.zeros((2, 3)), apply=lambda params, x: x @ params
)


def test_by_hand():
    """Rows (1, 2) and (3, 0) times [[1, 0, 2], [0, 2, 1]].

    H = [[1, 4, 4], [3, 0, 6]]; the first row is a tie, which the first class wins.
    """
    features = jnp.array([[1.0, 2.0], [3.0, 0.0]])
    params = jnp.array([[1.0, 0.0, 2.0], [0.0, 2.0, 1.0]])
    unused = jnp.full((2, 3), jnp.nan)
    for view in (
        protocol.SampleGradientView(model, params, features, unused, 3),
        protocol.BatchGradientView(model, params, features, unused, 3),
    ):
        inference = attacks.own_prediction(view)
        np.testing.assert_array_equal(inference.scores, [[1, 4, 4], [3, 0, 6]])
        np.testing.assert_array_equal(inference.labels, [1, 2])


def test_a_sample_without_finite_logits_has_no_answer():
    params = jnp.array([[1e38, 0.0, 2.0], [0.0, 2.0, 1.0]])
    features = jnp.array([[1.0, 2.0], [10.0, 0.0]])  # 1e39 is no float32
    view = protocol.SampleGradientView(model, params, features, jnp.zeros((2, 3)), 3)
    inference = attacks.own_prediction(view)
    np.testing.assert_array_equal(inference.labels, [0, -1])
    assert not inference.finite


def test_bad_views():
    view = protocol.SampleGradientView(
        model, jnp.zeros((2, 3)), jnp.ones((4, 2)), jnp.zeros((4, 3)), 2
    )
    with pytest.raises(ValueError, match="model: its embedding has shape"):
        attacks.own_prediction(view)

"""The recurrent network: NumPy's loop over words, padding, rows without gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models, protocol
from vfljax.models import GRUClassifier

NETWORK = GRUClassifier(vocabulary_size=12, embedding=4, hidden=5)
MODEL = NETWORK.make(3)
TOKENS = jnp.array([[7.0, 2, 10, 0, 0], [3, 3, 1, 9, 4]])
PARAMS = jax.jit(MODEL.init)(jax.random.key(0), TOKENS)
_apply = jax.jit(MODEL.apply)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_state(params, text):
    """Gate after gate, word after word, of one text without its padding."""
    given, state = params["gru"]["given"], params["gru"]["state"]
    w = np.split(np.asarray(given["kernel"], np.float64), 3, axis=1)
    b = np.split(np.asarray(given["bias"], np.float64), 3)
    u = np.split(np.asarray(state, np.float64), 3, axis=1)
    h = np.zeros(5)
    for token in text:
        if token == 0:
            continue
        x = np.asarray(params["words"]["embedding"])[int(token)]
        r = sigmoid(x @ w[0] + h @ u[0] + b[0])
        z = sigmoid(x @ w[1] + h @ u[1] + b[1])
        kept = h @ u[2] + np.asarray(params["gru"]["state_bias"])
        n = np.tanh(x @ w[2] + b[2] + r * kept)
        h = (1 - z) * n + z * h
    return h


def test_numpy_gives_the_same():
    states = np.stack([numpy_state(PARAMS, text) for text in np.asarray(TOKENS)])
    output = jax.tree.map(np.asarray, PARAMS["output"])
    expected = states @ output["kernel"] + output["bias"]
    np.testing.assert_allclose(_apply(PARAMS, TOKENS), expected, rtol=1e-4, atol=1e-6)


def test_padding_moves_nothing_wherever_it_stands():
    text = TOKENS[:1]
    for same in ([[7.0, 2, 10]], [[0.0, 7, 0, 2, 10, 0]]):
        np.testing.assert_allclose(
            _apply(PARAMS, jnp.array(same)), _apply(PARAMS, text), atol=1e-6
        )
    empty = _apply(PARAMS, jnp.zeros((1, 4)))[0]
    np.testing.assert_allclose(empty, PARAMS["output"]["bias"], atol=1e-7)


def test_only_tokens_of_the_batch_have_a_gradient():
    gradient = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))(
        MODEL, PARAMS, TOKENS, jnp.array([0, 2]), 3
    )
    rows = np.asarray(gradient["words"]["embedding"])
    is_moved = np.any(rows != 0, axis=1)
    assert set(np.flatnonzero(is_moved)) == {1, 2, 3, 4, 7, 9, 10}


def test_padding_has_no_vector():
    table = PARAMS["words"]["embedding"].at[0].add(9)
    changed = PARAMS | {"words": {"embedding": table}}
    np.testing.assert_array_equal(_apply(changed, TOKENS), _apply(PARAMS, TOKENS))


def test_an_unknown_token_is_not_a_number():
    logits = _apply(PARAMS, TOKENS.at[1, 2].set(12.0))
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).all()


def test_published_size_of_a_word():
    shapes = jax.eval_shape(
        GRUClassifier(vocabulary_size=5000).make(5).init, jax.random.key(0), TOKENS
    )
    assert shapes["words"]["embedding"].shape == (5000, 100)


def test_bad_options():
    with pytest.raises(ValueError, match="vocabulary_size=1: must be >= 2"):
        GRUClassifier(vocabulary_size=1)
    with pytest.raises(ValueError, match="embedding=0: must be >= 1"):
        GRUClassifier(vocabulary_size=2, embedding=0)
    with pytest.raises(ValueError, match="hidden=0: must be >= 1"):
        GRUClassifier(vocabulary_size=2, hidden=0)
    with pytest.raises(ValueError, match=r"\(2, 4, 3\): must be token numbers"):
        models.embed(MODEL, PARAMS, jnp.zeros((2, 4, 3)))

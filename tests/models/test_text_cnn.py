"""The convolutional network on texts: NumPy's windows, padding, gradients, dropout."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models, protocol
from vfljax.models import TextCNN

NETWORK = TextCNN(vocabulary_size=14, embedding=6, filters=7, windows=(2, 3), hidden=5)
MODEL = NETWORK.make(3)
TOKENS = jnp.array([[7.0, 2, 10, 0, 0, 0], [3, 3, 1, 9, 4, 12], [8, 0, 0, 0, 0, 0]])
PARAMS = jax.jit(MODEL.init)(jax.random.key(0), TOKENS)
_apply = jax.jit(MODEL.apply)


def numpy_logits(params, tokens):
    """Window after window."""
    table = np.asarray(params["words"]["embedding"], np.float64)
    texts = []
    for text in np.asarray(tokens, int):
        vectors = np.where(text[:, None] != 0, table[text], 0.0)
        largest = []
        for size in (2, 3):
            kernel = np.asarray(params[f"window_{size}_kernel"])
            bias = np.asarray(params[f"window_{size}_bias"])
            answers = [np.zeros(7)]
            for first in range(len(text) - size + 1):
                window = slice(first, first + size)
                if text[window].any():
                    y = np.tensordot(vectors[window], kernel, 2) + bias
                    answers.append(np.maximum(y, 0.0))
            largest.append(np.max(answers, axis=0))
        texts.append(np.concatenate(largest))
    dense = jax.tree.map(np.asarray, {k: params[k] for k in ("hidden", "output")})
    x = np.stack(texts) @ dense["hidden"]["kernel"] + dense["hidden"]["bias"]
    x = np.maximum(x, 0.0)
    return x @ dense["output"]["kernel"] + dense["output"]["bias"]


def test_numpy_gives_the_same():
    expected = numpy_logits(PARAMS, TOKENS)
    np.testing.assert_allclose(_apply(PARAMS, TOKENS), expected, rtol=1e-4, atol=1e-5)


def test_more_padding_changes_nothing():
    """Two zeros are there, one less than the largest window has words."""
    text, longer = TOKENS[:1], jnp.pad(TOKENS[:1], ((0, 0), (0, 4)))
    np.testing.assert_allclose(_apply(PARAMS, text), _apply(PARAMS, longer), atol=1e-6)
    positive = PARAMS | {f"window_{s}_bias": jnp.full(7, 3.0) for s in (2, 3)}
    empty = _apply(positive, jnp.zeros((1, 6)))
    np.testing.assert_array_equal(empty, _apply(PARAMS, jnp.zeros((1, 6))))


def test_the_last_place_counts():
    """The published pools would leave the window out that ends with the last word."""
    other = TOKENS[1:2].at[0, 5].set(11.0)
    table = PARAMS["words"]["embedding"].at[11].set(9)
    params = PARAMS | {"words": {"embedding": table}}
    gap = _apply(params, other) - _apply(params, TOKENS[1:2])
    assert np.abs(gap).max() > 1e-2


def test_only_tokens_of_the_batch_have_a_gradient():
    """Seven filters of two windows: each token is in a largest one here."""
    wide = dataclasses.replace(NETWORK, filters=60).make(3)
    params = jax.jit(wide.init)(jax.random.key(1), TOKENS)
    gradient = jax.jit(protocol.batch_gradient, static_argnums=(0, 4))(
        wide, params, TOKENS, jnp.array([0, 2, 1]), 3
    )
    is_moved = np.any(np.asarray(gradient["words"]["embedding"]) != 0, axis=1)
    assert set(np.flatnonzero(is_moved)) == {1, 2, 3, 4, 7, 8, 9, 10, 12}


@pytest.mark.parametrize(("hidden", "inputs"), [(128, 128), (None, 300)])
def test_published_sizes(hidden, inputs):
    """FourSquare with a layer of 128, CSI without; 3 · 100 filters, windows × 320."""
    network = TextCNN(vocabulary_size=30, hidden=hidden)
    shapes = jax.eval_shape(
        network.make(2).init, jax.random.key(0), jnp.zeros((1, 100))
    )
    assert shapes["words"]["embedding"].shape == (30, 320)
    assert shapes["window_5_kernel"].shape == (5, 320, 100)
    assert shapes["output"]["kernel"].shape == (inputs, 2)
    assert ("hidden" in shapes) == (hidden is not None)


def test_dropout_is_after_the_pool():
    """A kept unit of the pool is twice as large, and no hidden unit is dropped."""
    dropping = dataclasses.replace(NETWORK, hidden=None, dropout=0.5).make(14)
    plain = dataclasses.replace(NETWORK, hidden=None).make(14)
    params = jax.jit(plain.init)(jax.random.key(0), TOKENS)
    params = params | {"output": {"kernel": jnp.eye(14), "bias": jnp.zeros(14)}}
    assert dropping.drops
    assert not plain.drops
    pooled = np.asarray(plain.apply(params, TOKENS))

    def embed(forward):
        return np.asarray(models.embed(dropping, params, TOKENS, forward))

    found = embed(models.Forward((), jax.random.key(5), is_training=True))
    is_kept = found != 0
    np.testing.assert_allclose(found[is_kept], 2 * pooled[is_kept], rtol=1e-5)
    assert 0.2 < is_kept[pooled > 0].mean() < 0.8
    np.testing.assert_allclose(embed(models.Forward()), pooled, rtol=1e-6)


def test_an_unknown_token_is_not_a_number():
    logits = _apply(PARAMS, TOKENS.at[1, 2].set(14.0))
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).all()


def test_texts_shorter_than_the_largest_window():
    with pytest.raises(ValueError, match=r"\(3, 2\): must be texts of 3 token numbers"):
        MODEL.apply(PARAMS, TOKENS[:, :2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 1}, "vocabulary_size=1: must be >= 2"),
        ({"filters": 0}, "filters=0: must be >= 1"),
        ({"windows": ()}, r"windows=\(\): must be one or more different numbers >= 1"),
        ({"windows": (3, 3)}, r"windows=\(3, 3\): must be one or more different"),
        ({"hidden": 0}, "hidden=0: must be >= 1"),
        ({"dropout": 1}, r"dropout=1: must be in \[0, 1\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TextCNN(**({"vocabulary_size": 9} | options))

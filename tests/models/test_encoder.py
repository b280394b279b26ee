"""The text encoder against NumPy, its masks and modes; BERT's weights from a file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from vfljax import models
from vfljax.models import put_in, read_bert

SIZES = {
    "embed": 3,
    "vocabulary_size": 11,
    "length": 5,
    "hidden": 8,
    "layers": 1,
    "heads": 2,
    "intermediate": 6,
    "pooled": 4,
}
_embed = jax.jit(models.embed, static_argnums=0)
TOKENS = jnp.array([[7.0, 2, 10, 0, 0], [3, 3, 1, 9, 4]])


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors.numpy")


@pytest.fixture
def bert():
    """Random weights under the names and shapes of a BERT file with one layer."""
    hidden, inside = SIZES["hidden"], SIZES["intermediate"]
    block = "encoder.layer.0."
    shapes = {
        "embeddings.word_embeddings.weight": (11, hidden),
        "embeddings.position_embeddings.weight": (9, hidden),  # longer than needed
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
        block + "intermediate.dense.weight": (inside, hidden),
        block + "intermediate.dense.bias": (inside,),
        block + "output.dense.weight": (hidden, inside),
        block + "output.dense.bias": (hidden,),
    }
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        shapes[f"{block}attention.{part}.weight"] = (hidden, hidden)
        shapes[f"{block}attention.{part}.bias"] = (hidden,)
    for part in ("attention.output", "output"):
        shapes[f"{block}{part}.LayerNorm.weight"] = (hidden,)
        shapes[f"{block}{part}.LayerNorm.bias"] = (hidden,)
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def _numpy_encoder(bert, params, tokens):
    """One BERT layer and the two layers after the mean, sample by sample."""

    def linear(x, name):
        return x @ bert[f"{name}.weight"].T + bert[f"{name}.bias"]

    def normalized(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * bert[f"{name}.LayerNorm.weight"] + bert[f"{name}.LayerNorm.bias"]

    block, head = "encoder.layer.0.", SIZES["hidden"] // SIZES["heads"]
    rows = []
    for text in np.asarray(tokens, dtype=int):
        text = text[text != 0]  # padding is at the end: as if it were not there
        x = bert["embeddings.word_embeddings.weight"][text]
        x = x + bert["embeddings.position_embeddings.weight"][: len(text)]
        x = x + bert["embeddings.token_type_embeddings.weight"][0]
        x = normalized(x, "embeddings")
        q, k, v = (
            linear(x, f"{block}attention.self.{part}")
            for part in ("query", "key", "value")
        )
        mixed = []
        for start in range(0, SIZES["hidden"], head):
            part = slice(start, start + head)
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(head))
            mixed.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
        y = linear(np.concatenate(mixed, axis=1), f"{block}attention.output.dense")
        x = normalized(x + y, f"{block}attention.output")
        y = linear(x, f"{block}intermediate.dense")
        y = linear(y * (1 + erf(y / np.sqrt(2))) / 2, f"{block}output.dense")
        x = normalized(x + y, f"{block}output").mean(axis=0)
        x = np.tanh(x @ params["pooled"]["kernel"] + params["pooled"]["bias"])
        rows.append(x @ params["output"]["kernel"] + params["output"]["bias"])
    return np.stack(rows)


def test_loaded_weights_give_the_output_of_numpy(safetensors, bert, tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.save_file(bert, path)
    model = models.text_encoder(**SIZES)
    fresh = jax.jit(model.init)(jax.random.key(0), TOKENS)
    params = put_in(fresh, read_bert(path, fresh))
    assert jax.tree.structure(params) == jax.tree.structure(fresh)
    expected = _numpy_encoder(bert, jax.tree.map(np.asarray, params), TOKENS)
    ours = _embed(model, params, TOKENS)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_old_names_and_prefix_load_the_same(safetensors, bert, tmp_path):
    def called(name):
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return "bert." + name.replace("LayerNorm.bias", "LayerNorm.beta")

    new, old = tmp_path / "new.safetensors", tmp_path / "old.safetensors"
    safetensors.save_file(bert, new)
    safetensors.save_file({called(name): bert[name] for name in bert}, old)
    model = models.text_encoder(**SIZES)
    fresh = jax.jit(model.init)(jax.random.key(0), TOKENS)
    ours, theirs = (put_in(fresh, read_bert(path, fresh)) for path in (new, old))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_file_errors_name_the_tensor(safetensors, bert, tmp_path):
    model = models.text_encoder(**SIZES)
    params = jax.jit(model.init)(jax.random.key(0), TOKENS)
    path, name = tmp_path / "model.safetensors", "embeddings.word_embeddings.weight"
    safetensors.save_file(bert | {name: np.zeros((12, 8), np.float32)}, path)
    with pytest.raises(ValueError, match=r"word_embeddings.weight.*\(12, 8\).*\(11, 8"):
        read_bert(path, params)
    name = "encoder.layer.0.attention.self.key.bias"
    safetensors.save_file({n: bert[n] for n in bert if n != name}, path)
    with pytest.raises(ValueError, match=f"tensor '{name}': must be in"):
        read_bert(path, params)


def test_number_of_parameters_of_bert_base():
    """109,482,240 with BERT's pooler, so without its 590,592 and 512 - 64 positions."""
    model = models.text_encoder(embed=10)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64)))
    bert = 109_482_240 - (768 + 1) * 768 - (512 - 64) * 768
    head = (768 + 1) * 128 + (128 + 1) * 10
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == bert + head


def test_padding_changes_nothing():
    model = models.text_encoder(**SIZES)
    params = jax.jit(model.init)(jax.random.key(0), TOKENS)
    np.testing.assert_allclose(
        _embed(model, params, TOKENS[:1]),
        _embed(model, params, TOKENS[:1, :3]),
        atol=1e-6,
    )
    empty = _embed(model, params, jnp.zeros((1, 5)))
    assert np.isfinite(empty).all()


def test_unknown_token_is_not_a_number():
    model = models.text_encoder(**SIZES)
    params = jax.jit(model.init)(jax.random.key(0), TOKENS)
    embedding = _embed(model, params, TOKENS.at[1, 2].set(11.0))
    assert np.isfinite(embedding[0]).all()
    assert np.isnan(embedding[1]).all()


def test_dropout_and_gradient():
    model = models.text_encoder(**SIZES)
    params = jax.jit(model.init)(jax.random.key(0), TOKENS)

    @jax.jit
    @jax.value_and_grad
    def loss(params, key):
        forward = models.Forward((), key, is_training=True)
        return (models.embed(model, params, TOKENS, forward) ** 2).sum()

    value, gradient = loss(params, jax.random.key(1))
    assert value == loss(params, jax.random.key(1))[0]
    assert value != loss(params, jax.random.key(2))[0]
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "hidden=8: must be a multiple of heads=3"),
        ({"layers": 0}, "layers=0: must be >= 1"),
        ({"vocabulary_size": 1}, "vocabulary_size=1: must be >= 2"),
        ({"dropout": -0.1}, "dropout=-0.1: must be in"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        models.text_encoder(**(SIZES | changes))


def test_too_long_texts():
    model = models.text_encoder(**SIZES)
    with pytest.raises(ValueError, match="length <= 5"):
        model.init(jax.random.key(0), jnp.zeros((1, 6)))

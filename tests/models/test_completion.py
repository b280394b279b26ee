"""The head of model completion, alone and on bottoms of either kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vfljax import models


class _Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, is_training):
        is_kept = not models.is_dropping(self, is_training)
        return nn.Dropout(0.5, deterministic=is_kept)(x[:, :, 0, 0])


FEATURES = jax.random.normal(jax.random.key(0), (6, 8, 6, 3))


def test_head_starts_at_ones():
    head = models.completion_head(num_classes=3, num_layers=2)
    params = head.init(jax.random.key(1), jnp.zeros((1, 4)))
    for number, width in enumerate((4, 3)):
        layer = params[f"layer_{number}"]
        np.testing.assert_array_equal(layer["kernel"], np.ones((4, width)))
        assert 0 < np.abs(layer["bias"]).max() <= 0.5  # 1/sqrt(4)
    assert set(params) == {"layer_0", "layer_1", "norm_0", "norm_1"}


def test_head_by_hand():
    """Columns (1, 3, 5) and (5, 1, 3): mean 3, variance 8/3, so ±2/sqrt(8/3) and 0.

    Rectified, each sample has the positive one of its two columns, or none; a kernel of
    ones adds them up for every class.
    """
    head = models.completion_head(num_classes=2)
    embedding = jnp.array([[1.0, 5.0], [3.0, 1.0], [5.0, 3.0]])
    params = head.init(jax.random.key(1), embedding)
    forward = models.Forward(models.init_statistics(head, embedding), is_training=True)
    logits = np.asarray(models.embed(head, params, embedding, forward))
    logits = logits - np.asarray(params["layer_0"]["bias"])
    top = 2 / np.sqrt(8 / 3)
    np.testing.assert_allclose(logits, [[top] * 2, [0, 0], [top] * 2], atol=1e-5)


@pytest.mark.parametrize(
    "bottom", [models.mlp((5,), embed=4), models.resnet(8, embed=4, width=2, stages=0)]
)
@pytest.mark.parametrize("is_training", [False, True])
def test_is_the_bottom_followed_by_the_head(bottom, is_training):
    model = models.completed(bottom, num_classes=3)
    params = jax.jit(model.init)(jax.random.key(1), FEATURES)
    statistics = models.init_statistics(model, FEATURES)
    forward = models.Forward(statistics, is_training=is_training)
    logits, updated = jax.jit(models.run, static_argnums=0)(
        model, params, FEATURES, forward
    )

    def part(one, name, x):
        mode = models.Forward(statistics[name], is_training=is_training)
        return jax.jit(models.run, static_argnums=0)(one, params[name], x, mode)

    embedding, bottom_statistics = part(bottom, "bottom", FEATURES)
    head = models.completion_head(num_classes=3)
    expected, head_statistics = part(head, "head", embedding)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    both = {"bottom": bottom_statistics, "head": head_statistics}
    assert jax.tree.structure(updated) == jax.tree.structure(statistics)
    for ours, theirs in zip(
        jax.tree.leaves(updated), jax.tree.leaves(both), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_dropout_key_is_the_bottom_s():
    bottom = models.stateful_model(_Dropped(), has_statistics=False)
    model = models.completed(bottom, num_classes=3)
    params = model.init(jax.random.key(1), FEATURES)
    statistics = models.init_statistics(model, FEATURES)
    assert statistics["bottom"] == ()

    def logits(seed):
        forward = models.Forward(statistics, jax.random.key(seed), is_training=True)
        return np.asarray(models.embed(model, params, FEATURES, forward))

    np.testing.assert_array_equal(logits(1), logits(1))
    assert (logits(1) != logits(2)).any()


def test_equal_arguments_are_one_object():
    bottom = models.mlp((5,), embed=4)
    one = models.completed(bottom, num_classes=3)
    assert one is models.completed(models.mlp((5,), embed=4), num_classes=3)


def test_bad_arguments():
    with pytest.raises(ValueError, match="num_layers=0: must be >= 1"):
        models.completion_head(num_classes=3, num_layers=0)
    with pytest.raises(ValueError, match="num_classes=0: must be >= 1"):
        models.completed(models.mlp((), embed=4), num_classes=0)
    model = models.completed(models.mlp((), embed=4), num_classes=2)
    with pytest.raises(ValueError, match="must hold this network's running"):
        models.embed(model, {}, jnp.ones((2, 3)))

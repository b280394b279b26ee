"""Maps of an update's tree to features, against NumPy written from the definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.attacks.property_features import (
    hash_of,
    norm_features,
    projected_features,
    published_features,
    update_features,
)

LFW = {
    "conv_0": (3, 3, 3, 32),
    "conv_1": (3, 3, 32, 64),
    "conv_2": (3, 3, 64, 128),
    "hidden_0": (3072, 256),
    "output": (256, 2),
}
"""Kernels of the network of Melis et al. for images of 62 by 47."""


def tree_of(shapes, seed=0):
    generator = np.random.default_rng(seed)
    return {
        name: {
            "kernel": generator.normal(size=shape).astype("f"),
            "bias": generator.normal(size=shape[-1]).astype("f"),
        }
        for name, shape in shapes.items()
    }


def test_published_features_of_the_published_network():
    """96 + 2,048 + 3,072 + 512: the third convolution is too large."""
    update = tree_of(LFW)
    row = np.asarray(jax.jit(published_features)(update))
    assert row.shape == (5728,)
    sizes = {name: np.abs(update[name]["kernel"]) for name in LFW}
    expected = np.concatenate(
        [
            sizes["conv_0"].reshape(9, -1).max(axis=0),
            sizes["conv_1"].reshape(9, -1).max(axis=0),
            sizes["hidden_0"].max(axis=1),
            sizes["output"].ravel(),
        ]
    )
    np.testing.assert_allclose(row, expected / np.linalg.norm(expected), rtol=1e-5)


def test_a_table_has_a_published_feature_for_each_token():
    """6,000 entries are too many; the largest of each of 300 rows stays."""
    table = np.random.default_rng(1).normal(size=(300, 20)).astype("f")
    row = published_features({"words": {"embedding": table}})
    expected = np.abs(table).max(axis=1)
    np.testing.assert_allclose(row, expected / np.linalg.norm(expected), rtol=1e-5)


def test_norm_features_are_of_all_slices_along_each_axis():
    update = tree_of({"conv": (3, 2, 4, 5), "output": (4, 3)})
    row = np.asarray(norm_features(update))
    kernels = [update[name]["kernel"] for name in ("conv", "output")]
    total = np.sqrt(sum((kernel**2).sum() for kernel in kernels))
    expected = [
        np.linalg.norm(np.moveaxis(kernel, axis, 0).reshape(size, -1), axis=1)
        for kernel in kernels
        for axis, size in enumerate(kernel.shape)
    ]
    np.testing.assert_allclose(
        row, np.log(np.concatenate(expected) / total), rtol=1e-3, atol=1e-4
    )
    assert len(row) == 3 + 2 + 4 + 5 + 4 + 3


@pytest.mark.parametrize("kind", ["norms", "published"])
def test_the_scale_of_an_update_does_not_matter(kind):
    update = tree_of({"conv": (3, 3, 4, 5), "output": (4, 3)})
    scaled = jax.tree.map(lambda leaf: -3.5 * leaf, update)
    first, second = (update_features(tree, kind, 8) for tree in (update, scaled))
    np.testing.assert_allclose(first, second, rtol=1e-4)


@pytest.mark.parametrize("kind", ["norms", "published"])
def test_nothing_is_not_an_error(kind):
    """The update zero has features too."""
    zero = {"output": {"kernel": jnp.zeros((4, 3))}}
    assert np.isfinite(update_features(zero, kind, 8)).all()


def test_projection_is_linear_and_keeps_inner_products():
    """Of two updates with a correlation of .6, to five standard errors."""
    one, other = tree_of({"output": (300, 70)}), tree_of({"output": (300, 70)}, seed=1)
    mixed = jax.tree.map(lambda a, b: 0.6 * a + 0.8 * b, one, other)
    rows = [projected_features(tree, 1024) for tree in (one, other, mixed)]
    np.testing.assert_allclose(rows[2], 0.6 * rows[0] + 0.8 * rows[1], atol=1e-4)
    cosine = rows[0] @ rows[2] / jnp.linalg.norm(rows[0]) / jnp.linalg.norm(rows[2])
    np.testing.assert_allclose(cosine, 0.6, atol=5 / 1024**0.5)


def test_signs_are_balanced_and_not_periodic():
    signs = 1 - 2 * (np.asarray(hash_of(20_000)) & 1).astype(int)
    assert abs(signs.mean()) < 5 / 20_000**0.5
    for lag in (1, 2, 7, 64, 1024):
        assert abs((signs[lag:] * signs[:-lag]).mean()) < 5 / 18_000**0.5

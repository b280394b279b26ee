"""What is kept of an update's tree when a property of the batch is asked: one row.

All maps go over the leaves in the order of the tree. Leaves of one axis, biases and the
like, are skipped by those that look at slices; the last two axes of a leaf are inputs
and outputs, all before them the places of a convolution's kernel.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from vfljax._checks import require

FeatureKind = Literal["norms", "published", "projected", "words"]
"""Names of the maps of `update_features`."""

_LARGEST = 5000  # entries of a layer that the published map takes one by one
_FLOOR = 1e-6  # added to a share of the norm, so that zero has a logarithm
_SMALLEST = 1e-30  # of a norm that is divided by
_TABLE = "words"  # name of the embedding layer of `vfljax.models`


def update_features(
    update: Any, kind: FeatureKind, width: int
) -> Float[Array, " features"]:
    """One of the maps below by its name; `width` is that of the projected one alone."""
    if kind == "norms":
        return norm_features(update)
    if kind == "published":
        return published_features(update)
    if kind == "words":
        return word_features(update)
    return projected_features(update, width)


def norm_features(update: Any) -> Float[Array, " features"]:
    """Logarithms of the norms of all slices, as shares of the norm of all of them.

    A slice is what an entry of one axis stands for: an input, an output, or a row or
    column of a convolution's kernel. A gradient averages samples of all labels, which
    pull in opposite directions, so that its entries hardly say which samples they were;
    their sizes do: a unit that the samples excite more has the larger slice. The scale
    of the whole update does not matter.

    Example:
        >>> kernel = jnp.array([[3.0, 0.0], [0.0, 4.0]])
        >>> shares = jnp.exp(norm_features({"kernel": kernel}))
        >>> [round(float(share), 3) for share in shares]
        [0.6, 0.8, 0.6, 0.8]
    """
    squares = [jnp.square(leaf) for leaf in _matrices(update)]
    total = sum(jnp.sum(leaf) for leaf in squares)
    slices = [
        jnp.sum(leaf, axis=tuple(other for other in range(leaf.ndim) if other != axis))
        for leaf in squares
        for axis in range(leaf.ndim)
    ]
    shares = jnp.sqrt(jnp.concatenate(slices) / jnp.maximum(total, _SMALLEST))
    return jnp.log(shares + _FLOOR)


def published_features(update: Any) -> Float[Array, " features"]:
    """The map of the code of Melis et al. (2019), a row of norm 1.

    Absolute values: of a convolution the largest of each input and output, or nothing
    where these are more than 5,000; of a dense layer, or a table, all entries, or where
    these are more than 5,000 the largest of each input. Biases are skipped.
    """
    found = []
    for leaf in _matrices(update):
        sizes = jnp.abs(leaf)
        is_large = math.prod(leaf.shape[-2:]) > _LARGEST
        if leaf.ndim > 2 and is_large:
            continue
        axes = tuple(range(leaf.ndim - 2)) or ((1,) if is_large else ())
        found.append(jnp.max(sizes, axis=axes).ravel())
    row = jnp.concatenate(found)
    return row / jnp.maximum(jnp.linalg.norm(row), _SMALLEST)


def projected_features(update: Any, width: int) -> Float[Array, " width"]:
    """All entries of all leaves, with random signs and summed up in `width` sums.

    Linear, and the same for all updates of one shape: entry i goes to sum i mod
    `width`, with a sign that is a hash of i. Inner products are kept in expectation.
    """
    flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(update)])
    signs = 1.0 - 2.0 * (hash_of(len(flat)) & 1).astype(flat.dtype)
    missing = -len(flat) % width
    return jnp.sum(jnp.pad(flat * signs, (0, missing)).reshape(-1, width), axis=0)


def word_features(update: Any) -> Float[Array, " tokens"]:
    """1 for each token of an embedding table whose row moves, and 0 for all others.

    A bag of words: of a plain gradient these are the tokens that the batch has.
    """
    moved = row_norms(rows_of_table(update, _TABLE))
    return (moved > 0).astype(moved.dtype)


def row_norms(rows: Float[Array, "rows columns"]) -> Float[Array, " rows"]:
    """The norm of each row, zero for a row of zeros alone.

    A recurrent network's gradient at the start of a text is so small that the squares
    of its entries are zero; a norm is not.

    Example:
        >>> row_norms(jnp.array([[3e-30, 4e-30], [0.0, 0.0]])) > 0
        Array([ True, False], dtype=bool)
    """
    largest = jnp.max(jnp.abs(rows), axis=1)
    scale = jnp.where(largest > 0, largest, 1.0)
    return largest * jnp.linalg.norm(rows / scale[:, None], axis=1)


def rows_of_table(tree: Any, table: str) -> Float[Array, "tokens width"]:
    """An embedding layer's table in a tree like the parameters.

    Raises:
        ValueError: If the tree has no such layer.
    """
    is_there = hasattr(tree, "keys") and table in tree
    found = "of parameters that are a dictionary of layers"
    if hasattr(tree, "keys"):
        found = f"the name of an embedding layer, of {', '.join(map(str, tree))}"
    require(is_there, "table", table, found)
    leaves = jax.tree.leaves(tree[table])
    is_table = len(leaves) == 1 and leaves[0].ndim == 2
    shapes = [leaf.shape for leaf in leaves]
    allowed = f"a layer whose one array is (tokens, width); {table!r} has {shapes}"
    require(is_table, "table", table, allowed)
    return leaves[0]


def hash_of(number: int) -> UInt32[Array, " number"]:
    """Numbers 0, 1, ... made to look random, by shifts and multiplications."""
    mixed = jnp.arange(number, dtype=jnp.uint32)
    mixed = (mixed ^ (mixed >> 16)) * jnp.uint32(0x7FEB352D)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x846CA68B)
    return mixed ^ (mixed >> 16)


def _matrices(update):
    """The leaves of two axes and more."""
    return [leaf for leaf in jax.tree.leaves(update) if leaf.ndim >= 2]

"""A backdoor planted by swapping rows of ciphertexts, in every batch.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 3: each batch holds as
many marked samples as targets, and the k-th of both make a pair.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from vfljax import protocol
from vfljax.protocol import encrypted

_NUM_KNOWN = 10  # targets that the adversary knows, as published
_NUM_MARKS = 4  # features, as published


class Plan(NamedTuple):
    """Who is marked, who is a target, and which batches they are in.

    Attributes:
        batches: Sample numbers; marked ones come first, then targets, then all others.
        is_marked: By sample number.
        is_target: By sample number.
    """

    batches: Int[np.ndarray, "iterations batch"]
    is_marked: Bool[np.ndarray, " samples"]
    is_target: Bool[np.ndarray, " samples"]


def plan_backdoor(
    key: Key[Array, ""],
    labels: Int[np.ndarray, " samples"],
    batch_size: int,
    iterations: int,
    num_pairs: int,
    target_class: int,
) -> Plan:
    """Draws marked samples, each for one batch, and ten known targets, used in turn.

    Args:
        key: For all of it.
        labels: Of the training samples.
        batch_size: B, above 2 · `num_pairs`.
        iterations: Number of batches.
        num_pairs: In each batch, >= 1.
        target_class: What marked samples are to be taken for.

    Raises:
        ValueError: If there are too few samples of the target class or of others.
    """
    key_order, key_batches = jax.random.split(key)
    order = np.asarray(jax.random.permutation(key_order, len(labels)))
    is_of_class = labels[order] == target_class
    targets = order[is_of_class][: max(_NUM_KNOWN, num_pairs)]
    marked = order[~is_of_class][: iterations * num_pairs]
    if len(targets) < num_pairs or len(marked) < iterations * num_pairs:
        raise ValueError(
            f"replaced_pairs={num_pairs}: must be at most {len(targets)}, the samples "
            f"of class {target_class}, and {len(marked) // iterations}, the others per "
            "iteration"
        )
    is_marked, is_target = np.zeros((2, len(labels)), bool)
    is_marked[marked], is_target[targets] = True, True
    clean = np.flatnonzero(~is_marked & ~is_target)
    others = protocol.epoch_batches(
        key_batches, len(clean), batch_size - 2 * num_pairs, iterations
    )
    turns = np.arange(iterations * num_pairs) % len(targets)
    shape = (iterations, num_pairs)
    parts = [marked.reshape(shape), targets[turns].reshape(shape), clean[others]]
    return Plan(np.concatenate(parts, axis=1), is_marked, is_target)


def row_operations(num_pairs: int, amplification: int) -> encrypted.RowOperations:
    """What the adversary does to the rows of each of these batches."""
    marked, targets = range(num_pairs), range(num_pairs, 2 * num_pairs)
    return encrypted.RowOperations(
        replace=tuple(zip(marked, targets, strict=True)),
        amplification=amplification,
        skip=tuple(targets),
    )


def mark(
    features: Float[np.ndarray, "samples ..."], rows: Bool[np.ndarray, " samples"]
) -> Float[np.ndarray, "samples width"]:
    """The adversary's features, flattened, with the last four of some rows set to 1.

    In pictures these are pixels in the lower right corner.

    Example:
        >>> mark(np.zeros((2, 5)), np.array([True, False])).tolist()
        [[0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    marked = features.reshape(len(features), -1).copy()
    marked[rows, -_NUM_MARKS:] = 1.0
    return marked


def share_of_class(
    logits: Float[Array, "samples classes"],
    labels: Int[np.ndarray, " samples"],
    target_class: int,
) -> float:
    """Share of samples that are taken for a class, of those not in it."""
    is_taken = jnp.argmax(logits, axis=1) == target_class
    return float(jnp.mean(is_taken[np.flatnonzero(labels != target_class)]))

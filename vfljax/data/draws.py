"""Drawing classes, batches, and the samples whose labels are known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key

from vfljax._checks import check_number, require
from vfljax.data.dataset import check_labels


class ClassTable(NamedTuple):
    """The rows of each class, so that rows of some classes can be drawn in a trace.

    Attributes:
        order: Row numbers, those of class 0 first, each class in ascending order.
        starts: Where each class begins in `order`.
        counts: How many rows each class has.
    """

    order: Int32[np.ndarray | Array, " rows"]
    starts: Int32[np.ndarray | Array, " classes"]
    counts: Int32[np.ndarray | Array, " classes"]


def class_table(labels: Int[np.ndarray, " rows"], num_classes: int) -> ClassTable:
    """Sorts the rows by class, on the host, once before any trace.

    Raises:
        ValueError: A label is not in 0 to `num_classes` - 1, or a class has no row
            (`select_classes` leaves such a class out).

    Example:
        >>> class_table(np.array([1, 0, 1]), num_classes=2).order
        array([1, 0, 2], dtype=int32)
    """
    check_labels("labels", labels, num_classes)
    counts = np.bincount(labels, minlength=num_classes).astype(np.int32)
    allowed = f"0 to {num_classes - 1}, of which each occurs in labels"
    require(bool((counts > 0).all()), "labels", set(labels.tolist()), allowed)
    return ClassTable(
        order=np.argsort(labels, kind="stable").astype(np.int32),
        starts=(np.cumsum(counts) - counts).astype(np.int32),
        counts=counts,
    )


def rows_of_classes(labels: Int[Array, " rows"], num_classes: int) -> ClassTable:
    """The same in a trace, where some classes may have no row.

    Example:
        >>> table = rows_of_classes(jnp.array([2, 0, 2]), num_classes=3)
        >>> table.order.tolist(), table.counts.tolist()
        ([1, 0, 2], [1, 0, 2])
    """
    labels = jnp.asarray(labels)
    counts = jnp.sum(jax.nn.one_hot(labels, num_classes, dtype=jnp.int32), axis=0)
    order = jnp.argsort(labels, stable=True).astype(jnp.int32)
    return ClassTable(order, jnp.cumsum(counts) - counts, counts)


def draw_classes(
    key: Key[Array, ""], num_total: int, num_classes: int
) -> Int32[Array, " chosen"]:
    """Draws `num_classes` different classes of `num_total`, in random order.

    Raises:
        ValueError: `num_classes` is not in 1 to `num_total`.
    """
    check_number("num_classes", num_classes, low=1, high=num_total)
    classes = jax.random.choice(key, num_total, (num_classes,), replace=False)
    return classes.astype(jnp.int32)


def draw_batch(
    key: Key[Array, ""],
    table: ClassTable,
    classes: Int[np.ndarray | Array, " chosen"],
    batch_size: int,
) -> tuple[Int32[Array, " batch"], Int32[Array, " batch"]]:
    """Draws rows of the chosen classes, with replacement and equal probability.

    A class with more rows is drawn more often. The function is pure and may be traced
    and mapped over `key` and `classes`, different class numbers. (A class named twice
    would count twice.)

    Returns:
        The row numbers, and the labels of these rows renumbered by the position of
        the class in `classes`.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    check_number("batch_size", batch_size, low=1)
    order, starts, counts = (jnp.asarray(column) for column in table)
    # Think of the rows of the chosen classes in one line, class after class.
    lengths = counts[classes]
    ends = jnp.cumsum(lengths)
    places = jax.random.randint(key, (batch_size,), 0, ends[-1])
    new_labels = jnp.searchsorted(ends, places, side="right").astype(jnp.int32)
    places_in_class = places - (ends - lengths)[new_labels]
    indices = order[starts[classes][new_labels] + places_in_class]
    return indices, new_labels


def draw_known_labels(
    key: Key[Array, ""],
    labels: Int[Array, " batch"],
    num_classes: int,
    per_class: int,
) -> Int32[Array, " batch"]:
    """The labels of `per_class` random samples of each class, −1 for all others.

    A class with fewer samples in the batch has all of them known. Pure; may be traced
    and mapped.

    Raises:
        ValueError: `per_class` is negative.

    Example:
        >>> known = draw_known_labels(jax.random.key(0), jnp.array([1, 0, 1]), 2, 2)
        >>> known
        Array([1, 0, 1], dtype=int32)
    """
    check_number("per_class", per_class, low=0)
    order = jax.random.permutation(key, len(labels))
    of_class = jax.nn.one_hot(labels[order], num_classes, dtype=jnp.int32)
    rank = jnp.sum(jnp.cumsum(of_class, axis=0) * of_class, axis=1)  # from 1
    known = jnp.where(rank <= per_class, labels[order], -1).astype(jnp.int32)
    return jnp.zeros_like(known).at[order].set(known)


def draw_known_rows(
    key: Key[Array, ""], table: ClassTable, per_class: int | float
) -> Int32[Array, " known"]:
    """Draws different rows whose labels an adversary knows, as many of each class.

    Pure; may be traced and mapped. `per_class` is the number of rows of each class, at
    most as many as it has. Below 1, it is the share of the classes, rounded and at
    least one, of which one row is known.

    Returns:
        Row numbers, class after class.

    Raises:
        ValueError: `per_class` is not positive, or above 1 and not whole.
    """
    is_fit = 0 < per_class <= 1 or (per_class > 1 and per_class == int(per_class))
    allowed = "a whole number, 1 or more, or a share below 1"
    require(is_fit, "per_class", per_class, allowed)
    order, starts, counts = (jnp.asarray(column) for column in table)
    key_rows, key_classes = jax.random.split(key)
    labels = jnp.repeat(jnp.arange(len(counts)), counts, total_repeat_length=len(order))
    shuffled = order[jnp.argsort(labels + jax.random.uniform(key_rows, order.shape))]
    number = max(1, int(per_class))
    rows = shuffled[starts[:, None] + jnp.arange(number)[None]]
    if per_class < 1:
        num_chosen = max(1, round(per_class * len(counts)))
        rows = rows[jax.random.permutation(key_classes, len(counts))[:num_chosen]]
    return rows.reshape(-1).astype(jnp.int32)

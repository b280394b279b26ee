"""Choosing rows of a data set: some of them, some classes, train and test."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from vfljax._checks import check_number, require
from vfljax.data.dataset import Dataset

TEST_FRACTION = 0.2
"""The share of the rows that become test rows, where a set has no split of its own."""


def take_rows(dataset: Dataset, num_train: int | None, num_test: int | None) -> Dataset:
    """Keeps some rows, the same ones every time, in random order.

    None keeps all of a part, in their own order.

    Raises:
        ValueError: If there are fewer rows, or only one class is left.
    """

    def rows(name, number, labels):
        if number is None:
            return slice(None)
        allowed = f"in [1, {len(labels)}], the rows of {dataset.name}"
        require(1 <= number <= len(labels), name, number, allowed)
        return np.random.default_rng(0).permutation(len(labels))[:number]

    train = rows("num_train", num_train, dataset.train_labels)
    test = rows("num_test", num_test, dataset.test_labels)
    return keep_rows(dataset, train, test)


def keep_rows(dataset: Dataset, train: Any, test: Any, **changes: Any) -> Dataset:
    """The set with the rows of two indices, and with what else changes."""
    kept = {}
    for part, index in (("train", train), ("test", test)):
        for kind in ("features", "labels"):
            kept[f"{part}_{kind}"] = getattr(dataset, f"{part}_{kind}")[index]
        columns = getattr(dataset, f"{part}_properties").items()
        kept[f"{part}_properties"] = {name: column[index] for name, column in columns}
    return dataclasses.replace(dataset, **(kept | changes))


def select_classes(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """Keeps the rows of some classes, renumbered 0, 1, ... in the order given.

    Raises:
        ValueError: A class is unknown or named twice, fewer than two are named, or
            there is no train or no test row, or only one class, left.
    """
    num_classes = len(dataset.class_names)
    is_fit, allowed = len(set(classes)) == len(classes) >= 2, "two or more, different"
    require(is_fit, "classes", list(classes), allowed)
    for number in classes:
        check_number("classes", number, low=0, high=num_classes - 1)
    new_labels = np.full(num_classes, -1, np.int32)
    new_labels[np.asarray(classes)] = np.arange(len(classes), dtype=np.int32)
    train_labels = new_labels[dataset.train_labels]
    test_labels = new_labels[dataset.test_labels]
    train, test = train_labels >= 0, test_labels >= 0
    return keep_rows(
        dataset,
        train,
        test,
        train_labels=train_labels[train],
        test_labels=test_labels[test],
        class_names=tuple(dataset.class_names[number] for number in classes),
        origin=f"{dataset.origin}; only classes {', '.join(map(str, classes))}",
    )


def draw_rows(
    labels: Int64[np.ndarray, " rows"], num_classes: int, most_per_class: int, seed: int
) -> Int64[np.ndarray, " drawn"]:
    """Draws equally many rows of every class, without replacement.

    Returns the row numbers, ascending, and the same ones for the same seed: of each
    class `most_per_class`, or as many as the rarest class has, if it has fewer.

    Example:
        >>> draw_rows(np.array([1, 0, 1, 1, 0]), 2, most_per_class=5, seed=0).shape
        (4,)
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=num_classes)
    num_drawn = min(most_per_class, int(counts.min()))
    drawn = [
        rng.choice(np.flatnonzero(labels == number), num_drawn, replace=False)
        for number in range(num_classes)
    ]
    return np.sort(np.concatenate(drawn))


def split_rows(
    labels: Int[np.ndarray, " rows"], seed: int, test_fraction: float = TEST_FRACTION
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]:
    """Splits rows into train and test with equal class shares, shuffled.

    Returns the row numbers of both parts, each in random order, and the same ones for
    the same seed. The share of the test rows is rounded up. A `ValueError` says that
    there are too few rows of a class for one in each part.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    try:
        train_rows, test_rows = train_test_split(
            rows, test_size=test_fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"test_fraction={test_fraction}: must leave rows of each class for train "
            f"and test: {error}"
        ) from None
    return np.asarray(train_rows), np.asarray(test_rows)

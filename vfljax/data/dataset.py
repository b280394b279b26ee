"""The record that every data set becomes, and the checks on its arrays."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Shaped


class Dataset(NamedTuple):
    """A labeled data set in host memory, split into train and test rows.

    Attributes:
        name: What the set is called in tables and records.
        train_features: One row per sample. Images are height, width and, if colored,
            channels, in [0, 1] unless their source says otherwise.
        train_labels: Class numbers 0 to C-1.
        test_features: As `train_features`.
        test_labels: As `train_labels`.
        class_names: The C names.
        feature_names: The names of the flattened columns, where they have names.
        origin: Where these arrays came from, in one sentence.
    """

    name: str
    train_features: Float32[np.ndarray, " train *features"]
    train_labels: Int32[np.ndarray, " train"]
    test_features: Float32[np.ndarray, " test *features"]
    test_labels: Int32[np.ndarray, " test"]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None
    origin: str


def make_dataset(
    name: str,
    train_features: Shaped[np.ndarray, "..."],
    train_labels: Shaped[np.ndarray, "..."],
    test_features: Shaped[np.ndarray, "..."],
    test_labels: Shaped[np.ndarray, "..."],
    *,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    origin: str = "arrays given by the caller",
) -> Dataset:
    """Makes a `Dataset` of a user's own arrays, after checking them.

    Values are converted to float32 and int32 and otherwise left as they are: scaling
    is the caller's choice.

    Args:
        name: What to call the set.
        train_features: Numbers, one row per sample, of any shape per row.
        train_labels: Integers 0 to C-1, one per row.
        test_features: As `train_features`, of the same shape per row.
        test_labels: As `train_labels`.
        class_names: The C names. If None, they are "0", "1", ..., and every class
            must occur, so that labels counted from 1 are noticed.
        feature_names: Names of the flattened columns, if they have names.
        origin: Where the arrays came from, in one sentence.

    Raises:
        ValueError: An array is not as described here or in `check_dataset`.

    Example:
        >>> features = np.eye(4)
        >>> labels = np.array([0, 1, 1, 0])
        >>> make_dataset("own", features, labels, features, labels).class_names
        ('0', '1')
    """
    arrays = {
        "train_features": _as_features("train_features", train_features),
        "train_labels": _as_labels("train_labels", train_labels),
        "test_features": _as_features("test_features", test_features),
        "test_labels": _as_labels("test_labels", test_labels),
    }
    if class_names is None:
        found = np.union1d(arrays["train_labels"], arrays["test_labels"])
        found = found[found >= 0]  # check_dataset reports the others
        is_after_gap = found != np.arange(len(found))
        if is_after_gap.any():
            raise ValueError(
                f"train_labels and test_labels have {found[-1]} but no row of class "
                f"{is_after_gap.argmax()}; allowed without class_names are integers "
                "0..C-1 of which each occurs"
            )
        class_names = [str(number) for number in range(len(found))]
    dataset = Dataset(
        name=name,
        **arrays,
        class_names=tuple(class_names),
        feature_names=None if feature_names is None else tuple(feature_names),
        origin=origin,
    )
    check_dataset(dataset)
    return dataset


def take_rows(dataset: Dataset, num_train: int | None, num_test: int | None) -> Dataset:
    """Keeps some rows, the same ones every time, in random order.

    Args:
        dataset: The set.
        num_train: How many training rows to keep; None for all, in their own order.
        num_test: How many test rows.

    Raises:
        ValueError: If there are fewer rows, or only one class is left.
    """

    def rows(name, number, labels):
        if number is None:
            return slice(None)
        if not 1 <= number <= len(labels):
            raise ValueError(
                f"{name} is {number}; allowed for {dataset.name} are 1 to {len(labels)}"
            )
        return np.random.default_rng(0).permutation(len(labels))[:number]

    train = rows("num_train", num_train, dataset.train_labels)
    test = rows("num_test", num_test, dataset.test_labels)
    taken = dataset._replace(
        train_features=dataset.train_features[train],
        train_labels=dataset.train_labels[train],
        test_features=dataset.test_features[test],
        test_labels=dataset.test_labels[test],
    )
    check_dataset(taken)
    return taken


def check_dataset(dataset: Dataset) -> None:
    """Checks that the arrays of a data set fit together.

    There are rows, as many labels as rows, the same shape in train and test, only
    finite features, labels from 0 to C-1, at least two classes among the training
    rows, and a name for every column if any has one.

    Raises:
        ValueError: One of these does not hold. The message names the argument, the
            offending value and what is allowed.
    """
    num_classes = len(dataset.class_names)
    for part in ("train", "test"):
        features = getattr(dataset, f"{part}_features")
        labels = getattr(dataset, f"{part}_labels")
        if features.ndim < 2 or features.size == 0:
            raise ValueError(
                f"{part}_features has shape {features.shape}; allowed is at least one "
                "row with at least one feature, (N, ...)"
            )
        if labels.shape != features.shape[:1]:
            raise ValueError(
                f"{part}_labels has shape {labels.shape}; allowed is one label for "
                f"each row of {part}_features, {features.shape[:1]}"
            )
        check_finite(f"{part}_features", features)
        is_outside = (labels < 0) | (labels >= num_classes)
        if is_outside.any():
            row = int(is_outside.argmax())
            raise ValueError(
                f"{part}_labels has {labels[row]} in row {row}; allowed are the "
                f"integers 0 to {num_classes - 1}"
            )
    train_shape, test_shape = (
        dataset.train_features.shape[1:],
        dataset.test_features.shape[1:],
    )
    if train_shape != test_shape:
        raise ValueError(
            f"test_features has rows of shape {test_shape}; allowed is that of "
            f"train_features, {train_shape}"
        )
    if np.ptp(dataset.train_labels) == 0:
        raise ValueError(
            f"train_labels has the single class {dataset.train_labels[0]}; allowed "
            "are two or more classes, as there is nothing to infer from one"
        )
    if dataset.feature_names is not None:
        num_names, num_columns = len(dataset.feature_names), math.prod(train_shape)
        if num_names != num_columns or len(set(dataset.feature_names)) != num_names:
            raise ValueError(
                f"feature_names has {num_names} names, "
                f"{len(set(dataset.feature_names))} of them distinct; allowed is one "
                f"distinct name for each of the {num_columns} columns"
            )


def check_finite(argument: str, array: Shaped[np.ndarray, "..."]) -> None:
    """Checks that an array holds numbers, and neither NaN nor infinity.

    Raises:
        ValueError: It does not; the message names `argument` and the first entry that
            is not finite.
    """
    _check_numeric(argument, array)
    # NaN passes through min and max, which, unlike isfinite, need no second array.
    if array.size == 0 or np.isfinite([array.min(), array.max()]).all():
        return
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    raise ValueError(
        f"{argument} has {array[index]} at index {index}; allowed are finite numbers"
    )


def _check_numeric(argument: str, array: np.ndarray) -> None:
    """Refuses texts, dates and objects."""
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{argument} has dtype {array.dtype}; allowed are integers and floats"
        )


def _as_features(argument: str, array: np.ndarray) -> np.ndarray:
    """Converts numbers to float32."""
    array = np.asarray(array)
    _check_numeric(argument, array)
    with np.errstate(over="ignore"):  # becomes inf, which check_finite reports
        return np.ascontiguousarray(array, np.float32)


def _as_labels(argument: str, array: np.ndarray) -> np.ndarray:
    """Converts integers to int32, refusing those that would wrap round."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{argument} has dtype {array.dtype}; allowed are integers 0..C-1 "
            "(np.unique(labels, return_inverse=True)[1] makes them)"
        )
    limits = np.iinfo(np.int32)
    for extreme in (array.min(initial=0), array.max(initial=0)):
        if not limits.min <= int(extreme) <= limits.max:
            raise ValueError(
                f"{argument} has {extreme}; allowed are the integers 0..C-1"
            )
    return array.astype(np.int32)

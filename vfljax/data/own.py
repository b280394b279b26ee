"""A user's own arrays as a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from vfljax._checks import require
from vfljax.data.dataset import Dataset, check_numeric
from vfljax.data.rows import TEST_FRACTION, keep_rows, split_rows

AnyArray = Shaped[np.ndarray, "..."]


def from_arrays(
    train_features: AnyArray,
    train_labels: AnyArray,
    test_features: AnyArray | None = None,
    test_labels: AnyArray | None = None,
    *,
    name: str = "own",
    test_fraction: float = TEST_FRACTION,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    train_properties: Mapping[str, AnyArray] | None = None,
    test_properties: Mapping[str, AnyArray] | None = None,
    property_names: Mapping[str, Sequence[str]] | None = None,
    task_name: str = Dataset.task_name,
    vocabulary: Sequence[str] | None = None,
    origin: str = Dataset.origin,
    seed: int = 0,
) -> Dataset:
    """Makes a `Dataset` of a user's own arrays, after checking them.

    Values are converted to float32 and int32 and otherwise left as they are: scaling
    is the caller's choice.

    Args:
        train_features: Numbers, one row per sample, of any shape per row.
        train_labels: Integers 0 to C-1, one per row.
        test_features: As `train_features`, of the same shape per row. If None, some of
            the given rows become the test rows, the rest the training rows, each in
            random order.
        test_labels: As `train_labels`; given if `test_features` are.
        name: What to call the set.
        test_fraction: The share of the rows, in (0, 1), that become test rows where
            none are given: the same share of every class, rounded up in all.
        class_names: The C names. If None, they are "0", "1", ..., and every class
            must occur, so that labels counted from 1 are noticed.
        feature_names: Names of the flattened columns, if they have names.
        train_properties: Further label columns by name: integers 0, 1, ..., one per
            row, of which each occurs unless `property_names` names the values.
        test_properties: As `train_properties`; given if `test_features` are.
        property_names: Names of the values of properties, by name of the property.
        task_name: What the labels are of.
        vocabulary: The word of each token number, if the features are token numbers;
            the first is empty, as 0 fills the end of a row.
        origin: Where the arrays came from, in one sentence.
        seed: Of the split into train and test rows.

    Raises:
        ValueError: An array is not as described here or in `Dataset`.

    Example:
        >>> features = np.arange(20.0).reshape(10, 2)
        >>> labels = np.arange(10) % 2
        >>> dataset = from_arrays(features, labels, name="parity")
        >>> dataset.train_features.shape, dataset.test_labels.tolist()
        ((8, 2), [0, 1])
    """
    train = _convert("train", train_features, train_labels, train_properties)
    is_split_here = test_features is None
    if is_split_here:
        is_none = test_labels is None and test_properties is None
        allowed = "given where test_labels or test_properties are"
        require(is_none, "test_features", None, allowed)
        require(0 < test_fraction < 1, "test_fraction", test_fraction, "in (0, 1)")
        test = {key.replace("train", "test"): value for key, value in train.items()}
    else:
        allowed = "given with test_features"
        require(test_labels is not None, "test_labels", None, allowed)
        test = _convert("test", test_features, test_labels, test_properties)
    if class_names is None:
        labels = train["train_labels"], test["test_labels"]
        number = _count_values("train_labels and test_labels", labels)
        class_names = [str(label) for label in range(number)]
    named = {key: tuple(names) for key, names in (property_names or {}).items()}
    for key, column in train["train_properties"].items():
        if key in named:
            continue
        columns = column, test["test_properties"].get(key, column)
        _count_values(f"properties[{key!r}]", columns)
    dataset = Dataset(
        name=name,
        **train,
        **test,
        class_names=tuple(class_names),
        feature_names=None if feature_names is None else tuple(feature_names),
        property_names=named,
        task_name=task_name,
        vocabulary=None if vocabulary is None else tuple(vocabulary),
        origin=origin,
    )
    if not is_split_here:
        return dataset
    return keep_rows(dataset, *split_rows(dataset.train_labels, seed, test_fraction))


def _convert(part: str, features: Any, labels: Any, properties: Any) -> dict[str, Any]:
    """The fields of the train or of the test rows: numbers to float32 and int32."""
    features = np.asarray(features)
    check_numeric(f"{part}_features", features)
    with np.errstate(over="ignore"):  # becomes inf, which Dataset reports
        features = np.ascontiguousarray(features, np.float32)
    columns = {
        key: _as_labels(f"{part}_properties[{key!r}]", column)
        for key, column in (properties or {}).items()
    }
    return {
        f"{part}_features": features,
        f"{part}_labels": _as_labels(f"{part}_labels", labels),
        f"{part}_properties": columns,
    }


def _as_labels(argument: str, array: Any) -> np.ndarray:
    """Converts integers to int32, refusing those that would wrap round."""
    array = np.asarray(array)
    allowed = "one of integers (np.unique(labels, return_inverse=True)[1] makes them)"
    require(array.dtype.kind in "iu", f"{argument}.dtype", str(array.dtype), allowed)
    limits = np.iinfo(np.int32)
    for extreme in (int(array.min(initial=0)), int(array.max(initial=0))):
        is_kept = limits.min <= extreme <= limits.max
        require(is_kept, argument, extreme, "of integers 0..C-1")
    return array.astype(np.int32)


def _count_values(argument: str, columns: Sequence[np.ndarray]) -> int:
    """How many numbers 0, 1, ... occur, refusing gaps."""
    found = np.unique(np.concatenate([np.ravel(column) for column in columns]))
    found = found[found >= 0]  # Dataset reports the others
    is_after_gap = found != np.arange(len(found))
    if is_after_gap.any():
        missing = int(is_after_gap.argmax())
        allowed = f"of integers 0..C-1 of which each occurs, but none is {missing}"
        require(False, argument, int(found[-1]), allowed)
    return len(found)

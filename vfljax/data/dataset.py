"""The record that every data set becomes, and the checks on its arrays."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from vfljax._checks import require


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A labeled data set in host memory, split into train and test rows.

    `from_arrays` converts and makes one. Two are equal if their content is (`digest`),
    so that a config may hold one.

    Raises:
        ValueError: The arrays do not fit together: there is no row or no feature, a
            part has not one label per row or another shape than the other, a feature is
            not finite, a label is not in 0 to C-1, all training rows have one label,
            not every column has a name of its own although some have, further label
            columns are not as many in both parts, have negative numbers or more values
            than names, or the features of a set with a vocabulary are not rows of
            numbers of its words. The message names the argument, the offending value
            and what it must be.
    """

    name: str
    """What the set is called in tables and records."""
    train_features: Float32[np.ndarray, " train *features"]
    """One row per sample. Images are height, width and, if colored, channels, in [0, 1]
    unless their source says otherwise."""
    train_labels: Int32[np.ndarray, " train"]
    """Class numbers 0 to C-1."""
    test_features: Float32[np.ndarray, " test *features"]
    """As `train_features`."""
    test_labels: Int32[np.ndarray, " test"]
    """As `train_labels`."""
    class_names: tuple[str, ...]
    """The C names."""
    feature_names: tuple[str, ...] | None = None
    """The names of the flattened columns, where they have names."""
    origin: str = "arrays given by the caller"
    """Where these arrays came from, in one sentence."""
    train_properties: Mapping[str, Int32[np.ndarray, " train"]] = field(
        default_factory=dict
    )
    """Further label columns by name, numbers from 0 on: properties of the samples that
    the main task is not about, and that an adversary may infer."""
    test_properties: Mapping[str, Int32[np.ndarray, " test"]] = field(
        default_factory=dict
    )
    """As `train_properties`, of the same names."""
    property_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the values 0, 1, ... of those properties whose values have names."""
    task_name: str = "class"
    """What the labels are of, such as "gender"."""
    vocabulary: tuple[str, ...] | None = None
    """The word of each token number, where the features are token numbers: whole ones,
    where 0, whose word is empty, fills the end of a row."""

    def __post_init__(self):
        """Checks that the arrays fit together."""
        for part in ("train", "test"):
            _check_part(self, part)
        shape = self.train_features.shape[1:]
        found = self.test_features.shape
        allowed = f"(N, {', '.join(map(str, shape))})"
        require(found[1:] == shape, "test_features.shape", found, allowed)
        first = int(self.train_labels[0])
        allowed = "of two or more classes, as there is nothing to infer from one"
        require((self.train_labels != first).any(), "train_labels", {first}, allowed)
        if self.feature_names is not None:
            names, num_columns = self.feature_names, math.prod(shape)
            allowed = f"one distinct name for each of the {num_columns} columns"
            is_fit = len(names) == len(set(names)) == num_columns
            require(is_fit, "feature_names", names, allowed)
        given, needed = sorted(self.test_properties), sorted(self.train_properties)
        allowed = f"those of train_properties, {needed}"
        require(given == needed, "test_properties", given, allowed)
        _check_property_names(self)
        is_free, allowed = self.task_name not in needed, f"none of {needed}"
        require(is_free, "task_name", self.task_name, allowed)
        if self.vocabulary is not None:
            _check_tokens(self, self.vocabulary)

    def __eq__(self, other: object) -> bool:
        """Whether another set has the same content."""
        if not isinstance(other, Dataset):
            return NotImplemented
        return self is other or (
            _header(self) == _header(other) and digest(self) == digest(other)
        )

    def __hash__(self) -> int:
        """A number that sets of the same content share."""
        return hash(_header(self))


def digest(dataset: Dataset) -> str:
    """16 hex digits that stand for what a set contains: its names, shapes and bytes.

    They are the first of a SHA-256, the same in every process. `origin` is not part
    of it, as the same data may lie in two places.

    Example:
        >>> from vfljax.data import load
        >>> digest(load("digits")) == digest(load("digits"))
        True
    """
    content = hashlib.sha256(_header(dataset).encode())
    for _, array in _arrays(dataset):
        content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return content.hexdigest()[:16]


def _arrays(dataset: Dataset) -> list[tuple[str, np.ndarray]]:
    """All arrays of a set and what they are called, in the same order every time."""
    arrays = [
        (f"{part}_{kind}", getattr(dataset, f"{part}_{kind}"))
        for part in ("train", "test")
        for kind in ("features", "labels")
    ]
    for part in ("train", "test"):
        arrays += sorted(getattr(dataset, f"{part}_properties").items())
    return arrays


def _header(dataset: Dataset) -> str:
    """Names and shapes as one text."""
    shapes = [(name, array.shape) for name, array in _arrays(dataset)]
    names = (dataset.name, dataset.class_names, dataset.feature_names)
    further = dataset.task_name, dataset.vocabulary, dict(dataset.property_names)
    # Sets without any of it keep the digest that run folders were written with.
    is_plain = further == (Dataset.task_name, None, {})
    return json.dumps([names, shapes] if is_plain else [names, shapes, further])


def _check_part(dataset: Dataset, part: str) -> None:
    """Checks features, labels and properties of the train or of the test rows."""
    features = getattr(dataset, f"{part}_features")
    check_finite(f"{part}_features", features)
    is_fit = features.ndim >= 2 and features.size > 0
    allowed = "(N, ...) with at least one row and one feature"
    require(is_fit, f"{part}_features.shape", features.shape, allowed)
    columns = {f"{part}_labels": getattr(dataset, f"{part}_labels")}
    for name, column in getattr(dataset, f"{part}_properties").items():
        columns[f"{part}_properties[{name!r}]"] = column
    for argument, column in columns.items():
        rows = features.shape[:1]
        allowed = f"{rows}, one for each row of {part}_features"
        require(column.shape == rows, f"{argument}.shape", column.shape, allowed)
        is_label = argument == f"{part}_labels"
        check_labels(argument, column, len(dataset.class_names) if is_label else None)


def _check_property_names(dataset: Dataset) -> None:
    """Refuses names of no property, and fewer names than a property has values."""
    for name, names in dataset.property_names.items():
        columns = dataset.train_properties, dataset.test_properties
        allowed = f"of one of the properties {sorted(columns[0])}"
        require(name in columns[0], "property_names", name, allowed)
        number = 1 + max(int(each[name].max(initial=-1)) for each in columns)
        is_fit = number <= len(names) == len(set(names))
        allowed = f"{number} or more distinct names, one for each value"
        require(is_fit, f"property_names[{name!r}]", names, allowed)


def _check_tokens(dataset: Dataset, vocabulary: tuple[str, ...]) -> None:
    """Refuses words that repeat, and features that are no numbers of words."""
    is_distinct = len(set(vocabulary)) == len(vocabulary)
    is_fit = vocabulary[:1] == ("",) and is_distinct
    require(is_fit, "vocabulary", vocabulary, "the empty word, then distinct words")
    for part in ("train", "test"):
        tokens = getattr(dataset, f"{part}_features")
        allowed = "(N, length), as token numbers have a vocabulary"
        require(tokens.ndim == 2, f"{part}_features.shape", tokens.shape, allowed)
        is_number = (tokens >= 0) & (tokens < len(vocabulary)) & (tokens % 1 == 0)
        for row, place in np.argwhere(~is_number)[:1]:
            argument = f"{part}_features[{row}, {place}]"
            allowed = f"a whole number 0 to {len(vocabulary) - 1}, of a word"
            require(False, argument, float(tokens[row, place]), allowed)


def check_labels(argument: str, labels: np.ndarray, num_classes: int | None) -> None:
    """Refuses the first label that is not a class number; None for any from 0 on."""
    if num_classes is None:
        is_outside, allowed = labels < 0, "0 or more"
    else:
        is_outside = (labels < 0) | (labels >= num_classes)
        allowed = f"an integer 0 to {num_classes - 1}"
    for row in np.flatnonzero(is_outside)[:1]:
        require(False, f"{argument}[{row}]", int(labels[row]), allowed)


def check_finite(argument: str, array: Shaped[np.ndarray, "..."]) -> None:
    """Refuses anything but numbers, and the first entry that is NaN or infinite."""
    check_numeric(argument, array)
    # NaN passes through min and max, which, unlike isfinite, need no second array.
    if array.size == 0 or np.isfinite([array.min(), array.max()]).all():
        return
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    place = ", ".join(map(str, index))
    require(False, f"{argument}[{place}]", float(array[index]), "a finite number")


def check_numeric(argument: str, array: np.ndarray) -> None:
    """Refuses texts, dates and objects."""
    is_number, allowed = array.dtype.kind in "biuf", "one of integers or floats"
    require(is_number, f"{argument}.dtype", str(array.dtype), allowed)

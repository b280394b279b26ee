from typing import Any

import numpy as np
import pytest

from vfljax.data import from_arrays


def good_arrays() -> dict[str, Any]:
    return {
        "train_features": np.arange(12.0).reshape(4, 3),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_features": np.arange(6, dtype=np.int64).reshape(2, 3),
        "test_labels": np.array([2, 0], np.uint8),
    }


def test_own_arrays_are_converted():
    dataset = from_arrays(**good_arrays(), feature_names=["a", "b", "c"])
    assert dataset.train_features.dtype == dataset.test_features.dtype == np.float32
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int32
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.feature_names == ("a", "b", "c")
    np.testing.assert_array_equal(dataset.train_features[2], [6, 7, 8])


def changed(index, value):
    features = good_arrays()["train_features"]
    features[index] = value
    return features


@pytest.mark.parametrize(
    ("argument", "value", "reason"),
    [
        ("train_features", changed((2, 1), np.nan), r"\[2, 1\]=nan"),
        ("train_features", changed((3, 0), -np.inf), r"\[3, 0\]=-inf"),
        ("train_features", changed((1, 1), 1e300), r"\[1, 1\]=inf: must be a finite"),
        ("train_features", np.full((4, 3), "x"), r"\.dtype=\'<U1\'"),
        ("train_features", np.zeros(4), r"\.shape=\(4,\)"),
        ("train_features", np.zeros((0, 3)), r"\.shape=\(0, 3\)"),
        ("test_features", np.zeros((2, 0)), r"\.shape=\(2, 0\)"),
        ("test_features", np.zeros((2, 4)), r"\.shape=\(2, 4\): must be \(N, 3\)"),
        ("train_labels", np.array([0, 1, 2]), r"\.shape=\(3,\): must be \(4,\)"),
        (
            "train_labels",
            np.array([0.0, 1.0, 2.0, 1.0]),
            r"\.dtype=\'float64\': must be one of integers",
        ),
        (
            "train_labels",
            np.array([0, -1, 2, 1]),
            r"\[1\]=-1: must be an integer 0 to 2",
        ),
        (
            "train_labels",
            np.array([0, 1, 2**32, 1]),
            r"=4294967296: must be of integers 0\.\.C-1",
        ),
        ("train_labels", np.array([0, 0, 0, 0]), ".*=2: must be .*, but none is 1"),
        (
            "test_labels",
            np.array([2, 2**31 - 1]),
            "=2147483647: must be .*, but none is 3",
        ),
        (
            "feature_names",
            ["a", "b"],
            r"=\(\'a\', \'b\'\): must be one distinct .* 3 columns",
        ),
        (
            "feature_names",
            ["a", "b", "a"],
            r"=\(\'a\', \'b\', \'a\'\): must be one distinct",
        ),
    ],
)
def test_unfit_arrays_are_refused(unchecked_types, argument, value, reason):
    arrays = good_arrays()
    arrays[argument] = value
    with pytest.raises(ValueError, match=f"{argument}{reason}"):
        from_arrays(**arrays)


def test_labels_are_compared_with_the_class_names():
    with pytest.raises(
        ValueError, match=r"train_labels\[2\]=2: must be an integer 0 to 1"
    ):
        from_arrays(**good_arrays(), class_names=["no", "yes"])
    arrays = good_arrays()
    arrays["train_labels"] = np.array([1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"train_labels=\{1\}: must be of two or more"):
        from_arrays(**arrays, class_names=["a", "b", "c"])
    # A class without rows is fine where the names say that it exists
    from_arrays(**good_arrays(), class_names=["a", "b", "c", "d"])

from typing import Any

import numpy as np
import pytest

from vfljax.data.dataset import make_dataset, take_rows


def good_arrays() -> dict[str, Any]:
    return {
        "train_features": np.arange(12.0).reshape(4, 3),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_features": np.arange(6, dtype=np.int64).reshape(2, 3),
        "test_labels": np.array([2, 0], np.uint8),
    }


def test_own_arrays_are_converted():
    dataset = make_dataset("own", **good_arrays(), feature_names=["a", "b", "c"])
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
        ("train_features", changed((2, 1), np.nan), r"has nan at index \(2, 1\)"),
        ("train_features", changed((3, 0), -np.inf), r"has -inf at index \(3, 0\)"),
        ("train_features", changed((1, 1), 1e300), r"has inf at index \(1, 1\)"),
        ("train_features", np.full((4, 3), "x"), "has dtype <U1"),
        ("train_features", np.zeros(4), r"has shape \(4,\)"),
        ("train_features", np.zeros((0, 3)), r"has shape \(0, 3\)"),
        ("test_features", np.zeros((2, 0)), r"has shape \(2, 0\)"),
        ("test_features", np.zeros((2, 4)), r"has rows of shape \(4,\).*\(3,\)"),
        ("train_labels", np.array([0, 1, 2]), r"has shape \(3,\).*\(4,\)"),
        (
            "train_labels",
            np.array([0.0, 1.0, 2.0, 1.0]),
            r"has dtype float64.*0\.\.C-1",
        ),
        ("train_labels", np.array([0, -1, 2, 1]), r"has -1 in row 1.*0 to 2"),
        ("train_labels", np.array([0, 1, 2**32, 1]), "has 4294967296"),
        ("train_labels", np.array([0, 0, 0, 0]), ".* have 2 but no .* 1;"),
        (
            "test_labels",
            np.array([2, 2**31 - 1]),
            "have 2147483647 but no row of class 3",
        ),
        ("feature_names", ["a", "b"], r"has 2 names.*3 columns"),
        ("feature_names", ["a", "b", "a"], "has 3 names, 2 of them distinct"),
    ],
)
def test_unfit_arrays_are_refused(argument, value, reason):
    arrays = good_arrays()
    arrays[argument] = value
    with pytest.raises(ValueError, match=f"{argument} {reason}"):
        make_dataset("own", **arrays)


def test_labels_are_compared_with_the_class_names():
    with pytest.raises(ValueError, match=r"train_labels has 2 in row 2.*0 to 1"):
        make_dataset("own", **good_arrays(), class_names=["no", "yes"])
    arrays = good_arrays()
    arrays["train_labels"] = np.array([1, 1, 1, 1])
    with pytest.raises(ValueError, match="train_labels has the single class 1"):
        make_dataset("own", **arrays, class_names=["a", "b", "c"])
    # A class without rows is fine where the names say that it exists
    make_dataset("own", **good_arrays(), class_names=["a", "b", "c", "d"])


def test_rows_are_taken_the_same_every_time():
    features = np.arange(20.0).reshape(10, 2)
    labels = np.arange(10) % 2
    dataset = make_dataset("own", features, labels, features[:4], labels[:4])
    taken, again = (take_rows(dataset, 6, None) for _ in range(2))
    np.testing.assert_array_equal(taken.train_features, again.train_features)
    np.testing.assert_array_equal(
        taken.train_labels, taken.train_features[:, 0] % 4 // 2
    )
    assert len(set(taken.train_features[:, 0])) == 6
    np.testing.assert_array_equal(taken.test_features, dataset.test_features)
    with pytest.raises(ValueError, match="num_test is 5; allowed for own are 1 to 4"):
        take_rows(dataset, None, 5)

import numpy as np
import pytest

from vfljax.data import from_arrays, select_classes, take_rows

# 5 rows of class 0, 1 of class 1, 3 of class 2, 8 of class 3, in no order
LABELS = np.array([3, 0, 3, 2, 0, 3, 3, 0, 1, 3, 2, 0, 3, 3, 0, 3, 2])


def test_rows_are_taken_the_same_every_time():
    features = np.arange(20.0).reshape(10, 2)
    labels = np.arange(10) % 2
    dataset = from_arrays(features, labels, features[:4], labels[:4])
    taken, again = (take_rows(dataset, 6, None) for _ in range(2))
    np.testing.assert_array_equal(taken.train_features, again.train_features)
    np.testing.assert_array_equal(
        taken.train_labels, taken.train_features[:, 0] % 4 // 2
    )
    assert len(set(taken.train_features[:, 0])) == 6
    np.testing.assert_array_equal(taken.test_features, dataset.test_features)
    with pytest.raises(
        ValueError, match=r"num_test=5: must be in \[1, 4\], the rows of own"
    ):
        take_rows(dataset, None, 5)


def four_classes():
    return from_arrays(
        np.arange(34.0).reshape(17, 2),
        LABELS,
        np.arange(8.0).reshape(4, 2),
        np.array([0, 3, 2, 1]),
        name="four",
        class_names=["w", "x", "y", "z"],
        origin="made up",
    )


def test_selected_classes_are_renumbered_in_the_order_given():
    selected = select_classes(four_classes(), [2, 0])
    # Rows 1, 3, 4, 7, 10, 11, 14, 16 have class 0 or 2; the first feature is 2 * row
    assert selected.train_features[:, 0].tolist() == [2, 6, 8, 14, 20, 22, 28, 32]
    assert selected.train_labels.tolist() == [1, 0, 1, 1, 0, 1, 1, 0]
    assert selected.test_features.tolist() == [[0, 1], [4, 5]]
    assert selected.test_labels.tolist() == [1, 0]
    assert selected.train_labels.dtype == np.int32
    assert selected.class_names == ("y", "w")
    assert selected.origin == "made up; only classes 2, 0"


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ([1], r"classes=\[1\]: must be two or more, diff"),
        ([2, 2], r"classes=\[2, 2\]"),
        ([0, 4], r"classes=4: must be in \[0, 3\]"),
        ([0, -1], "classes=-1"),
    ],
)
def test_unknown_or_too_few_classes_are_refused(classes, reason):
    with pytest.raises(ValueError, match=reason):
        select_classes(four_classes(), classes)

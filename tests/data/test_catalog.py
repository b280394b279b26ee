import collections
from typing import Any

import numpy as np
import pytest

from vfljax.data import DATASETS, DataError, load

# Bundled digits.


def test_digits_are_scaled_named_and_split_the_same_way_every_time():
    first, second = load("digits"), load("digits")
    assert first.train_features.shape == (1437, 8, 8)
    assert first.test_features.shape == (360, 8, 8)
    assert first.train_features.dtype == np.float32
    assert first.train_labels.dtype == np.int32
    assert (first.train_features.min(), first.train_features.max()) == (0, 1)
    assert first.feature_names is not None
    assert first.feature_names[:9:8] == ("pixel_0_0", "pixel_1_0")
    assert first.class_names == tuple("0123456789")
    np.testing.assert_array_equal(first.test_labels, second.test_labels)
    np.testing.assert_array_equal(first.test_features, second.test_features)
    # 360 of 1797 rows, so every class has a fifth of its rows in the test part
    shares = np.bincount(first.test_labels) / (
        np.bincount(first.test_labels) + np.bincount(first.train_labels)
    )
    np.testing.assert_allclose(shares, 360 / 1797, atol=0.005)


def test_digits_parts_are_disjoint_and_together_the_whole_set():
    from sklearn.datasets import load_digits

    def rows_of(images, labels):
        return collections.Counter(
            (np.rint(image * 16).astype(int).tobytes(), int(label))
            for image, label in zip(images, labels, strict=True)
        )

    dataset = load("digits")
    digits: Any = load_digits()
    assert rows_of(dataset.train_features, dataset.train_labels) + rows_of(
        dataset.test_features, dataset.test_labels
    ) == rows_of(digits.images / 16, digits.target)


# What there is.


def test_every_source_says_what_it_is_and_where_it_lies():
    for name, source in DATASETS.items():
        assert source.name == name
        assert source.description[0].islower() or source.description[0].isdigit()
        assert "\n" not in source.description
        assert len(set(source.folders)) == len(source.folders)
        # It comes with a library, or its files are named once
        assert bool(source.folders) == bool(source.files or source.checksums)
        assert not (source.files and source.checksums)
    assert len({id(source) for source in DATASETS.values()}) == len(DATASETS) == 34


# Unknown names.


def test_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(DataError, match=r"'cifar_10'.*mean 'cifar10'") as caught:
        load("cifar_10")
    assert all(name in str(caught.value) for name in DATASETS)
    with pytest.raises(DataError, match="unknown data set 'zzz': known are digits"):
        load("zzz")

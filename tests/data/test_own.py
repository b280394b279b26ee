import copy
import dataclasses

import numpy as np
import pytest

from vfljax.data import (
    Dataset,
    digest,
    from_arrays,
    select_classes,
    take_rows,
)

FEATURES = np.arange(40.0).reshape(20, 2)
LABELS = np.array([0, 1, 2, 0, 1] * 4)  # 8, 8 and 4 rows
AGES = np.arange(20) // 5  # 0 to 3


def own(**changes):
    arrays = {"train_features": FEATURES, "train_labels": LABELS}
    return from_arrays(**(arrays | changes))


# Test rows of the caller's, or split off.


def test_rows_are_split_off_with_equal_class_shares():
    """A quarter of 8, 8 and 4 rows is 2, 2 and 1; the first feature is 2 * row."""
    dataset = own(test_fraction=0.25, train_properties={"age": AGES})
    assert dataset.name == "own"
    assert np.bincount(dataset.train_labels).tolist() == [6, 6, 3]
    assert np.bincount(dataset.test_labels).tolist() == [2, 2, 1]
    rows = []
    for part in ("train", "test"):
        of_part = (getattr(dataset, f"{part}_features")[:, 0] // 2).astype(int)
        np.testing.assert_array_equal(
            getattr(dataset, f"{part}_labels"), LABELS[of_part]
        )
        np.testing.assert_array_equal(
            getattr(dataset, f"{part}_properties")["age"], AGES[of_part]
        )
        rows += of_part.tolist()
    assert sorted(rows) == list(range(20))


def test_the_split_depends_on_the_seed_alone():
    first, again, other = own(), own(), own(seed=1)
    np.testing.assert_array_equal(first.test_features, again.test_features)
    assert (first.train_features != other.train_features).any()


def test_given_test_rows_are_kept_in_order():
    dataset = own(
        test_features=FEATURES[:3] + 0.5,
        test_labels=LABELS[:3],
        test_fraction=0.5,
        train_properties={"age": AGES},
        test_properties={"age": np.array([3, 0, 1], np.uint8)},
    )
    np.testing.assert_array_equal(dataset.train_features, FEATURES)
    np.testing.assert_array_equal(dataset.test_features, FEATURES[:3] + 0.5)
    assert dataset.test_properties["age"].tolist() == [3, 0, 1]
    assert dataset.test_properties["age"].dtype == np.int32


TEST = {"test_features": FEATURES[:3], "test_labels": LABELS[:3]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_labels": LABELS}, "test_features=None: must be given where"),
        ({"test_features": FEATURES}, "test_labels=None: must be given with"),
        ({"test_fraction": 0.0}, r"test_fraction=0.0: must be in \(0, 1\)"),
        ({"test_fraction": 1.0}, r"test_fraction=1.0: must be in \(0, 1\)"),
        ({"test_fraction": 0.1}, "test_fraction=0.1: must leave rows of each class"),
        (
            {"train_labels": [0] * 19 + [1]},
            "test_fraction=0.2: must leave rows of each class",
        ),
        (
            {"train_properties": {"age": AGES[1:]}},
            r"train_properties\['age'\].shape=\(19,\): must be \(20,\)",
        ),
        (
            {"train_properties": {"age": AGES - 1}},
            r"train_properties\['age'\]\[0\]=-1: must be 0 or more",
        ),
        (
            {"train_properties": {"age": AGES + 1}},
            r"properties\['age'\]=4: must be .*, but none is 0",
        ),
        (
            {"train_properties": {"age": AGES / 2}},
            r"train_properties\['age'\].dtype='float64'",
        ),
        (
            {**TEST, "train_properties": {"age": AGES}},
            r"test_properties=\[\]: must be those of train_properties, \['age'\]",
        ),
    ],
)
def test_unfit_arrays_are_refused(unchecked_types, changes, reason):
    with pytest.raises(ValueError, match=reason):
        own(**changes)


def test_arrays_that_no_one_converted_are_refused(unchecked_types):
    """Whoever makes the record itself meets the same checks."""
    with pytest.raises(ValueError, match=r"test_features.shape=\(4, 1\): must be \(N"):
        dataclasses.replace(own(), test_features=np.zeros((4, 1), np.float32))


# Further label columns stay with their rows.


def test_properties_stay_with_their_rows():
    dataset = own(train_properties={"age": AGES})
    for changed in (take_rows(dataset, 7, 3), select_classes(dataset, [2, 0])):
        assert len(changed.train_labels) < len(dataset.train_labels)
        for part in ("train", "test"):
            rows = (getattr(changed, f"{part}_features")[:, 0] // 2).astype(int)
            np.testing.assert_array_equal(
                getattr(changed, f"{part}_properties")["age"], AGES[rows]
            )


# A field of a config.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    dataset: str | Dataset = "digits"


def test_sets_are_equal_if_their_content_is():
    config, same = Config(dataset=own()), Config(dataset=own(origin="elsewhere"))
    assert config == same
    assert hash(config) == hash(same)
    assert copy.deepcopy(config) == config
    assert config != Config(dataset=own(seed=1))
    assert config != Config()


def changed_entry():
    features = FEATURES.copy()
    features[7, 1] += 1e-3
    return features


def test_digest_stands_for_names_shapes_and_bytes():
    """The first one is fixed, so that it is the same in every process and version."""
    different = [
        own(),
        own(name="other"),
        own(seed=1),
        own(train_features=changed_entry()),
        own(train_features=FEATURES[:, :, None]),
        own(train_labels=np.roll(LABELS, 1)),
        own(class_names=["a", "b", "c"]),
        own(feature_names=["x", "y"]),
        own(train_properties={"age": AGES}),
        own(train_properties={"sex": AGES}),
        own(train_properties={"age": np.roll(AGES, 1)}),
    ]
    digests = [digest(dataset) for dataset in different]
    assert len(set(digests)) == len(digests)
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in digests)
    assert digests[0] == "9117c87b7c8dc230"


def test_digest_does_not_depend_on_how_arrays_lie_in_memory():
    arrays = {"test_features": FEATURES[:3], "test_labels": LABELS[:3]}
    dataset = own(**arrays)
    turned = dataclasses.replace(
        dataset, train_features=np.asfortranarray(dataset.train_features)
    )
    assert digest(turned) == digest(dataset)

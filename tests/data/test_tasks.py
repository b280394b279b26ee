"""Names of properties, tasks, and vocabularies of token numbers."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from vfljax.data import Dataset, digest, from_arrays, take_rows, with_task

FEATURES = np.arange(40.0).reshape(20, 2)
LABELS = np.array([0, 1, 2, 0, 1] * 4)
AGES = np.arange(20) // 7  # 0, 1, 2
TOKENS = np.array([[1.0, 2, 0], [3, 1, 1], [2, 0, 0], [1, 3, 2]])
WORDS = ("", "the", "room", "fine")


def people(**changes) -> Dataset:
    given = {
        "train_properties": {"age": AGES, "city": LABELS[::-1]},
        "property_names": {"age": ["young", "middle", "old", "oldest"]},
        "class_names": ["a", "b", "c"],
        "task_name": "gender",
    }
    return from_arrays(FEATURES, LABELS, **(given | changes))


def texts(**changes) -> Dataset:
    given: dict[str, Any] = {"train_features": TOKENS, "test_features": TOKENS}
    for part in ("train", "test"):
        given[f"{part}_labels"] = np.array([0, 1, 0, 1])
    given["vocabulary"] = WORDS
    return from_arrays(**(given | changes))


def test_a_property_becomes_the_task():
    before, after = people(), with_task(people(), "age")
    assert after.task_name == "age"
    assert after.class_names == ("young", "middle", "old", "oldest")
    assert after.property_names == {"gender": ("a", "b", "c")}
    assert sorted(after.train_properties) == ["city", "gender"]
    for part in ("train", "test"):
        rows = (getattr(after, f"{part}_features")[:, 0] // 2).astype(int)
        columns = getattr(after, f"{part}_properties")
        np.testing.assert_array_equal(getattr(after, f"{part}_labels"), AGES[rows])
        np.testing.assert_array_equal(columns["gender"], LABELS[rows])
        np.testing.assert_array_equal(columns["city"], LABELS[::-1][rows])
    assert digest(after) != digest(before)
    assert after.origin.endswith("; labels are age")


def test_there_is_a_way_back():
    assert with_task(with_task(people(), "age"), "gender") == people()
    assert with_task(people(), "gender") == people()


def test_values_without_names_are_called_by_their_numbers():
    assert with_task(people(), "city").class_names == ("0", "1", "2")


def test_unknown_task_is_refused():
    with pytest.raises(ValueError, match=r"name='sex': must be 'gender', .*'city'\]"):
        with_task(people(), "sex")


def test_property_of_one_value_is_no_task():
    one = np.zeros(20, int)
    with pytest.raises(ValueError, match=r"train_labels=\{0\}: must be of two or more"):
        with_task(people(train_properties={"age": one, "city": one}), "city")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"property_names": {"sex": ["f", "m"]}}, r"property_names='sex': must be of"),
        (
            {"property_names": {"age": ["young", "old"]}},
            r"property_names\['age'\]=.*: must be 3 or more distinct names",
        ),
        (
            {"property_names": {"age": ["young", "old", "old"]}},
            r"property_names\['age'\]=.*: must be 3 or more distinct names",
        ),
        ({"task_name": "age"}, r"task_name='age': must be none of \['age', 'city'\]"),
    ],
)
def test_unfit_names_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        people(**changes)


def test_named_values_need_not_occur():
    """Without names, a number that is never met is a mistake in counting."""
    ages = AGES + 1
    people(train_properties={"age": ages})
    with pytest.raises(ValueError, match=r"properties\['age'\]=3: .*none is 0"):
        people(train_properties={"age": ages}, property_names={})


# Words of token numbers.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vocabulary": WORDS[1:]}, "vocabulary=.*: must be the empty word, then"),
        ({"vocabulary": ("", "a", "b", "a")}, "must be the empty word, then distinct"),
        ({"vocabulary": WORDS[:3]}, r"train_features\[1, 0\]=3.0: must be .* 0 to 2"),
        ({"train_features": TOKENS / 2}, r"train_features\[0, 0\]=0.5: must be a wh"),
        ({"train_features": -TOKENS}, r"train_features\[0, 0\]=-1.0: must be a whole"),
        (
            {
                "train_features": TOKENS[:, :, None],
                "test_features": TOKENS[:, :, None],
            },
            r"train_features.shape=\(4, 3, 1\): must be \(N, length\)",
        ),
    ],
)
def test_unfit_tokens_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        texts(**changes)


def test_vocabulary_stays_with_the_set():
    assert take_rows(texts(), 3, 2).vocabulary == WORDS


def test_names_and_words_are_part_of_the_digest():
    """The last one is fixed, from before there were any: without them it stays."""
    plain = people(property_names={}, task_name=Dataset.task_name)
    sets = [
        plain,
        people(property_names={}),
        people(),
        people(property_names={"age": ["x", "y", "z"]}),
        texts(),
        texts(vocabulary=("", "a", "room", "fine")),
        texts(vocabulary=None),
    ]
    digests = [digest(each) for each in sets]
    assert len(set(digests)) == len(sets)
    assert digest(dataclasses.replace(plain, property_names={})) == digests[0]
    assert digests[0] == "2d7aeb74de68a150"

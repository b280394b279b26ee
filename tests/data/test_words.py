"""Numbers of words, and vocabularies cut to the most frequent ones."""

import numpy as np
import pytest

from vfljax.data import from_arrays, top_words
from vfljax.data.documents import Documents, from_documents
from vfljax.data.words import most_frequent, number_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The ROOM, the room!", ["the", "room", "the", "room"]),
        ("don't 'quote' it's-fine", ["don't", "quote", "it's", "fine"]),
        ("snake_case 7th café", ["snake", "case", "7th", "café"]),
        ("... --- '", []),
        ("", []),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(text, words):
    assert list(split_words(text)) == words


def test_the_most_frequent_come_first_and_ties_by_letters():
    """c three times, a and b twice, d once."""
    documents = [["c", "b", "a"], ["c", "d", "b"], ["a", "c"]]
    assert most_frequent(documents, 3) == ("", "c", "a", "b")
    assert most_frequent(documents, 9) == ("", "c", "a", "b", "d")


def test_unknown_words_leave_no_gap_and_rows_are_cut():
    rows = number_words([["x", "b", "x", "a"], ["a", "b", "a"], []], ("", "a", "b"), 2)
    assert rows.tolist() == [[2, 1], [1, 2], [0, 0]]
    assert rows.dtype == np.float32
    with pytest.raises(ValueError, match=r"length=0: must be in \[1, inf\]"):
        number_words([[]], ("",), 0)


def test_the_vocabulary_is_that_of_the_training_rows():
    """In training b occurs twice and a once; c only in the test row."""
    documents = Documents(
        ["b a b", "b", "c c a b", "a"], np.array([0, 1, 0, 1]), {"p": np.arange(4) % 2}
    )
    train, test = np.array([0, 1]), np.array([2, 3])
    dataset = from_documents(documents, train, test, num_words=9, length=3)
    assert dataset.vocabulary == ("", "b", "a")
    assert dataset.train_features.tolist() == [[1, 2, 1], [1, 0, 0]]
    assert dataset.test_features.tolist() == [[2, 1, 0], [2, 0, 0]]
    assert dataset.test_properties["p"].tolist() == [0, 1]


def tokens(rows, **fields):
    labels = np.arange(len(rows)) % 2
    return from_arrays(np.array(rows), labels, np.array(rows), labels, **fields)


def test_restricting_drops_numbers_and_closes_gaps():
    words = ("", "a", "b", "c", "d")
    dataset = tokens([[4, 1, 3, 2], [3, 4, 0, 0], [2, 2, 1, 0]], vocabulary=words)
    short = top_words(dataset, 2)
    expected = [[1, 2, 0, 0], [0, 0, 0, 0], [2, 2, 1, 0]]
    assert short.train_features.tolist() == short.test_features.tolist() == expected
    assert short.vocabulary == ("", "a", "b")
    assert short.train_features.dtype == np.float32
    assert short.origin.endswith("; only the 2 most frequent words")
    whole = top_words(dataset, 4)
    np.testing.assert_array_equal(whole.train_features, dataset.train_features)


def test_impossible_restrictions_are_refused():
    dataset = tokens([[1, 2], [2, 1]], vocabulary=("", "a", "b"))
    for number in (0, 3):
        with pytest.raises(ValueError, match=rf"number={number}: must be in \[1, 2\]"):
            top_words(dataset, number)
    with pytest.raises(ValueError, match=r"dataset.vocabulary=None: must be that of"):
        top_words(tokens([[1, 2], [2, 1]]), 1)

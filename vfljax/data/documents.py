"""Data sets of texts whose words are numbered by frequency."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.words import most_frequent, number_words, split_words


class Documents(NamedTuple):
    """Texts, the class number of each, and further columns of class numbers."""

    texts: Sequence[str]
    labels: Int64[np.ndarray, " rows"]
    properties: Mapping[str, Int64[np.ndarray, " rows"]]


def from_documents(
    documents: Documents,
    train: Int64[np.ndarray, " train"],
    test: Int64[np.ndarray, " test"],
    *,
    num_words: int,
    length: int,
    **fields: Any,
) -> Dataset:
    """Makes a data set of token numbers from some rows for training and some for test.

    The vocabulary is the `num_words` most frequent words of the training rows, and a
    row the first `length` of them in its text (`vfljax.data.words`). Further fields are
    those of `from_arrays`.
    """
    words = [list(split_words(text)) for text in documents.texts]
    vocabulary = most_frequent((words[row] for row in train), num_words)
    tokens = number_words(words, vocabulary, length)
    columns = documents.properties.items()
    return from_arrays(
        tokens[train],
        documents.labels[train],
        tokens[test],
        documents.labels[test],
        train_properties={name: column[train] for name, column in columns},
        test_properties={name: column[test] for name, column in columns},
        vocabulary=vocabulary,
        **fields,
    )

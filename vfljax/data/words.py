"""Texts as numbers of their words, the most frequent word first.

A word is a run of letters and digits in lower case, with apostrophes only inside of it:
of "Don't ask--it's the room_key!" the words are don't, ask, it's, the, room, key.
"""

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Shaped

from vfljax._checks import check_number, require
from vfljax.data.dataset import Dataset

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def split_words(text: str) -> Iterator[str]:
    """The words of a text in lower case, in their order.

    Example:
        >>> list(split_words("Don't ask--it's the room_key!"))
        ["don't", 'ask', "it's", 'the', 'room', 'key']
    """
    return (word[0] for word in _WORD.finditer(text.lower()))


def most_frequent(documents: Iterable[Iterable[str]], number: int) -> tuple[str, ...]:
    """A vocabulary: the empty word, then the most frequent words of some documents.

    Words that occur equally often are in the order of their letters. There are fewer if
    the documents have fewer.

    Example:
        >>> most_frequent([["the", "room"], ["a", "room"]], number=2)
        ('', 'room', 'a')
    """
    counts = collections.Counter(itertools.chain.from_iterable(documents))
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return ("", *ordered[:number])


def number_words(
    documents: Sequence[Iterable[str]], vocabulary: Sequence[str], length: int
) -> Float32[np.ndarray, " rows length"]:
    """Makes each document a row of token numbers: its first words in the vocabulary.

    Words that are not in the vocabulary are left out, so that the numbers of a row
    stand without gaps at its start; 0 fills the rest.

    Raises:
        ValueError: `length`, of a row, is below 1.

    Example:
        >>> number_words([["a", "fine", "room"]], ("", "room", "a"), length=4)
        array([[2., 1., 0., 0.]], dtype=float32)
    """
    check_number("length", length, low=1)
    numbers = {word: number for number, word in enumerate(vocabulary)}
    rows = np.zeros((len(documents), length), np.float32)
    for row, words in zip(rows, documents, strict=True):
        known = (numbers[word] for word in words if word in numbers)
        found = list(itertools.islice(known, length))
        row[: len(found)] = found
    return rows


def top_words(dataset: Dataset, number: int) -> Dataset:
    """Restricts the vocabulary of a set to its most frequent words.

    Numbers are ordered by frequency in the data sets of this package, so greater ones
    than `number` are left out, and the others of their row move up. Words that did not
    fit into a row before do not come back. A row may lose all its words; it stays.

    Raises:
        ValueError: The set has no vocabulary, or not so many words.

    Example:
        >>> from vfljax.data import from_arrays
        >>> texts = np.array([[3.0, 1, 2, 1], [2, 3, 3, 0]])
        >>> words = ("", "room", "a", "fine")
        >>> short = top_words(
        ...     from_arrays(texts, np.array([0, 1]), texts, np.array([0, 1]),
        ...                 vocabulary=words), 2
        ... )
        >>> short.vocabulary, short.train_features.tolist()
        (('', 'room', 'a'), [[1.0, 2.0, 1.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    """
    vocabulary, allowed = dataset.vocabulary, "that of a set of token numbers"
    require(vocabulary is not None, "dataset.vocabulary", vocabulary, allowed)
    assert vocabulary is not None
    check_number("number", number, low=1, high=len(vocabulary) - 1)
    return dataclasses.replace(
        dataset,
        train_features=_keep_up_to(dataset.train_features, number),
        test_features=_keep_up_to(dataset.test_features, number),
        vocabulary=vocabulary[: number + 1],
        origin=f"{dataset.origin}; only the {number} most frequent words",
    )


def _keep_up_to(
    tokens: Shaped[np.ndarray, " rows length"], number: int
) -> Shaped[np.ndarray, " rows length"]:
    """Leaves out greater numbers, and closes the gaps."""
    kept = np.where(tokens <= number, tokens, 0)
    order = np.argsort(kept == 0, axis=1, kind="stable")
    return np.take_along_axis(kept, order, axis=1)

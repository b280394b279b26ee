"""Texts as rows of token numbers, by hashing or with the vocabulary of a BERT model."""

import itertools
import re
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int64
from tqdm import tqdm

from vfljax.data.formats import DataError

VOCABULARY_SIZE = 30_522  # of the uncased BERT models
VOCABULARY_FILE = "vocab.txt"

# From a text and a length to so many token numbers, 0 after the last token.
Tokenizer: TypeAlias = Callable[[str, int], Int64[np.ndarray, " length"]]

_LARGEST_EXACT = 2**24  # whole numbers up to here are exact in float32
_WORDS = re.compile(r"\w+|[^\w\s]")
_MOST_CHARACTERS = 100  # a longer word is unknown, as in BERT
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


def hash_tokens(
    text: str, length: int, vocabulary_size: int = VOCABULARY_SIZE
) -> Int64[np.ndarray, " length"]:
    """Turns the first words of a text into numbers, without a vocabulary.

    A token is a run of letters, digits and underscores, in lower case, or any other
    character but blanks. Its number is 1 + CRC-32 modulo (`vocabulary_size` - 1), the
    same in every process; different tokens may share one. 0 fills the rest.

    Args:
        text: Any text.
        length: How many numbers to return, at least 1.
        vocabulary_size: The numbers are below it; 2 to 2^24.

    Raises:
        ValueError: `length` or `vocabulary_size` is out of range.

    Example:
        >>> hash_tokens("Yes, yes!", 5, vocabulary_size=1000)
        array([892,  72, 892, 510,   0])
    """
    _check_length(length, fewest=1)
    _check_vocabulary_size(vocabulary_size)
    words = itertools.islice(_WORDS.finditer(text.lower()), length)
    numbers = [
        1 + zlib.crc32(word[0].encode()) % (vocabulary_size - 1) for word in words
    ]
    return _pad(numbers, length)


class WordPiece:
    """Turns texts into numbers as uncased BERT models do, with their vocabulary.

    A text is put in lower case, its accents and control characters are taken away, and
    it is cut at blanks and around punctuation and Chinese characters. Each word is then
    cut into the longest pieces of the vocabulary from its start on, where pieces inside
    a word begin with `##`; a word that cannot be cut, or of more than 100 characters,
    is `[UNK]`. Devlin et al., "BERT", 2019, https://arxiv.org/abs/1810.04805; pieces
    from Wu et al. 2016, https://arxiv.org/abs/1609.08144.

    A piece's number is that of its line, from 0 on, and line 0 is `[PAD]`.
    """

    def __init__(self, vocabulary_file: Path, vocabulary_size: int = VOCABULARY_SIZE):
        """Reads a vocabulary.

        Args:
            vocabulary_file: The `vocab.txt` of a BERT model, one piece per line.
            vocabulary_size: The most lines allowed; 2 to 2^24.

        Raises:
            DataError: The file cannot be read, has more lines, does not begin with
                `[PAD]`, or has no `[UNK]`, `[CLS]` or `[SEP]`.
            ValueError: `vocabulary_size` is out of range.
        """
        _check_vocabulary_size(vocabulary_size)
        try:
            content = vocabulary_file.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{vocabulary_file} cannot be read: {error}") from error
        lines = content.replace("\r\n", "\n").removesuffix("\n").split("\n")
        if len(lines) > vocabulary_size:
            raise DataError(
                f"{vocabulary_file} has {len(lines)} lines; allowed are at most "
                f"{vocabulary_size}"
            )
        self._numbers = {piece: number for number, piece in enumerate(lines)}
        lacking = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - self._numbers.keys()
        if lacking or self._numbers["[PAD]"] != 0:
            raise DataError(
                f"{vocabulary_file} is no vocabulary of a BERT model: it lacks "
                f"{', '.join(sorted(lacking)) or '[PAD] as its first line'}"
            )

    def __call__(self, text: str, length: int) -> Int64[np.ndarray, " length"]:
        """Returns `[CLS]`, the first pieces of a text and `[SEP]`, then 0.

        Args:
            text: Any text.
            length: How many numbers to return, at least 2; pieces that do not fit are
                left out.

        Raises:
            ValueError: `length` is below 2.
        """
        _check_length(length, fewest=2)
        characters = unicodedata.normalize("NFD", text.lower())  # accents apart
        words = "".join(map(_space_out, characters)).split()
        pieces = itertools.chain.from_iterable(map(self._cut, words))
        kept = itertools.islice(pieces, length - 2)
        return _pad([self._numbers["[CLS]"], *kept, self._numbers["[SEP]"]], length)

    def _cut(self, word: str) -> list[int]:
        """The numbers of the longest pieces, from the start of a word on."""
        unknown = [self._numbers["[UNK]"]]
        if len(word) > _MOST_CHARACTERS:
            return unknown
        numbers, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self._numbers), None)
            if end is None:
                return unknown
            numbers.append(self._numbers[mark + word[start:end]])
            start = end
        return numbers


def find_tokenizer(folder: Path) -> Tokenizer:
    """`WordPiece` with the `vocab.txt` in a folder, or `hash_tokens` if it has none."""
    path = folder / VOCABULARY_FILE
    return WordPiece(path) if path.is_file() else hash_tokens


def tokenize_halves(
    texts: Sequence[str], tokenize: Tokenizer, length: int, progress: str
) -> Float32[np.ndarray, " rows tokens"]:
    """Cuts each text in two at the middle character, and makes each half numbers.

    A word in the middle is cut too. Fu et al., USENIX Security 2022, divide documents
    between two parties in this way.

    Args:
        texts: One per row.
        tokenize: Makes a half into `length` numbers.
        length: How many numbers each half gets.
        progress: What the progress bar says.

    Returns:
        Whole numbers, 2 * `length` per row: those of the first half of the text come
        first. Of an odd number of characters, the second half has one more.
    """
    tokens = np.empty((len(texts), 2 * length), np.float32)
    # disable=None: no bar where nobody watches; delay: nor for a short wait
    bar = tqdm(texts, progress, unit="text", delay=1, disable=None)
    for row, text in enumerate(bar):
        middle = len(text) // 2
        tokens[row, :length] = tokenize(text[:middle], length)
        tokens[row, length:] = tokenize(text[middle:], length)
    return tokens


@cache
def _space_out(character: str) -> str:
    """The character with blanks around it, by itself, or nothing in its place."""
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs":
        return " "
    if category == "Mn" or category.startswith("C") or character == "\ufffd":
        return ""
    is_ascii_symbol = character.isascii() and not character.isalnum()
    is_ideograph = any(low <= ord(character) <= high for low, high in _IDEOGRAPHS)
    if is_ascii_symbol or category.startswith("P") or is_ideograph:
        return f" {character} "
    return character


def _pad(numbers: Sequence[int], length: int) -> Int64[np.ndarray, " length"]:
    """Fills up with 0."""
    padded = np.zeros(length, np.int64)
    padded[: len(numbers)] = numbers
    return padded


def _check_length(length: int, fewest: int) -> None:
    """Refuses too short a row."""
    if length < fewest:
        raise ValueError(f"length is {length}; allowed is {fewest} or more")


def _check_vocabulary_size(vocabulary_size: int) -> None:
    """Refuses a size that leaves no number or that float32 cannot count."""
    if not 2 <= vocabulary_size <= _LARGEST_EXACT:
        raise ValueError(
            f"vocabulary_size is {vocabulary_size}; allowed is 2 to {_LARGEST_EXACT}"
        )

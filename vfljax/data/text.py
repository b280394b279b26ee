"""Texts as rows of token numbers, by hashing or with the vocabulary of a BERT model."""

import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from vfljax._checks import check_number, require
from vfljax.data.source import DataError, progress_bar

VOCABULARY_SIZE = 30_522  # of the uncased BERT models

# From a text and a length to so many token numbers, 0 after the last token.
Tokenizer: TypeAlias = Callable[[str, int], Int64[np.ndarray, " length"]]

_LARGEST_EXACT = 2**24  # whole numbers up to here are exact in float32
_WORDS = re.compile(r"\w+|[^\w\s]")


def hash_tokens(
    text: str, length: int, vocabulary_size: int = VOCABULARY_SIZE
) -> Int64[np.ndarray, " length"]:
    """Turns the first words of a text into numbers, without a vocabulary.

    A token is a run of letters, digits and underscores, in lower case, or any other
    character but blanks. Its number is 1 + CRC-32 modulo (`vocabulary_size` - 1), the
    same in every process; different tokens may share one. 0 fills the rest.

    Raises:
        ValueError: `length`, of the result, is below 1, or `vocabulary_size` not in 2
            to 2^24.

    Example:
        >>> hash_tokens("Yes, yes!", 5, vocabulary_size=1000)
        array([892,  72, 892, 510,   0])
    """
    check_number("length", length, low=1)
    _check_vocabulary_size(vocabulary_size)
    words = itertools.islice(_WORDS.finditer(text.lower()), length)
    numbers = [
        1 + zlib.crc32(word[0].encode()) % (vocabulary_size - 1) for word in words
    ]
    return np.pad(np.array(numbers, np.int64), (0, length - len(numbers)))


class WordPiece:
    """Turns texts into numbers as uncased BERT models do, with their vocabulary.

    A text is put in lower case, its accents and control characters are taken away, and
    it is cut at blanks and around punctuation and Chinese characters. Each word is then
    cut into the longest pieces of the vocabulary from its start on, where pieces inside
    a word begin with `##`; a word that cannot be cut, or of more than 100 characters,
    is `[UNK]`. Devlin et al., "BERT", 2019, https://arxiv.org/abs/1810.04805; pieces
    from Wu et al. 2016, https://arxiv.org/abs/1609.08144.

    A piece's number is that of its line, from 0 on, and line 0 is `[PAD]`. The cutting
    is done by the library tokenizers; which characters are accents, punctuation or
    Chinese is as in its Unicode tables, in which the newest ones are not yet listed.
    """

    def __init__(self, vocabulary_file: Path, vocabulary_size: int = VOCABULARY_SIZE):
        """Reads the `vocab.txt` of a BERT model, one piece per line.

        Raises:
            DataError: The file cannot be read, has more than `vocabulary_size` lines,
                does not begin with `[PAD]`, or has no `[UNK]`, `[CLS]` or `[SEP]`; or
                the library tokenizers is not installed.
            ValueError: `vocabulary_size` is not in 2 to 2^24.
        """
        _check_vocabulary_size(vocabulary_size)
        try:
            content = vocabulary_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{vocabulary_file} cannot be read: {error}") from error
        lines = content.removesuffix("\n").split("\n")
        if len(lines) > vocabulary_size:
            raise DataError(
                f"{vocabulary_file} has {len(lines)} lines; allowed are at most "
                f"{vocabulary_size}"
            )
        numbers = {piece: number for number, piece in enumerate(lines)}
        lacking = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - numbers.keys()
        if lacking or numbers["[PAD]"] != 0:
            raise DataError(
                f"{vocabulary_file} is no vocabulary of a BERT model: it lacks "
                f"{', '.join(sorted(lacking)) or '[PAD] as its first line'}"
            )
        try:
            import tokenizers
        except ImportError as error:
            raise DataError(
                f"using {vocabulary_file} needs tokenizers: pip install 'vfljax[text]' "
                "brings it"
            ) from error
        self._tokenizer = tokenizers.BertWordPieceTokenizer(numbers, strip_accents=True)

    def __call__(self, text: str, length: int) -> Int64[np.ndarray, " length"]:
        """Returns `[CLS]`, the first pieces of a text and `[SEP]`, then 0.

        Raises:
            ValueError: `length`, the number of numbers to return, is below 2.
        """
        check_number("length", length, low=2)
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(length=length)
        return np.array(self._tokenizer.encode(text.lower()).ids)


def tokenize_halves(
    texts: Sequence[str], tokenize: Tokenizer, length: int, progress: str
) -> Float32[np.ndarray, " rows tokens"]:
    """Cuts each text in two at the middle character, and makes each half numbers.

    A word in the middle is cut too. Fu et al., USENIX Security 2022, divide documents
    between two parties in this way.

    Of an odd number of characters, the second half has one more. Each gets `length`
    numbers, the first half's first. `progress` is what the progress bar says.
    """
    tokens = np.empty((len(texts), 2 * length), np.float32)
    for row, text in enumerate(progress_bar(texts, progress, unit="text")):
        middle = len(text) // 2
        tokens[row, :length] = tokenize(text[:middle], length)
        tokens[row, length:] = tokenize(text[middle:], length)
    return tokens


def _check_vocabulary_size(size: int) -> None:
    """Refuses a size that leaves no number or that float32 cannot count."""
    is_allowed = 2 <= size <= _LARGEST_EXACT
    require(is_allowed, "vocabulary_size", size, f"in [2, {_LARGEST_EXACT}]")

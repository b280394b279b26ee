"""Yahoo! Answers topics: documents as token numbers, half a document per party.

Zhang et al., "Character-level Convolutional Networks for Text Classification", NIPS
2015, https://arxiv.org/abs/1509.01626, made the set of ten topics; Fu et al., "Label
Inference Attacks Against Vertical Federated Learning", USENIX Security 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong, divide its
documents between two parties.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.rows import draw_rows
from vfljax.data.source import DataError, Source, read_csv, require_file
from vfljax.data.text import find_tokenizer, hash_tokens, tokenize_halves

CLASS_NAMES = (
    "Society & Culture",
    "Science & Mathematics",
    "Health",
    "Education & Reference",
    "Computers & Internet",
    "Sports",
    "Business & Finance",
    "Entertainment & Music",
    "Family & Relationships",
    "Politics & Government",
)
_TOPICS_FILE = "yahoo_2topics_{part}.csv"

_TWO_TOPICS = ("society_culture", "science_mathematics")
_MOST_PER_CLASS = {"train": 5_000, "test": 2_000}


def read_yahoo_answers(name: str, folder: Path, length: int = 64) -> Dataset:
    """Reads 50,000 train and 20,000 test documents of ten topics.

    5,000 documents of each topic are drawn from `train.csv` and 2,000 from `test.csv`
    with a fixed seed, and shuffled: as many as published, but not the same ones. A
    document is title, question and best answer with a blank between them. (The
    published code takes the question alone, often empty, and tests on documents of
    `train.csv`.)

    Each half of a document's characters becomes `length` token numbers, so that the
    split `features` gives each of two parties its half: by `WordPiece` if the folder
    has the `vocab.txt` of a BERT model, otherwise by `hash_tokens`; below 30,522.

    Args:
        name: What to call the set.
        folder: Where `train.csv` and `test.csv` lie, plain, `.gz` or `.xz`, without a
            header: topic number 1 to 10, title, question, best answer.
        length: How many tokens of each half are kept.

    Returns:
        Features (rows, 2 * length) of whole numbers, 0 after the last token.

    Raises:
        DataError: A file is missing or damaged.
    """
    texts, labels = {}, {}
    for part, most in _MOST_PER_CLASS.items():
        path = require_file(name, folder, f"{part}.csv")
        topics = [record[0] for record in read_csv(path, 4)]
        all_labels = np.array(
            [_class_number(path, row, topic) for row, topic in enumerate(topics)],
            np.int64,
        )
        rows = draw_rows(all_labels, len(CLASS_NAMES), most, seed=0)
        wanted = set(rows.tolist())
        texts[part] = [
            _plain(" ".join(record[1:]))
            for row, record in enumerate(read_csv(path, 4))
            if row in wanted
        ]
        labels[part] = all_labels[rows]
    return _make(name, folder, texts, labels, CLASS_NAMES, length)


def read_yahoo_2topics(name: str, folder: Path, length: int = 64) -> Dataset:
    """Reads all documents of a sample of two topics.

    They are shuffled and become numbers as by `read_yahoo_answers`.

    Args:
        name: What to call the set.
        folder: Where `yahoo_2topics_train.csv` and `yahoo_2topics_test.csv` lie, plain,
            `.gz` or `.xz`, without a header: text, `society_culture` (class 0) or
            `science_mathematics` (class 1).
        length: How many tokens of each half are kept.

    Returns:
        Features (rows, 2 * length) of whole numbers, 0 after the last token.

    Raises:
        DataError: A file is missing or damaged.
    """
    texts, labels = {}, {}
    for part in _MOST_PER_CLASS:
        path = require_file(name, folder, _TOPICS_FILE.format(part=part))
        records = list(read_csv(path, 2))
        texts[part] = [_plain(text) for text, _ in records]
        for row, (_, topic) in enumerate(records):
            if topic not in _TWO_TOPICS:
                raise DataError(
                    f"{path} has the topic {topic!r} in row {row}; allowed are "
                    f"{' and '.join(_TWO_TOPICS)}"
                )
        labels[part] = np.array(
            [_TWO_TOPICS.index(topic) for _, topic in records], np.int64
        )
    return _make(name, folder, texts, labels, _TWO_TOPICS, length)


def _class_number(path: Path, row: int, cell: str) -> int:
    """The class number of a topic number from 1 to 10."""
    if not cell.isdecimal() or not 1 <= int(cell) <= len(CLASS_NAMES):
        raise DataError(
            f"{path} has the topic {cell!r} in row {row}; allowed are 1 to "
            f"{len(CLASS_NAMES)}"
        )
    return int(cell) - 1


def _plain(text: str) -> str:
    r"""The text with a blank for each line break, written \n in these files."""
    return text.replace("\\n", " ")


def _make(
    name: str,
    folder: Path,
    texts: dict[str, list[str]],
    labels: dict[str, Int64[np.ndarray, " rows"]],
    class_names: tuple[str, ...],
    length: int,
) -> Dataset:
    """Turns the texts of both parts into numbers, and shuffles them."""
    tokenize = find_tokenizer(folder)
    how = "hashing" if tokenize is hash_tokens else "its vocab.txt"
    origin = f"original files in {folder}, tokens by {how}"
    parts = []
    for part in texts:
        tokens = tokenize_halves(texts[part], tokenize, length, f"{name}: {part}")
        order = np.random.default_rng(0).permutation(len(tokens))
        parts += [tokens[order], labels[part][order]]
    return from_arrays(*parts, name=name, class_names=class_names, origin=origin)


YAHOO_ANSWERS = Source(
    name="yahoo_answers",
    description="questions and answers as 2 x 64 tokens, 10 classes",
    read=read_yahoo_answers,
    folders=("yahoo_answers_csv", "yahoo_answers"),
    files=("train.csv", "test.csv"),
)
YAHOO_2TOPICS = Source(
    name="yahoo_2topics",
    description="questions and answers as 2 x 64 tokens, 2 classes",
    read=read_yahoo_2topics,
    folders=("text", "yahoo_2topics", ""),
    files=(_TOPICS_FILE.format(part="train"),),
)

"""Yahoo! Answers topics: documents as token numbers, half a document per party.

Zhang et al., "Character-level Convolutional Networks for Text Classification", NIPS
2015, https://arxiv.org/abs/1509.01626, made the set of ten topics; Fu et al., "Label
Inference Attacks Against Vertical Federated Learning", USENIX Security 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong, divide its
documents between two parties.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.rows import draw_rows
from vfljax.data.source import DataError, Source, read_csv, require_file
from vfljax.data.text import Tokenizer, WordPiece, hash_tokens, tokenize_halves

CLASS_NAMES = (
    *("Society & Culture", "Science & Mathematics", "Health", "Education & Reference"),
    *("Computers & Internet", "Sports", "Business & Finance", "Entertainment & Music"),
    *("Family & Relationships", "Politics & Government"),
)
_MOST_PER_CLASS = {"train": 5_000, "test": 2_000}
_LENGTH = 64  # how many tokens of each half are kept


class _Tables(NamedTuple):
    """Files without a header, plain, `.gz` or `.xz`: a topic and texts in each line."""

    file: str
    num_columns: int
    topic_column: int
    topics: tuple[str, ...]  # as they are written
    class_names: tuple[str, ...]
    is_drawn: bool  # whether so many of each topic are taken, or all


def _read(tables: _Tables, name: str, folder: Path) -> Dataset:
    """Reads 50,000 train and 20,000 test documents of ten topics, or all of two.

    Of ten topics, 5,000 documents of each are drawn from `train.csv` and 2,000 from
    `test.csv` with a fixed seed, and shuffled: as many as published, but not the same
    ones. A document is title, question and best answer with a blank between them. (The
    published code takes the question alone, often empty, and tests on documents of
    `train.csv`.) The sample of two topics is taken whole, and shuffled.

    Each half of a document's characters becomes 64 token numbers, 0 after the last
    token, so that the split `features` gives each of two parties its half: by
    `WordPiece` if the folder has the `vocab.txt` of a BERT model, otherwise by
    `hash_tokens`; below 30,522.
    """
    tokenize: Tokenizer = hash_tokens
    how, vocabulary = "hashing", folder / "vocab.txt"
    if vocabulary.is_file():
        tokenize, how = WordPiece(vocabulary), "its vocab.txt"
    parts = []
    for part, most in _MOST_PER_CLASS.items():
        path = require_file(name, folder, tables.file.format(part=part))
        labels = _read_labels(tables, path)
        rows = np.arange(len(labels))
        if tables.is_drawn:
            rows = draw_rows(labels, len(tables.topics), most, seed=0)
        wanted = set(rows.tolist())
        texts = []
        for row, record in enumerate(read_csv(path, tables.num_columns)):
            if row in wanted:
                record.pop(tables.topic_column)
                # a line break is written \n in these files
                texts.append(" ".join(record).replace("\\n", " "))
        tokens = tokenize_halves(texts, tokenize, _LENGTH, f"{name}: {part}")
        order = np.random.default_rng(0).permutation(len(tokens))
        parts += [tokens[order], labels[rows][order]]
    origin = f"original files in {folder}, tokens by {how}"
    return from_arrays(*parts, name=name, class_names=tables.class_names, origin=origin)


def _read_labels(tables: _Tables, path: Path) -> Int64[np.ndarray, " rows"]:
    """The class number of every line of a file."""
    labels = []
    for row, record in enumerate(read_csv(path, tables.num_columns)):
        topic = record[tables.topic_column]
        if topic not in tables.topics:
            raise DataError(
                f"{path} has the topic {topic!r} in row {row}; allowed are "
                f"{', '.join(tables.topics)}"
            )
        labels.append(tables.topics.index(topic))
    return np.array(labels, np.int64)


_TEN = tuple(str(number) for number in range(1, 11))
_TWO = ("society_culture", "science_mathematics")
_TWO_FILE = "yahoo_2topics_{part}.csv"

YAHOO_ANSWERS = Source(
    name="yahoo_answers",
    description="questions and answers as 2 x 64 tokens, 10 classes",
    read=partial(_read, _Tables("{part}.csv", 4, 0, _TEN, CLASS_NAMES, True)),
    folders=("yahoo_answers_csv", "yahoo_answers"),
    files=("train.csv", "test.csv"),
)
YAHOO_2TOPICS = Source(
    name="yahoo_2topics",
    description="questions and answers as 2 x 64 tokens, 2 classes",
    read=partial(_read, _Tables(_TWO_FILE, 2, 1, _TWO, _TWO, False)),
    folders=("text", "yahoo_2topics", ""),
    files=(_TWO_FILE.format(part="train"),),
)

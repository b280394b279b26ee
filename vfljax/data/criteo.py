"""Clicks on advertisements: Criteo's `train.txt` as hashed 0/1 features.

The file is that of the Kaggle Display Advertising Challenge, 2014. Its preparation
follows Fu et al., "Label Inference Attacks Against Vertical Federated Learning", USENIX
Security 2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong,
except for what `_read` lists.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from jaxtyping import Float32, Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.rows import draw_rows, split_rows
from vfljax.data.source import (
    DataError,
    Source,
    progress_bar,
    read_lines,
    require_file,
)

FILES = ("train.txt", "train_sample.txt")
NUM_FEATURES = 2**13

_INTEGER_COLUMNS = tuple(f"I{number}" for number in range(1, 14))
_COLUMNS = (*_INTEGER_COLUMNS, *(f"C{number}" for number in range(1, 27)))
_MOST_PER_CLASS = 50_000


def _read(name: str, folder: Path) -> Dataset:
    """Reads equally many clicked and other rows of `train.txt`, as hashed features.

    As many rows of each label as the rarer one has, 50,000 at most, are drawn with a
    fixed seed from the whole file, split 80 to 20 with equal class shares and shuffled.
    A row becomes 8,192 features, of which `hash_row` says which are 1; half of them for
    each of two parties is columns 0 to 4,095 and 4,096 to 8,191.

    All rows are one array of float32: 100,000 rows take 3.3 GB. The file itself is
    never in memory; it is read twice.

    The published code differs: it keeps a row only if its label differs from that of
    the row kept before, so that the label is the parity of the row number, which any
    party can tell; keeps the order of the file; takes Python's `hash`, which is another
    function in every process; hashes a pair of columns by the exclusive or of the two
    bucket numbers, and integers as they are; and counts features that share a bucket.

    A line has 40 columns between tabs: the label, 13 integers, 26 texts. Of rows that
    are not drawn, only the label is looked at. Without `train.txt`, the sample
    `train_sample.txt` is read.
    """
    path = require_file(name, folder, *FILES)
    all_labels = _read_labels(name, path)
    rows = draw_rows(all_labels, 2, _MOST_PER_CLASS, seed=0)
    labels = all_labels[rows]
    wanted, all_lines = set(rows.tolist()), _read_rows(f"reading {name}: rows", path)
    lines = [line for row, line in enumerate(all_lines) if row in wanted]
    parts = []
    for part, kept in zip(("train", "test"), split_rows(labels, seed=0), strict=True):
        kept_lines = [lines[row] for row in kept]
        features = _hash_lines(f"{name}: {part}", path, rows[kept], kept_lines)
        parts += [features, labels[kept]]
    return from_arrays(
        *parts,
        name=name,
        class_names=("no click", "click"),
        origin=f"{path}: {len(rows)} of {len(all_labels)} rows, as many of each "
        "class, drawn and split with seed 0",
    )


def hash_row(cells: Sequence[str]) -> Int64[np.ndarray, " hashes"]:
    """Returns which of the 8,192 features of a row are 1: 39 columns, 741 pairs.

    A cell becomes a token, its column's name and value: `C1=68fd1e64`, or `C1=` where
    it is missing. An integer v above 2 becomes the name, `~` and floor(log(v + 1)²), as
    large values differ less: `I5~52` for 1382. The feature of a token is its CRC-32
    modulo 8,192, and that of a pair of columns the CRC-32 of both tokens, one after the
    other in the order of the columns.

    Of the 780 feature numbers, some may be equal. A `ValueError` says that there are
    not 39 cells, or that one of the first 13 is neither empty nor an integer.
    """
    tokens = [_token(*pair) for pair in zip(_COLUMNS, cells, strict=True)]
    hashes = []
    for position, token in enumerate(tokens):
        start = crc32(token)
        hashes.append(start)
        hashes += [crc32(other, start) for other in tokens[position + 1 :]]
    return np.array(hashes) % NUM_FEATURES


def _token(column: str, cell: str) -> bytes:
    """What a cell is hashed as."""
    if cell and column in _INTEGER_COLUMNS:
        value = int(cell)
        if value > 2:
            return f"{column}~{math.floor(math.log(value + 1) ** 2)}".encode()
    return f"{column}={cell}".encode()


def _read_rows(progress: str, path: Path) -> Iterator[bytes]:
    """The lines of a file, and how many they are so far."""
    yield from progress_bar(read_lines(path), progress, unit="row", unit_scale=True)


def _read_labels(name: str, path: Path) -> Int64[np.ndarray, " rows"]:
    """The first column of all rows."""
    numbers = {b"0\t": 0, b"1\t": 1}
    labels = bytearray()
    for line in _read_rows(f"reading {name}: labels", path):
        label = numbers.get(line[:2])
        if label is None:
            raise DataError(
                f"{path} is damaged: row {len(labels)} does not begin with the label 0 "
                "or 1 and a tab"
            )
        labels.append(label)
    return np.frombuffer(labels, np.uint8).astype(np.int64)


def _hash_lines(
    progress: str,
    path: Path,
    rows: Int64[np.ndarray, " drawn"],
    lines: Sequence[bytes],
) -> Float32[np.ndarray, " drawn features"]:
    """The features of some rows."""
    features = np.zeros((len(lines), NUM_FEATURES), np.float32)
    bar = progress_bar(lines, f"hashing {progress}", unit="row")
    for index, line in enumerate(bar):
        try:
            _, *cells = line.decode().rstrip("\r\n").split("\t")
            if len(cells) != len(_COLUMNS):
                raise ValueError(
                    f"it has {len(cells) + 1} columns; allowed is {len(_COLUMNS) + 1}"
                )
            features[index, hash_row(cells)] = 1
        except ValueError as error:
            raise DataError(
                f"{path} is damaged in row {rows[index]}: {error}"
            ) from error
    return features


CRITEO = Source(
    name="criteo",
    description="advertisements shown, as 8192 hashed features, 2 classes: clicked or "
    "not",
    read=_read,
    folders=("criteo", ""),
    files=FILES,
)

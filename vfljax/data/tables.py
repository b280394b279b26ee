"""Text files read row by row, and rows drawn from them and split."""

import csv
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vfljax.data.formats import OPENERS, DataError

_TEST_SHARE = 0.2


def read_lines(path: Path) -> Iterator[bytes]:
    """Yields the lines of a plain, `.gz` or `.xz` file of any size, with their ends.

    Raises:
        DataError: The file cannot be read, or ends early.
    """
    opener = OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            yield from file
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def read_csv(path: Path, num_columns: int) -> Iterator[list[str]]:
    """Yields the records of a UTF-8 file of comma-separated values.

    Args:
        path: The file, plain, `.gz` or `.xz`.
        num_columns: How many columns each record must have.

    Raises:
        DataError: The file cannot be read, a record has another number of columns, or
            a quotation mark or a character is not as in such files.
    """
    row = 0
    try:
        lines = (line.decode() for line in read_lines(path))
        for record in csv.reader(lines, strict=True):
            if not record:
                continue  # the file may end in an empty line
            if len(record) != num_columns:
                raise DataError(
                    f"{path} has {len(record)} columns in row {row}; allowed is "
                    f"{num_columns}"
                )
            yield record
            row += 1
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is damaged in row {row}: {error}") from error


def draw_rows(
    labels: Int64[np.ndarray, " rows"], num_classes: int, most_per_class: int, seed: int
) -> Int64[np.ndarray, " drawn"]:
    """Draws equally many rows of every class, without replacement.

    Args:
        labels: Class numbers 0 to `num_classes` - 1.
        num_classes: How many classes there are.
        most_per_class: How many rows of each class to draw; if the rarest class has
            fewer, then as many of each as it has.
        seed: Of the draw; the same seed draws the same rows.

    Returns:
        The row numbers, ascending.

    Example:
        >>> draw_rows(np.array([1, 0, 1, 1, 0]), 2, most_per_class=5, seed=0).shape
        (4,)
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=num_classes)
    num_drawn = min(most_per_class, int(counts.min()))
    drawn = [
        rng.choice(np.flatnonzero(labels == number), num_drawn, replace=False)
        for number in range(num_classes)
    ]
    return np.sort(np.concatenate(drawn))


def split_rows(
    labels: Int64[np.ndarray, " rows"], seed: int
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]:
    """Splits rows 80 to 20 into train and test with equal class shares, shuffled.

    Args:
        labels: A class number for each row.
        seed: Of the split; the same seed splits the same way.

    Returns:
        The row numbers of both parts, each in random order.

    Raises:
        ValueError: There are too few rows of a class for one in each part.
    """
    from sklearn.model_selection import train_test_split

    train_rows, test_rows = train_test_split(
        np.arange(len(labels)),
        test_size=_TEST_SHARE,
        stratify=labels,
        random_state=seed,
    )
    return np.asarray(train_rows), np.asarray(test_rows)

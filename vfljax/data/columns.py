"""Tables with a header, and their words as class numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vfljax.data.source import DataError, read_csv, read_lines


def read_table(path: Path, header: Sequence[str]) -> dict[str, list[str]]:
    """The columns of a UTF-8 file of comma-separated values that begins with a header.

    Raises:
        DataError: The file has another header, no rows, or rows of another length.
    """
    records = read_csv(path, len(header))
    if next(records, None) != list(header):
        raise DataError(f"{path} does not begin with the line {','.join(header)}")
    rows = list(records)
    if not rows:
        raise DataError(f"{path} has no rows")
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def read_fields(path: Path, least: int, *, start: int = 1) -> Iterator[list[str]]:
    """The texts between tabs in each line of a UTF-8 file, without regard to quotes.

    Raises:
        DataError: A line has fewer than `least` texts, or is not UTF-8. Lines are
            counted from `start` on, and those of nothing but blanks not at all.
    """
    for number, line in enumerate(read_lines(path), start):
        try:
            fields = line.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is damaged in line {number}: {error}") from error
        if len(fields) < least:
            raise DataError(
                f"{path} has {len(fields)} columns in line {number}; allowed are "
                f"{least} or more"
            )
        yield fields


def number_column(
    path: Path, column: str, values: Sequence[str], names: Sequence[str]
) -> Int64[np.ndarray, " rows"]:
    """The place of each value among the names; the table's header is row 0.

    Raises:
        DataError: A value is not one of the names.
    """
    numbers = {name: number for number, name in enumerate(names)}
    for row, value in enumerate(values, 1):
        if value not in numbers:
            raise DataError(
                f"{path} has the {column} {value!r} in row {row}; allowed are "
                f"{', '.join(names)}"
            )
    return np.array([numbers[value] for value in values], np.int64)


def number_names(
    values: Sequence[str],
) -> tuple[Int64[np.ndarray, " rows"], tuple[str, ...]]:
    """The place of each value among all that occur in the order of their letters.

    Example:
        >>> number_names(["b", "a", "b"])
        (array([1, 0, 1]), ('a', 'b'))
    """
    names, numbers = np.unique(np.asarray(values), return_inverse=True)
    return numbers.astype(np.int64), tuple(names.tolist())

"""Where a data set comes from, and how its files are found and read.

What is wrong with a file, every reader says in a `DataError` with the file's path.
"""

import csv
import difflib
import gzip
import lzma
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from tqdm import tqdm

from vfljax.data.dataset import Dataset

_OPENERS = {"": open, ".gz": gzip.open, ".xz": lzma.open}

# disable=None: no bar where nobody watches; delay: nor for a short wait
progress_bar = partial(tqdm, unit="file", delay=1, disable=None)


class DataError(ValueError):
    """Data that are missing or damaged; the message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that `load` knows: what it is, where it lies and how it is read."""

    name: str
    """What `load` and an experiment call it."""
    description: str
    """One line for `vfljax list`."""
    read: Callable[[str, Path], Dataset]
    """Makes the set of this name from the files in a folder. A `ValueError` is reported
    as damage of these files."""
    folders: tuple[str, ...] = ()
    """Where its files may lie below the data folder; the first that has some is taken.
    None if a library brings the set."""
    files: tuple[str, ...] = ()
    """Patterns of files, without an ending for compression; one marks the folder."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Instead of `files`, of images that TFDS prepares under the same name: each file,
    all of which are needed, and the published MD5 of its unpacked content."""

    def lacking(self, folder: Path) -> list[str]:
        """The files that a folder lacks; none if it is that of the set."""
        if self.checksums:
            return [file for file in self.checksums if find_file(folder, file) is None]
        patterns = [file + ending for file in self.files for ending in _OPENERS]
        is_found = any(any(folder.glob(pattern)) for pattern in patterns)
        return [] if is_found else list(self.files)


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name, plain, `.gz` or `.xz`; None if there is no such file."""
    candidates = (folder / f"{name}{ending}" for ending in _OPENERS)
    return next((path for path in candidates if path.is_file()), None)


def require_file(name: str, folder: Path, *files: str) -> Path:
    """The first of some files of the data set `name` that there is."""
    for file in files:
        if path := find_file(folder, file):
            return path
    raise DataError(f"no data for {name!r}: {folder} lacks {' or '.join(files)}")


def read_content(path: Path) -> bytes:
    """The unpacked content of a plain, `.gz` or `.xz` file."""
    with _open(path) as file:
        return file.read()


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a plain, `.gz` or `.xz` file of any size, with their ends.

    Lines of nothing but blanks, such as a file's last one may be, are left out.
    """
    with _open(path) as file:
        yield from (line for line in file if not line.isspace())


def read_csv(path: Path, num_columns: int) -> Iterator[list[str]]:
    """The records of a UTF-8 file of so many comma-separated values in each row."""
    row = 0
    try:
        with _open(path) as file:
            lines = (line.decode() for line in file)
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


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """A file to read, and what goes wrong with it in one line."""
    try:
        with _OPENERS.get(path.suffix, open)(path, "rb") as file:
            yield file
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The error's kind and message, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def nearest(word: str, known: Collection[str]) -> str:
    """A hint at what a misspelled word may mean."""
    words = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {words[0]!r}?)" if words else ""

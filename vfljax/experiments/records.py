"""The rows of a run folder, and how a run goes on after a kill.

    trials.jsonl   one flat row per trial and attack, appended chunk by chunk
    encrypted/     a folder per training on real ciphertexts, with engine.json
    command.txt    the command that ran it last, where it was one

JSON has no NaN: numbers that aren't finite are written as null.
"""

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from vfljax.experiments.experiment import Experiment
from vfljax.experiments.folders import RunFolderError, lock, read_json, sign

COMMAND = "command.txt"
ROW_IDENTITY = ("num_classes", "batch_size", "defense", "defense_strength", "trial")
ROW_IDENTITY += ("attack", "train_step", "variant")
"""What tells one row of a run from another."""


class Run(NamedTuple):
    """A run folder's content.

    Attributes:
        config: The resolved experiment.
        environment: Versions, device and data.
        rows: One per trial and attack.
        engines: One per training on real ciphertexts: which unit it is, its description
            and messages, and who learned what.
        command: That ran it last; None if it was run from Python.
    """

    config: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, Any]]
    engines: list[dict[str, Any]] = []  # noqa: RUF012
    command: str | None = None


@contextlib.contextmanager
def open_run(
    folder: Path, experiment: Experiment, origin: str
) -> Iterator[list[dict[str, Any]]]:
    """Opens a new run folder or one to be continued, for one process at a time.

    A last line that a kill cut off is removed, with a warning.

    Args:
        folder: Made if absent.
        experiment: Must have the same results as the one the folder was made with;
            more trials, another title or chunk size are fine.
        origin: Where the data came from, for `environment.json`.

    Yields:
        The rows that are already there.

    Raises:
        RunFolderError: If the folder belongs to another experiment, is not writable,
            or is in use by another process.
    """
    with lock(folder, "trials.jsonl") as rows_file:
        rows, num_bytes = _parse_rows(folder / "trials.jsonl")
        if rows and not (folder / "config.json").is_file():
            raise RunFolderError(f"--out {folder}: has trials but no config.json")
        sign(folder, experiment, origin, has_results=bool(rows))
        rows_file.truncate(num_bytes)
        yield rows


def append_rows(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Appends rows in one write that is on disk when the function returns."""
    text = "".join(json.dumps(_finite(row), allow_nan=False) + "\n" for row in rows)
    with (folder / "trials.jsonl").open("ab") as rows_file:
        rows_file.write(text.encode())
        rows_file.flush()
        os.fsync(rows_file.fileno())


def read_run(folder: Path) -> Run:
    """Reads a run folder, finished or not.

    Raises:
        RunFolderError: If it isn't one or is damaged.
    """
    for name in ("config.json", "trials.jsonl"):
        if not (folder / name).is_file():
            raise RunFolderError(f"{folder}: not a run folder, it has no {name}")
    environment, command = folder / "environment.json", folder / COMMAND
    return Run(
        config=read_json(folder / "config.json"),
        environment=read_json(environment) if environment.is_file() else {},
        rows=_parse_rows(folder / "trials.jsonl")[0],
        engines=list(map(read_json, sorted(folder.glob("encrypted/*/engine.json")))),
        command=command.read_text().strip() if command.is_file() else None,
    )


def read_frame(folder: Path | str) -> pl.DataFrame:
    """The rows of a run folder, finished or not, as a polars data frame.

    See `rows_to_frame`.

    Raises:
        RunFolderError: If it isn't a run folder or is damaged.
    """
    return rows_to_frame(read_run(Path(folder)).rows)


def rows_to_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """One line per row, in order; one column per field that some row has.

    Rates are fractions in [0, 1]. Types are those of the values: whole numbers become
    `Int64` unless another row has a fraction (`Float64`); a field that is null in every
    row has the type `Null`. A field that a row lacks is null.

    >>> rows_to_frame([{"trial": 0, "attack_accuracy": 1}, {"trial": 1}]).shape
    (2, 2)
    """
    return pl.DataFrame(list(rows), infer_schema_length=None, strict=False)


def _parse_rows(path):
    """The rows, and how many bytes they take up to a cut-off last line."""
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            row = {"variant": "", **json.loads(line)}
        except (TypeError, ValueError):
            row = None
        if not isinstance(row, dict) or not row.keys() >= set(ROW_IDENTITY):
            raise RunFolderError(f"{path}: line {number} is damaged")
        rows.append(row)
    if len(complete) < len(content):
        warnings.warn(
            f"{path}: the last line was cut off and is dropped; its trial is redone",
            stacklevel=3,
        )
    return rows, len(complete)


def _finite(row):
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }

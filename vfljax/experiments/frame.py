"""The rows of a run as a table of polars."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl


def rows_to_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """One line per row of `trials.jsonl`, one column per field that some row has.

    Types are those of the values: whole numbers become `Int64` unless another row has a
    fraction (`Float64`); a field that is null in every row has the type `Null`.

    Args:
        rows: one per trial and attack; a field that a row lacks is null.

    Returns:
        The table, in the order of the rows; rates are fractions in [0, 1].

    >>> rows_to_frame([{"trial": 0, "attack_accuracy": 1}, {"trial": 1}]).shape
    (2, 2)
    """
    return pl.DataFrame(list(rows), infer_schema_length=None, strict=False)

"""The tables of `inversion_speed.py`, also from rows that were kept.

`python benchmarks/inversion_tables.py FILE.jsonl` prints them again; where a batch size
was measured more than once, the last one.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

# What vfljax aims at: times faster per step, and times sooner by linear recovery.
_AIMS = {128: (6.0, 500.0), 512: (3.0, 200.0), 2048: (2.5, 50.0)}


def print_tables(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Prints a table of steps and one of linear recovery; targets beside the ratios."""
    steps = Table(title="Gradient inversion, milliseconds per step", box=box.SIMPLE)
    for heading in (
        *("B", "torch", "median", "vfljax", "median", "faster", "aim"),
        *("y'", "U'"),
    ):
        steps.add_column(heading, justify="right")
    labels = Table(title="Linear recovery against the torch loop", box=box.SIMPLE)
    for heading in (
        *("B", "torch y'", "U'", "seconds", "found", "steps", "ms"),
        *("sooner", "aim"),
    ):
        labels.add_column(heading, justify="right")
    for loop in (row for row in rows if row["method"] == "torch_loop"):
        batch_size = loop["batch_size"]
        faster, sooner = _AIMS.get(batch_size, (None, None))
        same = [row for row in rows if row["batch_size"] == batch_size]
        ours = next(row for row in same if row["method"] == "gradient_inversion")
        steps.add_row(
            str(batch_size),
            *_milliseconds(loop),
            *_milliseconds(ours),
            f"{ours['times_faster']:.1f}",
            "" if faster is None else f">= {faster:g}",
            *_accuracies(ours),
        )
        matches = [row for row in same if row.get("is_first_to_match")]
        found = (
            [
                f"{matches[0]['accuracy']:.3f}",
                str(matches[0]["iterations"]),
                f"{1e3 * matches[0]['seconds_min']:.1f}",
                f"{matches[0]['times_sooner']:.0f}",
            ]
            if matches
            else ["never", "", "", ""]
        )
        labels.add_row(
            str(batch_size),
            *_accuracies(loop),
            f"{loop['seconds_min'] * loop['steps']:.1f}",
            *found,
            "" if sooner is None else f">= {sooner:g}",
        )
    console.print(steps)
    console.print(labels)


def _milliseconds(row):
    """Minimum and median."""
    return [f"{1e3 * row[name]:.3f}" for name in ("seconds_min", "seconds_median")]


def _accuracies(row):
    """Of the arg-max of y' and the arg-min of U'."""
    return [f"{row[name]:.3f}" for name in ("published_accuracy", "accuracy")]


def _last_runs(lines):
    """The rows of the last run of each batch size, which starts with the torch loop."""
    runs = {}
    for row in map(json.loads, lines):
        if row["benchmark"] != "inversion_speed":
            continue
        if row["method"] == "torch_loop":
            runs[row["batch_size"]] = []
        runs[row["batch_size"]].append(row)
    return [row for run in runs.values() for row in run]


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python benchmarks/inversion_tables.py FILE.jsonl")
    lines = Path(sys.argv[1]).read_text().splitlines()
    print_tables(_last_runs(lines), Console())

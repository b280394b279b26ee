"""Which words tell a property? The telling features of a run, by name.

Prints for each setting of a run folder, such as of `vfljax run melis_words_newsgroups`,
the tokens with the largest weights for the property (Table IV of Melis et al., S&P
2019, https://arxiv.org/abs/1805.04049). Rows must have `telling_features`, of an attack
on `features="words"` in an experiment with `record_confusion`.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from vfljax import data
from vfljax.experiments import read_run


@dataclasses.dataclass(frozen=True)
class Options:
    """What to print."""

    run_dir: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data_dir: Path | None = None
    """Where the data set's original files are (default: $VFLJAX_DATA)."""
    number: int = 5
    """Words to print for each setting."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    rows = [row for row in read_run(options.run_dir).rows if "telling_features" in row]
    if not rows:
        Console().print(f"{options.run_dir}: no row has telling_features")
        return 1
    vocabulary = data.load(rows[0]["dataset"], options.data_dir).vocabulary or ()
    table = Table("variant", "trial", "AUC", "words", box=box.SIMPLE_HEAD)
    for row in rows:
        words = named(row["telling_features"][: options.number], vocabulary)
        auc = "-" if row["auc"] is None else f"{row['auc']:.2f}"
        table.add_row(row.get("variant") or "", str(row["trial"]), auc, words)
    Console().print(table)
    return 0


def named(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    """The names of some tokens.

    Example:
        >>> named([2, 1], ("", "a", "room"))
        'room, a'
    """
    return ", ".join(vocabulary[token] for token in tokens)


if __name__ == "__main__":
    sys.exit(main())

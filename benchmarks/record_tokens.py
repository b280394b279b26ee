"""How much do the tokens of records give away, before any gradient is computed?

Two tables of the data alone, for sets whose samples are lists of tokens:

  unique        share of records whose set of the N most frequent tokens no other record
                has, and share that have any of them (Figure 11 of Melis et al., S&P
                2019, https://arxiv.org/abs/1805.04049)
  precision     precision and recall of the rule that calls a record a member if all its
                tokens were in one batch of a training, where every token of a batch is
                seen (their Table II); half of the training rows are the target's,
                batches are drawn with replacement, and as many test rows are asked
                about as members

Prints both.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Bool, Int
from rich import box
from rich.console import Console
from rich.table import Table

from vfljax import data
from vfljax.attacks.membership import held_by_a_round

_BLANK = 0  # the token that is padding


@dataclasses.dataclass(frozen=True)
class Options:
    """What to count."""

    data_dir: Path | None = None
    """Where the data set's original files are (default: $VFLJAX_DATA)."""
    dataset: str = "checkins_synthetic"
    """Name of a data set of tokens; the default one needs no files."""
    tops: tuple[int, ...] = (3, 10, 30, 100, 1000, 30_000)
    """Numbers N of most frequent tokens."""
    batch_sizes: tuple[int, ...] = (100, 200, 500, 1000, 2000)
    """Batch sizes of the trainings."""
    num_rounds: int = 3000
    """Rounds of each training."""
    num_records: int = 1000
    """Members, and as many others, that the rule is asked about."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Counts and prints."""
    options = tyro.cli(Options, args=arguments, description=__doc__)
    dataset = data.load(options.dataset, options.data_dir)
    records = dataset.train_features.astype(np.int64)
    console = Console()
    table = Table("top tokens", "unique %", "with any %", box=box.SIMPLE_HEAD)
    for top in options.tops:
        unique, any_ = uniqueness(records, top)
        table.add_row(f"{top:,}", f"{100 * unique:.1f}", f"{100 * any_:.1f}")
    console.print(f"{options.dataset}: {len(records):,} records", table)
    table = Table("batch size", "precision", "recall", box=box.SIMPLE_HEAD)
    others = dataset.test_features.astype(np.int64)
    for size in options.batch_sizes:
        precision, recall = by_the_rule(records, others, size, options)
        table.add_row(f"{size:,}", f"{precision:.3f}", f"{recall:.3f}")
    console.print(f"{options.num_rounds:,} rounds", table)
    return 0


def uniqueness(
    records: Int[np.ndarray, "records length"], top: int
) -> tuple[float, float]:
    """Shares of records with a set of top tokens of their own, and with any of them.

    Example:
        >>> uniqueness(np.array([[1, 2], [2, 1], [1, 3], [4, 4]]), top=3)
        (0.25, 0.75)
    """
    kept = np.where(records <= top, records, _BLANK)
    sets = [tuple(np.unique(row[row != _BLANK])) for row in kept]
    numbers: dict[tuple[int, ...], int] = {}
    for each in sets:
        numbers[each] = numbers.get(each, 0) + 1
    is_any = [bool(each) for each in sets]
    is_unique = [bool(each) and numbers[each] == 1 for each in sets]
    return float(np.mean(is_unique)), float(np.mean(is_any))


def by_the_rule(records, others, batch_size: int, options: Options):
    """Precision and recall where every token of a batch is seen."""
    generator = np.random.default_rng(0)
    own = generator.permutation(records)[: len(records) // 2]
    present = tokens_of_rounds(generator, own, batch_size, options.num_rounds, records)
    number = min(options.num_records, len(own), len(others))
    asked = [generator.permutation(rows)[:number] for rows in (own, others)]
    given = jnp.asarray(np.concatenate(asked), jnp.float32)
    called = np.asarray(held_by_a_round(jnp.asarray(present), given))
    hits = called[:number].sum()
    return hits / max(called.sum(), 1), hits / number


def tokens_of_rounds(
    generator: np.random.Generator,
    own: Int[np.ndarray, "own length"],
    batch_size: int,
    num_rounds: int,
    records: Int[np.ndarray, "records length"],
) -> Bool[np.ndarray, "rounds tokens"]:
    """Which tokens the batch of each round has."""
    present = np.zeros((num_rounds, int(records.max()) + 1), bool)
    for row in present:
        row[own[generator.integers(0, len(own), batch_size)]] = True
    return present


if __name__ == "__main__":
    sys.exit(main())

"""Samples with a property: who holds them, and batches with a share of them.

Melis et al. (S&P 2019, https://arxiv.org/abs/1805.04049), sections 4.2 and 7: only the
target and the adversary hold samples with the property, half of them each; all others
hold samples without it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key

from vfljax._checks import require
from vfljax.data.draws import ClassTable, class_table
from vfljax.data.horizontal import Partition, draw_rows_of, partition_by_rows


class PropertyRows(NamedTuple):
    """Who holds which samples, where a property is to be inferred.

    Attributes:
        partition: Rows of each participant: the target first, the adversary last.
        codes: Which of the looked-at values each training sample has: 0 for none of
            them, v + 1 for the v-th (samples,).
        of_target: The target's rows by code.
        of_adversary: The adversary's rows by code.
    """

    partition: Partition
    codes: Int32[np.ndarray | Array, " samples"]
    of_target: ClassTable
    of_adversary: ClassTable


def partition_with_property(
    column: Int[np.ndarray, " samples"],
    values: tuple[int, ...],
    num_participants: int,
    seed: int,
) -> PropertyRows:
    """Divides samples so that only the first and the last participant have a property.

    Samples with one of the values are divided evenly between these two, the others so
    that all participants have as many samples, as far as that goes: at least half of an
    even share of the samples without the property is everybody's.

    Args:
        column: A property of each training sample.
        values: The values that are looked at, at least one.
        num_participants: K >= 2.
        seed: Of what is drawn.

    Raises:
        ValueError: There are fewer than two participants, or fewer than two samples
            with one of the values, or fewer than K without any of them.

    Example:
        >>> rows = partition_with_property(np.array([0, 1] * 6), (1,), 3, seed=0)
        >>> rows.partition.counts.tolist(), rows.codes[rows.partition.rows[1]].tolist()
        ([4, 3, 4], [0, 0, 0, 0])
    """
    require(num_participants >= 2, "num_participants", num_participants, ">= 2")
    generator = np.random.default_rng(seed)
    codes = np.zeros(len(column), np.int32)
    first: list[int] = []
    last: list[int] = []
    for number, value in enumerate(values):
        rows = generator.permutation(np.flatnonzero(column == value))
        allowed = "a value that two or more training samples have"
        require(len(rows) >= 2, "value", value, allowed)
        codes[rows] = number + 1
        first.extend(rows[::2].tolist())
        last.extend(rows[1::2].tolist())
    free = generator.permutation(np.flatnonzero(codes == 0))
    allowed = f"values that leave at least {num_participants} samples without any"
    require(len(free) >= num_participants, "values", values, allowed)
    even = len(column) // num_participants
    least = max(1, len(free) // (2 * num_participants))
    sizes = [max(even - len(own), least) for own in (first, last)]
    others = (len(free) - sum(sizes)) // max(num_participants - 2, 1)
    shares = [sizes[0], *[others] * (num_participants - 2), sizes[1]]
    if num_participants == 2:
        shares[1] = len(free) - shares[0]
    parts = np.split(free, np.cumsum(shares)[:-1])
    own = [part[:size].tolist() for part, size in zip(parts, shares, strict=True)]
    own[0], own[-1] = own[0] + first, own[-1] + last
    partition = partition_by_rows(own)
    tables = (_table(codes, np.array(own[place]), len(values)) for place in (0, -1))
    return PropertyRows(partition, codes, *tables)


def draw_batches_with(
    key: Key[Array, ""],
    table: ClassTable,
    code: Int[Array, ""],
    num_with: int | Int[Array, ""],
    shape: tuple[int, int],
) -> Int32[Array, "steps batch"]:
    """Draws batches of which the first `num_with` samples each have one code.

    The others have code 0, none of the values; all are drawn with replacement from the
    rows of a table by code. With code 0 no sample has a value.
    """
    has_it = jnp.arange(shape[1]) < num_with
    codes = jnp.broadcast_to(jnp.where(has_it, code, 0), shape)
    return draw_rows_of(key, table, codes.astype(jnp.int32))


def _table(codes, rows, num_values) -> ClassTable:
    """Rows by code, as numbers of training samples."""
    table = class_table(codes[rows], num_values + 1)
    return table._replace(order=rows[table.order].astype(np.int32))

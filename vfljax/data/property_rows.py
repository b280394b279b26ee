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
    codes: Int[np.ndarray, " samples"], num_participants: int, seed: int
) -> PropertyRows:
    """Divides samples so that only the first and the last participant have a property.

    Samples of each code but 0 are divided evenly between these two, those of code 0 so
    that all participants have as many samples, as far as that goes: at least half of an
    even share of them is everybody's.

    Args:
        codes: Which of the looked-at values each training sample has; 0 for none.
        num_participants: K >= 2.
        seed: Of what is drawn.

    Raises:
        ValueError: There are fewer than two participants, or fewer than two samples of
            a code up to the highest, or fewer than K of code 0.

    Example:
        >>> rows = partition_with_property(np.array([0, 1] * 6), 3, seed=0)
        >>> rows.partition.counts.tolist(), rows.codes[rows.partition.rows[1]].tolist()
        ([4, 4, 4], [0, 0, 0, 0])
    """
    require(num_participants >= 2, "num_participants", num_participants, ">= 2")
    generator = np.random.default_rng(seed)
    num_values = int(codes.max())
    first: list[int] = []
    last: list[int] = []
    for code in range(1, num_values + 1):
        rows = generator.permutation(np.flatnonzero(codes == code))
        allowed = f"of which two or more are {code}"
        require(len(rows) >= 2, "codes", f"{len(rows)} samples of it", allowed)
        first.extend(rows[::2].tolist())
        last.extend(rows[1::2].tolist())
    free = generator.permutation(np.flatnonzero(codes == 0))
    allowed = f"of which {num_participants} or more are 0"
    is_fit = len(free) >= num_participants
    require(is_fit, "codes", f"{len(free)} samples of it", allowed)
    even = len(codes) // num_participants
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
    tables = (_table(codes, np.array(own[place]), num_values) for place in (0, -1))
    return PropertyRows(partition, codes.astype(np.int32), *tables)


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

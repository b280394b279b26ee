"""Which samples each participant of horizontal learning holds, and batches by label."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key

from vfljax._checks import POSITIVE, check_choice, check_number, require
from vfljax.data.draws import ClassTable

LabelDraw = Literal["uniform", "skewed"]


class Partition(NamedTuple):
    """Rows of the training set by participant.

    Attributes:
        rows: Row numbers of each participant; the first `counts` of a line are its own,
            the others repeat them.
        counts: How many rows each participant has, at least one.
    """

    rows: Int32[np.ndarray | Array, "participants capacity"]
    counts: Int32[np.ndarray | Array, " participants"]


def partition_evenly(num_samples: int, num_participants: int, seed: int) -> Partition:
    """Gives every participant as many random rows, so that all have the same classes.

    Rows left over when the number is not divisible are held by nobody.

    Raises:
        ValueError: There are fewer samples than participants, or none.

    Example:
        >>> partition_evenly(7, 2, seed=0).counts
        array([3, 3], dtype=int32)
    """
    _check_number(num_samples, num_participants)
    order = np.random.default_rng(seed).permutation(num_samples)
    size = num_samples // num_participants
    return partition_by_rows(order[: size * num_participants].reshape(-1, size))


def partition_by_dirichlet(
    labels: Int[np.ndarray, " samples"],
    num_participants: int,
    concentration: float,
    seed: int,
) -> Partition:
    """Divides each class in random shares between the participants.

    The shares of a class are drawn from a symmetric Dirichlet distribution: the smaller
    its concentration, the fewer classes a participant has (Yurochkin et al. 2019,
    https://arxiv.org/abs/1905.12022, section 4). A participant left without a row is
    given one of the participant with the most rows.

    Raises:
        ValueError: There are fewer samples than participants, or the concentration is
            not above 0.
    """
    _check_number(len(labels), num_participants)
    check_number("concentration", concentration, **POSITIVE, high_excluded=True)
    generator = np.random.default_rng(seed)
    rows: list[list[int]] = [[] for _ in range(num_participants)]
    for label in np.unique(labels):
        of_class = generator.permutation(np.flatnonzero(labels == label))
        shares = generator.dirichlet(np.full(num_participants, concentration))
        cuts = np.round(np.cumsum(shares)[:-1] * len(of_class)).astype(int)
        for own, part in zip(rows, np.split(of_class, cuts), strict=True):
            own.extend(part.tolist())
    for own in rows:
        if not own:
            own.append(max(rows, key=len).pop())
    return partition_by_rows(rows)


def partition_by_rows(
    rows: Sequence[Sequence[int]] | Int[np.ndarray, "participants each"],
) -> Partition:
    """A partition by given row numbers, one line for each participant.

    Raises:
        ValueError: A participant has no row.

    Example:
        >>> partition_by_rows([[4, 5, 6], [1]]).rows
        array([[4, 5, 6],
               [1, 1, 1]], dtype=int32)
    """
    counts = np.array([len(own) for own in rows], np.int32)
    is_fit = len(counts) > 0 and counts.min() > 0
    require(is_fit, "rows", counts.tolist(), "one row or more for each participant")
    filled = np.stack([np.resize(np.asarray(own), counts.max()) for own in rows])
    return Partition(filled.astype(np.int32), counts)


def draw_own_rows(
    key: Key[Array, ""],
    partition: Partition,
    participants: Int[Array, " chosen"],
    shape: tuple[int, ...],
) -> Int32[Array, "chosen ..."]:
    """Draws rows of some participants with replacement, `shape` of them for each."""
    own, counts = jnp.asarray(partition.rows), jnp.asarray(partition.counts)
    keys = jax.random.split(key, len(participants))

    def of_one(key, participant):
        places = jax.random.randint(key, shape, 0, counts[participant])
        return own[participant][places]

    return jax.vmap(of_one)(keys, participants)


def draw_labels(
    key: Key[Array, ""], kind: LabelDraw, shape: tuple[int, int], num_classes: int
) -> Int32[Array, "steps batch"]:
    """Draws the classes of the samples of each of K batches.

    Of "uniform" batches every label is uniform over the classes. In "skewed" ones, the
    non-IID batches of the released code of Wainakh et al. (2022), half of the B labels
    (rounded down) are of one random class, a quarter (rounded down) of another, the
    rest uniform; the two classes are the same in all batches, as of one participant.

    Raises:
        ValueError: For another kind, or no label at all.
    """
    check_choice("kind", kind, get_args(LabelDraw))
    batch = shape[1]
    require(min(shape) >= 1, "shape", shape, "at least one batch of one label")
    key_labels, key_classes = jax.random.split(key)
    labels = jax.random.randint(key_labels, shape, 0, num_classes)
    if kind == "uniform":
        return labels
    first, second = jax.random.permutation(key_classes, num_classes)[:2]
    place = jnp.arange(batch)
    labels = jnp.where(place < batch // 2 + batch // 4, second, labels)
    return jnp.where(place < batch // 2, first, labels).astype(jnp.int32)


def draw_rows_of(
    key: Key[Array, ""], table: ClassTable, labels: Int[Array, "..."]
) -> Int32[Array, "..."]:
    """Draws one row of each given class, with replacement; pure, may be mapped."""
    order, starts, counts = (jnp.asarray(column) for column in table)
    places = jax.random.randint(key, labels.shape, 0, counts[labels])
    return order[starts[labels] + places]


def _check_number(num_samples, num_participants):
    allowed = f"in [1, {num_samples}], the number of training samples"
    is_fit = 1 <= num_participants <= num_samples
    require(is_fit, "num_participants", num_participants, allowed)

"""What a malicious passive party does to embeddings and encrypted rows.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 3 and Eq. 13. None of it
needs the secret key: rows of the encrypted gradient can be swapped, dropped, multiplied
by an integer and changed by a known number.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from vfljax._checks import require
from vfljax.encryption import Layout


class RowOperations(NamedTuple):
    """The operations of one iteration; rows are positions in the batch.

    On receipt flips come first, then replacements by rows as they are then, then
    skipping. The default does nothing.

    Attributes:
        replace: Pairs (i, j): row j of the embeddings is sent as a copy of row i, and
            row i of the gradient becomes `amplification` times row j. Each row is the
            first of at most one pair, and the second of at most one.
        amplification: An integer >= 1, γ in the paper, by which rows that are replaced
            or flipped are multiplied.
        skip: Rows that the own update leaves out.
        flips: Triples (row, from_class, to_class): the row as if its label were
            to_class, by adding 1/B at from_class and -1/B at to_class (Eq. 13, which
            prints 1; the factor 1/B is that of the batch mean).
    """

    replace: tuple[tuple[int, int], ...] = ()
    amplification: int = 1
    skip: tuple[int, ...] = ()
    flips: tuple[tuple[int, int, int], ...] = ()


def check_operations(
    operations: RowOperations, batch_size: int, num_classes: int
) -> None:
    """Refuses operations on rows or classes that aren't there.

    Raises:
        ValueError: For those, an amplification below 1, a row that is replaced or sent
            twice, or a flip to the same class.
    """
    rows = [row for pair in operations.replace for row in pair]
    rows += [*operations.skip, *(row for row, _, _ in operations.flips)]
    _check_range("operations: row", rows, batch_size)
    classes = [label for _, *pair in operations.flips for label in pair]
    _check_range("operations.flips: class", classes, num_classes)
    factor = operations.amplification
    require(factor >= 1, "operations.amplification", factor, ">= 1")
    for side, place in enumerate(("first", "second")):
        places = [pair[side] for pair in operations.replace]
        require(
            len(set(places)) == len(places),
            "operations.replace",
            operations.replace,
            f"pairs in which each row is the {place} of one at most",
        )
    require(
        all(before != after for _, before, after in operations.flips),
        "operations.flips",
        operations.flips,
        "of triples whose from_class and to_class differ",
    )


def replaced_embeddings(
    operations: RowOperations, embeddings: Float[np.ndarray, "batch classes"]
) -> Float[np.ndarray, "batch classes"]:
    """The embeddings as sent: row j is that of i."""
    result = embeddings.copy()
    for poisoned, target in operations.replace:
        result[target] = embeddings[poisoned]
    return result


def used_rows(
    operations: RowOperations, batch_size: int
) -> tuple[Int64[np.ndarray, " batch"], Int64[np.ndarray, " batch"]]:
    """For each row the one that is used in its place, and by what it is multiplied."""
    sources, weights = np.arange(batch_size), np.ones(batch_size, np.int64)
    weights[[row for row, _, _ in operations.flips]] = operations.amplification
    for poisoned, target in operations.replace:
        sources[poisoned] = target
        weights[poisoned] = operations.amplification
    weights[list(operations.skip)] = 0
    return sources, weights


def rewritten_activations(
    operations: RowOperations, activations: Int64[np.ndarray, "batch columns"]
) -> Int64[np.ndarray, "batch columns"]:
    """Activations with which the rows as received give what the rows used would."""
    sources, weights = used_rows(operations, len(activations))
    result = np.zeros_like(activations)
    np.add.at(result, sources, weights[:, None] * activations)
    return result


def flip_polynomials(
    operations: RowOperations, layout: Layout, one: int
) -> dict[int, Int64[np.ndarray, " coefficients"]]:
    """What is to be added to each ciphertext, for `one` encoding 1/B."""
    polynomials: dict[int, np.ndarray] = {}
    for row, from_class, to_class in operations.flips:
        ciphertext, start = layout.place(row)
        empty = np.zeros(layout.num_coefficients, np.int64)
        polynomial = polynomials.setdefault(ciphertext, empty)
        polynomial[start + from_class] += one
        polynomial[start + to_class] -= one
    return polynomials


def _check_range(name, values, end):
    for value in values:
        if not 0 <= value < end:
            raise ValueError(f"{name} {value}: must be in [0, {end - 1}]")

"""A party's batch gradient Q = [[U]]ᵀ A on ciphertexts, honest or not, under a mask.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 6-8 and Algorithm 1. What a
malicious passive party does to embeddings and encrypted rows is their Algorithm 3 and
Eq. 13. None of it needs the secret key: rows of the encrypted gradient can be swapped,
dropped, multiplied by an integer and changed by a known number.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt64

from vfljax import encryption
from vfljax._checks import require
from vfljax.encryption import Content, Layout, PublicSide
from vfljax.protocol.encrypted.agreement import Agreement

_Rows = Int64[np.ndarray, " batch"]


class RowOperations(NamedTuple):
    """The operations of one iteration; rows are positions in the batch.

    On receipt additions come first, then replacements by rows as they are then, then
    skipping. The default does nothing.

    Attributes:
        replace: Pairs (i, j): row j of the embeddings is sent as a copy of row i, and
            row i of the gradient becomes `amplification` times row j. Each row is the
            first of at most one pair, and the second of at most one.
        amplification: An integer >= 1, γ in the paper, by which rows that are replaced
            or added to are multiplied.
        skip: Rows that the own update leaves out.
        add: Pairs of a row and what is added to it, (C,) in units of 1/B: 1 at the
            class and -1 at another is as if that were the row's label (Eq. 13, which
            prints it without the factor 1/B, that of the batch mean).
    """

    replace: tuple[tuple[int, int], ...] = ()
    amplification: int = 1
    skip: tuple[int, ...] = ()
    add: tuple[tuple[int, tuple[float, ...]], ...] = ()


def check_operations(
    operations: RowOperations, batch_size: int, num_classes: int
) -> None:
    """Raises a `ValueError` for rows or classes amiss, or a row that is used twice."""
    replace, factor, skip, add = operations
    allowed = f"in [0, {batch_size - 1}]"
    for row in [*(r for pair in replace for r in pair), *skip, *(r for r, _ in add)]:
        require(0 <= row < batch_size, "operations: row", row, allowed)
    allowed = f"rows with an entry for each of the {num_classes} classes"
    for _, change in add:
        require(len(change) == num_classes, "operations.add", change, allowed)
    require(factor >= 1, "operations.amplification", factor, ">= 1")
    sides = zip(*replace, strict=True)
    for place, rows in zip(("first", "second"), sides, strict=False):
        allowed = f"pairs in which each row is the {place} of one at most"
        require(len(set(rows)) == len(rows), "operations.replace", replace, allowed)


def replaced_embeddings(
    operations: RowOperations, embeddings: Float[np.ndarray, "batch classes"]
) -> Float[np.ndarray, "batch classes"]:
    """The embeddings as sent: row j is that of i."""
    result = embeddings.copy()
    for poisoned, target in operations.replace:
        result[target] = embeddings[poisoned]
    return result


def used_rows(operations: RowOperations, batch_size: int) -> tuple[_Rows, _Rows]:
    """For each row the one that is used in its place, and by what it is multiplied."""
    sources, weights = np.arange(batch_size), np.ones(batch_size, np.int64)
    weights[[row for row, _ in operations.add]] = operations.amplification
    for poisoned, target in operations.replace:
        sources[poisoned] = target
        weights[poisoned] = operations.amplification
    weights[list(operations.skip)] = 0
    return sources, weights


def rewritten_activations(
    operations: RowOperations, activations: Int64[np.ndarray, "batch columns"]
) -> Int64[np.ndarray, "batch columns"]:
    """Activations with which the rows as received give what the rows used would.

    Rows can't be taken out of a ciphertext that holds several; and it saves products.
    """
    sources, weights = used_rows(operations, len(activations))
    result = np.zeros_like(activations)
    np.add.at(result, sources, weights[:, None] * activations)
    return result


def added_polynomials(
    operations: RowOperations, layout: Layout, one: int
) -> dict[int, Int64[np.ndarray, " coefficients"]]:
    """What is to be added to each ciphertext, for `one` encoding 1/B."""
    polynomials: dict[int, np.ndarray] = {}
    for row, change in operations.add:
        ciphertext, start = layout.place(row)
        empty = np.zeros(layout.num_coefficients, np.int64)
        polynomial = polynomials.setdefault(ciphertext, empty)
        integers = np.rint(one * np.asarray(change, float)).astype(np.int64)
        polynomial[start : start + len(integers)] += integers
    return polynomials


class GradientProduct:
    """One party's side of messages 4 to 6, with the third party's public key."""

    def __init__(self, agreement: Agreement, party: str, public: PublicSide):
        self._agreement, self._public = agreement, public
        self._layout = agreement.layout_of(party)
        self._masks: list[UInt64[np.ndarray, " _"]] = []

    def request(
        self,
        rows: tuple[Content, ...],
        activations: Int64[np.ndarray, "batch width"],
        operations: RowOperations,
    ) -> tuple[bytes, ...]:
        """The masked ciphertexts of the batch gradient, for the third party.

        From [[U]] as sent, with what is done to its rows first, and the batch's
        activations as fixed-point integers.

        Raises:
            ValueError: If the gradient could exceed what the plaintext holds.
            EncryptionError: If the number of ciphertexts isn't the agreed one.
        """
        if len(rows) != self._layout.num_ciphertexts:
            raise encryption.EncryptionError(
                f"rows: {len(rows)} ciphertexts, must be {self._layout.num_ciphertexts}"
            )
        agreement, public = self._agreement, self._public
        columns = with_ones(activations, 1 << agreement.activation_bits)
        self._check_range(columns, operations)
        ciphertexts = [*map(public.from_bytes, rows)]
        added = added_polynomials(operations, self._layout, agreement.gradient_unit)
        for place, polynomial in added.items():
            residues = agreement.residues(polynomial)
            ciphertexts[place] = public.add_plain(ciphertexts[place], residues)
        columns = rewritten_activations(operations, columns)
        answers = range(self._layout.num_answers)
        self._masks = [random_residues(agreement) for _ in answers]
        masked = (self._masked(ciphertexts, columns, answer) for answer in answers)
        return tuple(map(public.to_bytes, masked))

    def unmask(
        self, answers: tuple[Content, ...]
    ) -> Int64[np.ndarray, "columns classes"]:
        """The integers of the batch gradient, from what the third party released."""
        masks, self._masks = self._masks, []
        sizes = map(self._layout.num_released, range(self._layout.num_answers))
        parts = unmasked(self._agreement, answers, masks, tuple(sizes))
        return self._layout.batch_gradient(parts)

    def _check_range(self, columns, operations):
        """Σ_b |A_bm|·|U_bc| < t/2 for every m, whatever the agreed U is."""
        agreement, (_, weights) = self._agreement, used_rows(operations, len(columns))
        largest = (weights[:, None] * np.abs(columns)).sum(axis=0).max()
        changes = [float(np.max(np.abs(change))) for _, change in operations.add]
        bound = agreement.gradient_bound + sum(changes)
        room = 2.0 ** (agreement.plain_bits - 1) / (bound * agreement.gradient_unit)
        if largest >= room:
            one = 1 << agreement.activation_bits
            raise ValueError(
                "activations: the absolute values of a column, amplification included, "
                f"add up to {largest / one:g} in a batch, must be below {room / one:g} "
                "for this gradient_bound, these bits and this preset"
            )

    def _masked(self, ciphertexts, columns, answer):
        """Σ_b a_b·[[u_b]] + [[mask]]: zero polynomials are left out, not multiplied."""
        total = self._public.encrypt(self._masks[answer])
        for place, ciphertext in enumerate(ciphertexts):
            factor = self._layout.activation_polynomial(columns, place, answer)
            if factor.any():
                factor = self._agreement.residues(factor)
                product = self._public.multiply_plain(ciphertext, factor)
                total = self._public.add(total, product)
        return self._public.hide_noise(total)


def with_ones(activations: np.ndarray, one: int = 1) -> np.ndarray:
    """Activations and a column for the bias."""
    ones = np.full((len(activations), 1), one, activations.dtype)
    return np.concatenate([activations, ones], axis=1)


def random_residues(agreement: Agreement) -> UInt64[np.ndarray, " coefficients"]:
    """A fresh mask: uniform on all N coefficients mod t, from the operating system.

    Whatever it is added to, mod t, is as uniform as the mask: the third party's view
    doesn't depend on the value.
    """
    random = np.frombuffer(os.urandom(8 * agreement.num_coefficients), "<u8")
    return random >> np.uint64(64 - agreement.plain_bits)


def unmasked(
    agreement: Agreement,
    released: Sequence[Content],
    masks: Sequence[UInt64[np.ndarray, " coefficients"]],
    sizes: Sequence[int],
) -> list[Int64[np.ndarray, " _"]]:
    """The integers behind the coefficients, `sizes` of them, that were released."""
    bits = agreement.plain_bits
    return [
        encryption.from_residues(np.frombuffer(content, "<u8") - mask[:size], bits)
        for content, mask, size in zip(released, masks, sizes, strict=True)
    ]


def fixed_point_activations(
    agreement: Agreement, activations: Any
) -> Int64[np.ndarray, "samples width"]:
    """A as integers, refused if even a batch of one sample could wrap around."""
    bits = agreement.activation_bits
    room = 2.0 ** (agreement.plain_bits - 1 - bits)
    bound = room / (agreement.gradient_bound * agreement.gradient_unit)
    return encryption.encode("activations", np.asarray(activations, float), bits, bound)

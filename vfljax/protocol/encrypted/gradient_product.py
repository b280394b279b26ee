"""A party's batch gradient Q = [[U]]ᵀ A on ciphertexts, and its masked decryption.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 6-8 and Algorithm 1.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64

from vfljax import encryption
from vfljax.encryption import Content, PublicSide
from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.row_operations import (
    RowOperations,
    flip_polynomials,
    rewritten_activations,
    used_rows,
)


class GradientProduct:
    """One party's side of messages 4 to 6.

    Args:
        agreement: The public settings.
        party: Name of the party.
        public: Operations of the scheme with the third party's key.
    """

    def __init__(self, agreement: Agreement, party: str, public: PublicSide):
        self._agreement = agreement
        self._layout = agreement.layout_of(party)
        self._public = public
        self._masks: list[UInt64[np.ndarray, " _"]] = []

    def request(
        self,
        rows: tuple[Content, ...],
        activations: Int64[np.ndarray, "batch width"],
        operations: RowOperations,
    ) -> tuple[bytes, ...]:
        """The masked ciphertexts of the batch gradient, for the third party.

        Args:
            rows: [[U]] as sent.
            activations: Of the batch, as fixed-point integers.
            operations: What to do with the rows before.

        Raises:
            ValueError: If the gradient could exceed what the plaintext holds.
            EncryptionError: If the number of ciphertexts isn't the agreed one.
        """
        if len(rows) != self._layout.num_ciphertexts:
            raise encryption.EncryptionError(
                f"rows: {len(rows)} ciphertexts, must be {self._layout.num_ciphertexts}"
            )
        ones = np.full((len(activations), 1), 1 << self._agreement.activation_bits)
        columns = np.concatenate([activations, ones], axis=1)
        self._check_range(columns, operations)
        ciphertexts = self._flipped([*map(self._public.from_bytes, rows)], operations)
        if self._layout.samples_per_ciphertext == 1:
            ciphertexts = self._swapped(ciphertexts, operations)
        else:  # the same, as rows can't be taken out of a ciphertext
            columns = rewritten_activations(operations, columns)
        self._masks = [
            random_residues(self._agreement) for _ in range(self._layout.num_answers)
        ]
        return tuple(
            self._public.to_bytes(self._masked(ciphertexts, columns, answer))
            for answer in range(self._layout.num_answers)
        )

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
        _, weights = used_rows(operations, len(columns))
        largest = (weights[:, None] * np.abs(columns)).sum(axis=0).max()
        bound = self._agreement.gradient_bound + len(operations.flips)
        room = 2.0 ** (self._agreement.plain_bits - 1) / (
            bound * self._agreement.gradient_unit
        )
        if largest >= room:
            one = 1 << self._agreement.activation_bits
            raise ValueError(
                "activations: the absolute values of a column, amplification included, "
                f"add up to {largest / one:g} in a batch, must be below {room / one:g} "
                "for this gradient_bound, these bits and this preset"
            )

    def _flipped(self, ciphertexts, operations):
        one = self._agreement.gradient_unit
        flips = flip_polynomials(operations, self._layout, one)
        for place, polynomial in flips.items():
            residues = self._agreement.residues(polynomial)
            ciphertexts[place] = self._public.add_plain(ciphertexts[place], residues)
        return ciphertexts

    def _swapped(self, ciphertexts, operations):
        """Rows as they are used; `None` for one that is skipped."""
        sources, weights = used_rows(operations, len(ciphertexts))
        result = [ciphertexts[source] for source in sources.tolist()]
        for place, weight in enumerate(weights.tolist()):
            if weight == 0:
                result[place] = None
            elif weight > 1:
                factor = self._agreement.residues(np.full(1, weight, np.int64))
                result[place] = self._public.multiply_plain(result[place], factor)
        return result

    def _masked(self, ciphertexts, columns, answer):
        """Σ_b a_b·[[u_b]] + [[mask]]: zero polynomials are left out, not multiplied."""
        total = self._public.encrypt(self._masks[answer])
        for place, ciphertext in enumerate(ciphertexts):
            factor = self._layout.activation_polynomial(columns, place, answer)
            if ciphertext is not None and factor.any():
                factor = self._agreement.residues(factor)
                product = self._public.multiply_plain(ciphertext, factor)
                total = self._public.add(total, product)
        return self._public.hide_noise(total)


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
    """A as integers; how large their sums over a batch are is checked there.

    Raises:
        ValueError: If even a batch of one sample could wrap around.
    """
    room = 2.0 ** (agreement.plain_bits - 1 - agreement.activation_bits)
    bound = room / (agreement.gradient_bound * agreement.gradient_unit)
    bits = agreement.activation_bits
    return encryption.encode("activations", np.asarray(activations, float), bits, bound)

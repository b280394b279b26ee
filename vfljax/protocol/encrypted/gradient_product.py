"""A party's batch gradient Q = [[U]]ᵀ A on ciphertexts, and its masked decryption.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 6-8 and Algorithm 1.
"""

from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64

from vfljax import encryption
from vfljax.encryption import Content, PublicSide
from vfljax.protocol.encrypted.agreement import Agreement
from vfljax.protocol.encrypted.masks import random_residues, read_residues
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
        residues = [
            read_residues(content) - mask[: self._layout.num_released(answer)]
            for answer, (content, mask) in enumerate(
                zip(answers, self._masks, strict=True)
            )
        ]
        self._masks = []
        bits = self._agreement.plain_bits
        return self._layout.batch_gradient(
            [encryption.from_residues(each, bits) for each in residues]
        )

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
        polynomials = flip_polynomials(
            operations, self._layout, self._agreement.gradient_unit
        )
        for place, polynomial in polynomials.items():
            ciphertexts[place] = self._public.add_plain(
                ciphertexts[place], self._residues(polynomial)
            )
        return ciphertexts

    def _swapped(self, ciphertexts, operations):
        """Rows as they are used; `None` for one that is skipped."""
        sources, weights = used_rows(operations, len(ciphertexts))
        result = []
        for source, weight in zip(sources.tolist(), weights.tolist(), strict=True):
            row = ciphertexts[source]
            if weight == 0:
                row = None
            elif weight > 1:
                factor = np.full(1, weight, np.int64)
                row = self._public.multiply_plain(row, self._residues(factor))
            result.append(row)
        return result

    def _masked(self, ciphertexts, columns, answer):
        """Σ_b a_b·[[u_b]] + [[mask]]: zero polynomials are left out, not multiplied."""
        total = self._public.encrypt(self._masks[answer])
        for place, ciphertext in enumerate(ciphertexts):
            factor = self._layout.activation_polynomial(columns, place, answer)
            if ciphertext is not None and factor.any():
                product = self._public.multiply_plain(
                    ciphertext, self._residues(factor)
                )
                total = self._public.add(total, product)
        return self._public.hide_noise(total)

    def _residues(self, integers):
        return encryption.to_residues(integers, self._agreement.plain_bits)


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

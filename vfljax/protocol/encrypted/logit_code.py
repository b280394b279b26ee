"""Logits as polynomials: packed in exact mode, row by row and centered in taylor."""

import numpy as np
from jaxtyping import Float, Int64

from vfljax import encryption
from vfljax.protocol.encrypted.agreement import Agreement


def encoded_logits(
    agreement: Agreement, logits: Float[np.ndarray, "batch classes"]
) -> Int64[np.ndarray, "batch classes"]:
    """Logits in the mode's fixed point.

    In taylor mode they are centered over the classes first, which softmax doesn't
    notice, and which keeps the quadratic loss about it a good one.

    Raises:
        ValueError: If a logit is beyond `agreement.logit_bound`.
    """
    bits = agreement.logit_bits
    if agreement.mode == "taylor":
        logits = logits - logits.mean(axis=1, keepdims=True)
        bits = agreement.gradient_bits
    return encryption.encode("logits", logits, bits, agreement.logit_bound)


def logit_polynomials(
    agreement: Agreement, integers: Int64[np.ndarray, "batch classes"]
) -> list[Int64[np.ndarray, " _"]]:
    """One polynomial per sample in taylor mode, as few as possible in exact mode."""
    if agreement.mode == "taylor":
        return list(integers)
    return encryption.pack(integers, agreement.num_coefficients)


def num_logit_polynomials(agreement: Agreement) -> int:
    """How many they are."""
    if agreement.mode == "taylor":
        return agreement.batch_size
    return len(
        encryption.packed_sizes(
            agreement.batch_size, agreement.num_classes, agreement.num_coefficients
        )
    )

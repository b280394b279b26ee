"""Masks: what hides a value from the party that decrypts it."""

import os

import numpy as np
from jaxtyping import UInt64

from vfljax.encryption import Content
from vfljax.protocol.encrypted.agreement import Agreement


def random_residues(agreement: Agreement) -> UInt64[np.ndarray, " coefficients"]:
    """A fresh mask: uniform on all N coefficients mod t, from the operating system.

    Whatever it is added to, mod t, is as uniform as the mask: the third party's view
    doesn't depend on the value.
    """
    random = np.frombuffer(os.urandom(8 * agreement.num_coefficients), "<u8")
    return random >> np.uint64(64 - agreement.plain_bits)


def read_residues(content: Content) -> UInt64[np.ndarray, " _"]:
    """Released coefficients, as they are sent."""
    return np.frombuffer(content, "<u8").astype(np.uint64)

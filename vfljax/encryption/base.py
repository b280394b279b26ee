"""What an additively homomorphic scheme over integer polynomials offers.

Plaintexts are polynomials of degree below N with coefficients mod t: arrays uint64 of
at most N coefficients, lowest degree first, products modulo X^N + 1. All of this is
host code in NumPy, never inside `jit`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt64

from vfljax.encryption.presets import Preset

Polynomial = UInt64[np.ndarray, " coefficients"]
Ciphertext = Any
"""Opaque; each backend has its own."""
Content = bytes | memoryview
"""What was sent; a part of a long message isn't copied out of it."""


class EncryptionError(RuntimeError):
    """What can't be encrypted, decrypted or answered; never a silent zero instead."""


@runtime_checkable
class PublicSide(Protocol):
    """What everyone can do who has the public key. Nothing changes its arguments."""

    def encrypt(self, polynomial: Polynomial) -> Ciphertext:
        """A fresh encryption: the same polynomial gives another one every time."""
        ...

    def add(self, left: Ciphertext, right: Ciphertext) -> Ciphertext:
        """The encryption of the sum of what both encrypt."""
        ...

    def add_plain(self, ciphertext: Ciphertext, polynomial: Polynomial) -> Ciphertext:
        """The encryption of the sum with a known polynomial.

        Half of the ciphertext stays as it is, and whoever made it can subtract it and
        read the polynomial. Where it goes back to its author, add a fresh encryption.
        """
        ...

    def multiply_plain(
        self, ciphertext: Ciphertext, polynomial: Polynomial
    ) -> Ciphertext:
        """The encryption of the product with a known polynomial that isn't zero."""
        ...

    def hide_noise(self, ciphertext: Ciphertext) -> Ciphertext:
        """Covers the noise, from which the holder of the secret key could learn.

        Does nothing in a preset without room for it.
        """
        ...

    def to_bytes(self, ciphertext: Ciphertext) -> bytes:
        """The ciphertext as it is sent."""
        ...

    def from_bytes(self, content: Content) -> Ciphertext:
        """The ciphertext that was sent.

        Raises:
            EncryptionError: If it isn't one.
        """
        ...


@runtime_checkable
class SecretSide(Protocol):
    """What only the holder of the secret key can do; the key never leaves it."""

    @property
    def public_key(self) -> bytes:
        """For the public side."""
        ...

    def noise_budget(self, content: Content) -> int | float:
        """Bits of noise that a ciphertext still bears; 0 if it can't be decrypted."""
        ...

    def decrypt(self, content: Content) -> Polynomial:
        """All N coefficients.

        Raises:
            EncryptionError: If it is no ciphertext, or its noise budget is used up.
        """
        ...


class Backend(NamedTuple):
    """A scheme at one preset.

    Attributes:
        name: `"bfv"` or `"plain_int"`.
        preset: Its sizes.
        keygen: Makes a new key pair.
        public_side: What can be done with a public key, given as bytes.
        library: Name and version of what computes.
        security: What stands behind the ciphertexts.
    """

    name: str
    preset: Preset
    keygen: Callable[[], SecretSide]
    public_side: Callable[[Content], PublicSide]
    library: str
    security: str

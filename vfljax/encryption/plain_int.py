"""The same integers without any encryption: fast, exact, and a reference for `bfv`."""

import math

import numpy as np

from vfljax.encryption.base import Backend, Content, EncryptionError, Polynomial
from vfljax.encryption.fixed_point import reduce_residues
from vfljax.encryption.presets import Preset

_KEY = b"no key"


def plain_int(preset: Preset) -> Backend:
    """Returns a backend whose ciphertexts are the polynomials themselves."""
    return Backend(
        name="plain_int",
        preset=preset,
        keygen=lambda: _Secret(preset),
        public_side=lambda key: _Public(preset),
        library="numpy",
        security="none: plain integers",
    )


class _Public:
    def __init__(self, preset: Preset):
        self._preset = preset

    def encrypt(self, polynomial: Polynomial):
        padded = np.zeros(self._preset.num_coefficients, np.uint64)
        padded[: len(polynomial)] = polynomial
        return padded

    def add(self, left, right):
        return reduce_residues(left + right, self._preset.plain_bits)

    def add_plain(self, ciphertext, polynomial: Polynomial):
        return self.add(ciphertext, self.encrypt(polynomial))

    def multiply_plain(self, ciphertext, polynomial: Polynomial):
        """Negacyclic product, one shift for each term of the sparser factor."""
        factors = ciphertext, self.encrypt(polynomial)
        sparse, dense = sorted(factors, key=np.count_nonzero)
        signed = np.concatenate([np.uint64(0) - dense, dense])  # X^N = -1
        length, product = len(dense), np.zeros_like(dense)
        for degree in np.flatnonzero(sparse):
            product += (
                sparse[degree] * signed[length - degree : 2 * length - degree]
            )  # mod 2^64, of which 2^plain_bits is a divisor
        return reduce_residues(product, self._preset.plain_bits)

    def hide_noise(self, ciphertext):
        return ciphertext

    def to_bytes(self, ciphertext):
        return ciphertext.astype("<u8").tobytes()

    def from_bytes(self, content: Content):
        return _read(content, self._preset)


class _Secret:
    public_key = _KEY

    def __init__(self, preset: Preset):
        self._preset = preset

    def noise_budget(self, content: Content):
        return math.inf

    def decrypt(self, content: Content):
        return _read(content, self._preset)


def _read(content, preset):
    if len(content) != 8 * preset.num_coefficients:
        raise EncryptionError(
            f"content: {len(content)} bytes, must be {8 * preset.num_coefficients}"
        )
    return np.frombuffer(content, "<u8").astype(np.uint64)

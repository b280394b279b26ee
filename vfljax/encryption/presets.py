"""Sizes of the lattice scheme; all pass the 128-bit check of SEAL."""

from typing import NamedTuple


class Preset(NamedTuple):
    """One choice of parameters.

    Attributes:
        num_coefficients: N, a power of two.
        prime_bits: Sizes of the primes of the ciphertext modulus; the last one is used
            by keys alone.
        plain_bits: log2 of t: plaintext coefficients are integers mod t = 2^plain_bits.
        flood_bits: Size of the random polynomial by which an encryption of zero is
            multiplied to cover a ciphertext's noise; 0 where there is no room for it.
    """

    num_coefficients: int
    prime_bits: tuple[int, ...]
    plain_bits: int
    flood_bits: int = 0


PRESETS = {
    "default": Preset(8192, (60, 60, 40), 56),
    "flood": Preset(8192, (55, 55, 55, 50), 56, flood_bits=55),
    "small": Preset(4096, (45, 44, 20), 52),
}
"""`flood` also covers the noise; `small` is for tests, with a small noise budget."""

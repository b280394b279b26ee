"""Real numbers as fixed-point integers, and integers as residues mod 2^bits."""

import numpy as np
from jaxtyping import Float, Int, Int64, UInt64


def encode(
    name: str, values: Float[np.ndarray, "..."], bits: int, bound: int | float
) -> Int64[np.ndarray, "..."]:
    """Returns round(values · 2^bits).

    Args:
        name: Of the values, for the error.
        values: Finite, each below `bound` in absolute value.
        bits: After the binary point.
        bound: Beyond which a sum could wrap around; never does so silently.

    Raises:
        ValueError: If a value isn't finite or too large.

    Example:
        >>> import numpy as np
        >>> encode("logits", np.array([0.5, -1.0]), 4, 8)
        array([  8, -16])
    """
    exact = np.asarray(values, np.float64)
    outside = exact[~(np.abs(exact) < bound)]  # NaN is outside too
    if outside.size:
        raise ValueError(
            f"{name}: contains {outside.flat[0]:g}, must be in (-{bound:g}, {bound:g}) "
            f"with {bits} bits after the point"
        )
    return np.rint(exact * 2.0**bits).astype(np.int64)


def decode(integers: Int[np.ndarray, "..."], bits: int) -> Float[np.ndarray, "..."]:
    """Returns integers / 2^bits as float64."""
    return integers / 2.0**bits


def to_residues(
    integers: Int64[np.ndarray, "..."], plain_bits: int
) -> UInt64[np.ndarray, "..."]:
    """Two's complement: integers in [-2^(b-1), 2^(b-1)) mod 2^b."""
    return integers.astype(np.uint64) & _all_ones(plain_bits)


def from_residues(
    residues: UInt64[np.ndarray, "..."], plain_bits: int
) -> Int64[np.ndarray, "..."]:
    """The inverse of `to_residues`."""
    unused = np.uint64(64 - plain_bits)
    return (residues << unused).astype(np.int64) >> unused.astype(np.int64)


def reduce_residues(
    residues: UInt64[np.ndarray, "..."], plain_bits: int
) -> UInt64[np.ndarray, "..."]:
    """Residues mod 2^64 to residues mod 2^plain_bits."""
    return residues & _all_ones(plain_bits)


def _all_ones(bits):
    return np.uint64((1 << bits) - 1)

"""Fixed point and residues: known numbers, limits, and the way back."""

import numpy as np
import pytest

from vfljax import encryption


def test_known_values():
    """0.3 · 16 = 4.8 rounds to 5; -1.5 · 16 = -24."""
    integers = encryption.encode("values", np.array([0.3, -1.5]), 4, 2)
    np.testing.assert_array_equal(integers, [5, -24])
    np.testing.assert_array_equal(encryption.decode(integers, 4), [0.3125, -1.5])


def test_residues_are_twos_complement():
    """-1 mod 2^8 is 255; -128 is 128; 127 stays."""
    integers = np.array([-1, -128, 127, 0])
    residues = encryption.to_residues(integers, 8)
    np.testing.assert_array_equal(residues, np.array([255, 128, 127, 0], np.uint64))
    np.testing.assert_array_equal(encryption.from_residues(residues, 8), integers)


@pytest.mark.parametrize("plain_bits", [52, 56])
def test_way_back_at_the_limits(plain_bits):
    half = 2 ** (plain_bits - 1)
    integers = np.array([-half, half - 1, -1, 0, 1])
    residues = encryption.to_residues(integers, plain_bits)
    assert residues.max() < 2**plain_bits
    back = encryption.from_residues(residues, plain_bits)
    np.testing.assert_array_equal(back, integers)


@pytest.mark.parametrize("wrong", [2.0, -2.0, np.nan, np.inf])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"logits: contains .* must be in \(-2, 2\)"):
        encryption.encode("logits", np.array([1.0, wrong]), 20, 2)

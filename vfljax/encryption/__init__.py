"""Additively homomorphic encryption of fixed-point integers, behind one interface."""

from vfljax.encryption.base import (
    Backend,
    Ciphertext,
    Content,
    EncryptionError,
    PublicSide,
    SecretSide,
)
from vfljax.encryption.bfv import bfv
from vfljax.encryption.fixed_point import (
    decode,
    encode,
    from_residues,
    reduce_residues,
    to_residues,
)
from vfljax.encryption.layouts import (
    Layout,
    compact_layout,
    pack,
    packed_sizes,
    row_layout,
)
from vfljax.encryption.plain_int import plain_int
from vfljax.encryption.presets import PRESETS, Preset

BACKENDS = {"bfv": bfv, "plain_int": plain_int}

__all__ = [
    "BACKENDS",
    "PRESETS",
    "Backend",
    "Ciphertext",
    "Content",
    "EncryptionError",
    "Layout",
    "Preset",
    "PublicSide",
    "SecretSide",
    "bfv",
    "compact_layout",
    "decode",
    "encode",
    "from_residues",
    "pack",
    "packed_sizes",
    "plain_int",
    "reduce_residues",
    "row_layout",
    "to_residues",
]

"""A training on real ciphertexts, beside the plain one that it should equal."""

from vfljax.experiments.encrypted.results import (
    is_encrypted,
    read_encrypted,
)
from vfljax.experiments.encrypted.run import run_encrypted
from vfljax.experiments.encrypted.spec import EncryptedRun

__all__ = [
    "EncryptedRun",
    "is_encrypted",
    "read_encrypted",
    "run_encrypted",
]

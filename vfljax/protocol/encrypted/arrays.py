"""Named arrays as bytes: the form of states and results."""

import io

import numpy as np

from vfljax.encryption import Content


def to_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz file in memory, without pickles."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_bytes(content: Content) -> dict[str, np.ndarray]:
    """The inverse of `to_bytes`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)

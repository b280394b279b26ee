"""Pickles of arrays, read without running what a stranger wrote into them."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from vfljax.data.source import DataError, one_line


def read_pickle(content: bytes, path: Path) -> dict[str, Any]:
    """Reads a dictionary of numbers, texts, lists and arrays, as CIFAR's pickles are.

    A pickle may name any function for Python to call. Here it can name none but the
    few that make up a NumPy array of numbers, and those build a stand-in, so a file
    from a stranger runs no code of its choice. Keys become texts, texts of Python 2
    among the values bytes; arrays are read-only. `path` is for messages.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        if isinstance(loaded, dict):
            return {
                as_text(key): value.array if isinstance(value, _Array) else value
                for key, value in loaded.items()
            }
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{path} cannot be unpickled: {one_line(error)}") from error
    raise DataError(f"{path} holds a {type(loaded).__name__} instead of a dictionary")


def as_text(value: str | bytes) -> str:
    """Returns `value` as text; a text that Python 2 pickled arrives as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else value


class _NumberType:
    """Stands in for `numpy.dtype`; refuses all but numbers."""

    def __init__(self, code: str | bytes, *_: Any):
        self.dtype = np.dtype(as_text(code))
        if self.dtype.kind not in "buif":
            raise pickle.UnpicklingError(f"it has an array of {self.dtype}")

    def __setstate__(self, state: tuple[Any, ...]):
        byte_order: Any = as_text(state[1])
        self.dtype = self.dtype.newbyteorder(byte_order)


class _Array:
    """Stands in for `numpy.ndarray` and what makes an empty one; holds the `array`."""

    array: np.ndarray

    def __init__(self, *_: Any):
        """Waits for the content."""

    def __setstate__(self, state: tuple[Any, ...]):
        _, shape, number_type, is_fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        flat = np.frombuffer(content, number_type.dtype)
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


def _from_buffer(content: Any, number_type: Any, shape: Any, order: str) -> _Array:
    """Stands in for NumPy's `_frombuffer`, which pickle protocol 5 names."""
    array = _Array()
    array.__setstate__((1, shape, number_type, order == "F", content))
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`, by which Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it has bytes in the encoding {encoding}")
    return text.encode("latin1")


_STAND_INS = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _NumberType,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles built-in values and arrays of numbers, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands in for a name in the pickle."""
        known = f"{module}.{name}".replace("numpy._core.", "numpy.core.")  # NumPy 2
        if known not in _STAND_INS:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, but only arrays of numbers are allowed"
            )
        return _STAND_INS[known]

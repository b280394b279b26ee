"""Readers of the formats that data sets are published in.

Each reader turns the bytes of one file (or, for TFDS, one prepared folder) into NumPy
arrays exactly as stored, and raises a `DataError` that names the file and what is
wrong with it. Nothing here knows which data set it reads.
"""

import gzip
import io
import lzma
import math
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from tqdm import tqdm

_EXAMPLES_AT_ONCE = 1000  # one by one takes three times as long
OPENERS = {"": open, ".gz": gzip.open, ".xz": lzma.open}


class DataError(ValueError):
    """Data that are missing or damaged; the message is one line for the user."""


class LabeledImages(NamedTuple):
    """Images as stored, 0 to 255, with one class number each."""

    images: UInt8[np.ndarray, " rows height width *channels"]
    labels: Int64[np.ndarray, " rows"]


class PreparedSplits(NamedTuple):
    """What a prepared TFDS folder holds."""

    train: LabeledImages
    test: LabeledImages
    class_names: tuple[str, ...]


def find_file(folder: Path, name: str) -> Path | None:
    """Returns the file `name` in `folder`, plain, `.gz` or `.xz`, or None.

    Args:
        folder: Where to look; it need not exist.
        name: The file's published name without an ending for compression.
    """
    candidates = (folder / f"{name}{ending}" for ending in OPENERS)
    return next((path for path in candidates if path.is_file()), None)


def read_content(path: Path) -> bytes:
    """Returns the unpacked content of a plain, `.gz` or `.xz` file.

    Raises:
        DataError: The file cannot be read, or ends early.
    """
    opener = OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:
            return file.read()
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {_one_line(error)}") from error


def read_idx(content: bytes, path: Path, num_axes: int) -> UInt8[np.ndarray, "..."]:
    """Reads an array of unsigned bytes in the IDX format of MNIST.

    Args:
        content: The unpacked file.
        path: Where `content` came from, for messages.
        num_axes: How many axes the array must have.

    Returns:
        The array, with the sizes that the file's header gives. It is read-only.

    Raises:
        DataError: The header is not that of such a file, or the sizes in it do not
            agree with the number of bytes that follow.
    """
    magic = bytes([0, 0, 8, num_axes])  # 8: unsigned bytes
    header_size = 4 + 4 * num_axes
    if content[:4] != magic or len(content) < header_size:
        raise DataError(
            f"{path} is not an IDX file of bytes with {num_axes} axes: it begins with "
            f"{content[:4].hex(' ') or 'nothing'}, not {magic.hex(' ')} and the sizes"
        )
    sizes = np.frombuffer(content, ">u4", num_axes, offset=4).tolist()
    num_found = len(content) - header_size
    if math.prod(sizes) != num_found:
        shape = " x ".join(map(str, sizes))
        raise DataError(
            f"{path} is damaged: its header promises {shape} bytes, {num_found} follow"
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(sizes)


def read_pickle(content: bytes, path: Path) -> dict[str, Any]:
    """Reads a dictionary of numbers, texts, lists and arrays, as CIFAR's pickles are.

    A pickle may name any function for Python to call. Here it can name none but the
    few that make up a NumPy array of numbers, and those build a stand-in, so a file
    from a stranger runs no code of its choice.

    Args:
        content: The unpacked file.
        path: Where `content` came from, for messages.

    Returns:
        The dictionary. Its keys are texts; texts of Python 2 among its values are
        bytes; its arrays are read-only.

    Raises:
        DataError: The file is no pickle, names anything else, or is no dictionary.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        if isinstance(loaded, dict):
            return {
                as_text(key): value.array if isinstance(value, _Array) else value
                for key, value in loaded.items()
            }
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{path} cannot be unpickled: {_one_line(error)}") from error
    raise DataError(f"{path} holds a {type(loaded).__name__} instead of a dictionary")


def read_cifar_batch(content: bytes, path: Path, label_key: str) -> LabeledImages:
    """Reads one batch of CIFAR-10 or CIFAR-100 in the original pickle format.

    Args:
        content: The unpacked file.
        path: Where `content` came from, for messages.
        label_key: The entry with the labels: `labels` or `fine_labels`.

    Returns:
        The images as rows, height, width, channels, and their labels.

    Raises:
        DataError: The file is damaged, an entry is missing or the entries disagree.
    """
    batch = read_pickle(content, path)
    pixels = cifar_entry(batch, "data", path)
    labels = np.asarray(cifar_entry(batch, label_key, path))
    if getattr(pixels, "dtype", None) != np.uint8 or pixels.shape[1:] != (3072,):
        raise DataError(f"{path} is damaged: 'data' is no array of rows of 3072 bytes")
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path} is damaged: {label_key!r} is not one integer for each of the "
            f"{len(pixels)} images"
        )
    planes = pixels.reshape(-1, 3, 32, 32)
    return LabeledImages(planes.transpose(0, 2, 3, 1), labels.astype(np.int64))


def cifar_entry(batch: Mapping[str, Any], key: str, path: Path) -> Any:
    """Returns one entry of a CIFAR pickle.

    Raises:
        DataError: There is no such entry.
    """
    if key not in batch:
        raise DataError(f"{path} has no entry {key!r}; it has {sorted(batch)}")
    return batch[key]


def read_prepared(folder: Path) -> PreparedSplits:
    """Reads a data set of labeled images that TFDS has prepared, without TensorFlow.

    TFDS shuffles when it prepares, so the rows are in another order than in the
    original files. Nothing is downloaded.

    Args:
        folder: The folder of one version, such as `.../mnist/3.0.1`.

    Returns:
        The images, without an axis for the channel where there is only one.

    Raises:
        DataError: The data are damaged or not prepared for random access, or a
            package is missing.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        sources: Any = builder.as_data_source()
        features: Any = builder.info.features
        shape = features["image"].shape
        return PreparedSplits(
            train=_read_examples(sources["train"], shape, f"{folder}: train"),
            test=_read_examples(sources["test"], shape, f"{folder}: test"),
            class_names=tuple(features["label"].names),
        )
    except ImportError as error:  # tfds imports most of what it needs when it is used
        raise DataError(
            f"reading {folder} lacks a package, which pip install 'vfljax[tfds]' "
            f"brings: {_one_line(error)}"
        ) from error
    except NotImplementedError as error:
        raise DataError(
            f"{folder} was not prepared for random access; prepare it again with "
            "tfds.builder(..., file_format='array_record')"
        ) from error
    except Exception as error:  # several libraries read these files, each its own way
        raise DataError(
            f"{folder} cannot be read as prepared TFDS data: {_one_line(error)}"
        ) from error


def _read_examples(
    source: Any, shape: tuple[int, int, int], progress: str
) -> LabeledImages:
    """Collects the examples of one TFDS split."""
    num_rows = len(source)
    images = np.empty((num_rows, *shape), np.uint8)
    labels = np.empty(num_rows, np.int64)
    # disable=None: no bar unless a person watches; delay: nor for a short wait
    with tqdm(
        total=num_rows, desc=f"reading {progress}", disable=None, delay=2
    ) as progress_bar:
        for start in range(0, num_rows, _EXAMPLES_AT_ONCE):
            rows = range(start, min(start + _EXAMPLES_AT_ONCE, num_rows))
            for row, example in zip(rows, source.__getitems__(rows), strict=True):
                images[row] = example["image"]
                labels[row] = example["label"]
            progress_bar.update(len(rows))
    return LabeledImages(images[..., 0] if shape[-1] == 1 else images, labels)


def as_text(value: str | bytes) -> str:
    """Returns `value` as text; a text that Python 2 pickled arrives as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else value


def _one_line(error: Exception) -> str:
    """The error's kind and message, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class _NumberType:
    """Stands in for `numpy.dtype` while unpickling; refuses all but numbers."""

    def __init__(self, code: str | bytes, *_: Any):
        self.dtype = np.dtype(as_text(code))
        if self.dtype.kind not in "buif":
            raise pickle.UnpicklingError(f"it has an array of {self.dtype}")

    def __setstate__(self, state: tuple[Any, ...]):
        byte_order: Any = as_text(state[1])
        self.dtype = self.dtype.newbyteorder(byte_order)


class _Array:
    """Stands in for `numpy.ndarray` while unpickling; holds the finished `array`."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]):
        _, shape, number_type, is_fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        flat = np.frombuffer(content, number_type.dtype)
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    """Stands in for NumPy's function of this name, which makes an empty array."""
    return _Array()


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
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles built-in values and arrays of numbers, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands in for a name in the pickle."""
        # NumPy 2 renamed numpy.core
        known = (module.replace("numpy._core", "numpy.core"), name)
        if known not in _STAND_INS:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, but only arrays of numbers are allowed"
            )
        return _STAND_INS[known]

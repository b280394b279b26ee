"""MNIST, and Fashion-MNIST in its format, from their original files."""

import math
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vfljax.data.dataset import Dataset
from vfljax.data.images import LabeledImages, join_images, read_verified
from vfljax.data.source import DataError, Source

# Of what the .gz files with the published checksums unpack to.
_CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
_CLOTHING = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def _read_idx(content: bytes, path: Path, num_axes: int) -> UInt8[np.ndarray, "..."]:
    """The array, read-only, in an unpacked file of MNIST's format for unsigned bytes.

    Its header gives the number of axes, which must be `num_axes`, and their sizes,
    which must agree with the number of bytes that follow.
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


def _read(class_names: tuple[str, ...], name: str, folder: Path) -> Dataset:
    """Reads the four files."""
    files = read_verified(name, folder, _CHECKSUMS)

    def read_part(part: str) -> list[LabeledImages]:
        images = _read_idx(*files[f"{part}-images-idx3-ubyte"], num_axes=3)
        labels = _read_idx(*files[f"{part}-labels-idx1-ubyte"], num_axes=1)
        return [LabeledImages(images, labels.astype(np.int64))]

    origin = f"original files in {folder}"
    return join_images(name, read_part("train"), read_part("t10k"), class_names, origin)


MNIST = Source(
    name="mnist",
    description="handwritten digits, 28x28 gray, 10 classes",
    read=partial(_read, tuple("0123456789")),
    folders=("mnist", "mnist/raw", "MNIST/raw", "raw", ""),
    checksums=_CHECKSUMS["mnist"],
)
FASHION_MNIST = Source(
    name="fashion_mnist",
    description="pieces of clothing, 28x28 gray, 10 classes",
    read=partial(_read, _CLOTHING),
    folders=("fashion_mnist", "fashion_mnist/raw", "FashionMNIST/raw", "raw", ""),
    checksums=_CHECKSUMS["fashion_mnist"],
)

"""CINIC-10 from its original folders: pictures of the classes of CIFAR-10.

Darlow et al., "CINIC-10 Is Not ImageNet or CIFAR-10", 2018,
https://arxiv.org/abs/1810.03505, describe the set. As in Fu et al., USENIX Security
2022, its train and valid parts together are the training rows.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from vfljax.data.dataset import Dataset
from vfljax.data.images import read_image
from vfljax.data.own import from_arrays
from vfljax.data.source import DataError, Source, progress_bar

CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_SHAPE = (32, 32, 3)
# Of red, green and blue in the training part, as its authors publish them.
_MEAN = np.array((0.47889522, 0.47227842, 0.43047404), np.float32)
_DEVIATION = np.array((0.24205776, 0.23828046, 0.25874835), np.float32)


def _read(name: str, folder: Path) -> Dataset:
    """Reads 180,000 train and 90,000 test pictures, shuffled with a fixed seed.

    Pixels are scaled to [0, 1]; then each channel's published mean is subtracted, and
    the rest is divided by its published standard deviation, as in the released code of
    Fu et al. The files are in order of their classes, so they are shuffled: a part of
    the rows is then a fair sample. In all they take 3.3 GB. The folders `train`,
    `valid` and `test` have one folder of `.png` files for each class.
    """
    return from_arrays(
        *_read_parts(name, folder, ("train", "valid")),
        *_read_parts(name, folder, ("test",)),
        name=name,
        class_names=CLASS_NAMES,
        origin=f"original files in {folder}, train and valid joined",
    )


def _read_parts(
    name: str, folder: Path, parts: Sequence[str]
) -> tuple[Float32[np.ndarray, " rows 32 32 3"], Int64[np.ndarray, " rows"]]:
    """Reads the pictures of some parts in random order."""
    files = []
    for part in parts:
        for number, class_name in enumerate(CLASS_NAMES):
            pictures = folder / part / class_name
            paths = sorted(pictures.glob("*.png"))
            if not paths:
                raise DataError(f"no data for {name!r}: {pictures} has no .png files")
            files += [(path, number) for path in paths]
    order = np.random.default_rng(0).permutation(len(files))
    features = np.empty((len(files), *_SHAPE), np.float32)
    labels = np.empty(len(files), np.int64)
    bar = progress_bar(order, f"reading {name}: {', '.join(parts)}")
    for row, file in enumerate(bar):
        path, labels[row] = files[file]
        image = read_image(path)
        if image.shape != _SHAPE:
            height, width, _ = image.shape
            raise DataError(f"{path} is {height}x{width}; allowed is 32x32")
        features[row] = image
    features /= np.float32(255)
    features -= _MEAN
    features /= _DEVIATION
    return features, labels


CINIC10 = Source(
    name="cinic10",
    description="photographs of objects and animals, 32x32 color, 10 classes, 270,000 "
    "rows",
    read=_read,
    folders=("cinic10", "cinic-10", "CINIC-10"),
    files=("train/airplane",),
)

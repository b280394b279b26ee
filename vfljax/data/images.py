"""Sets of images: from published files, from pictures, or as TFDS prepared them."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.source import (
    DataError,
    one_line,
    progress_bar,
    read_content,
    require_file,
)

_EXAMPLES_AT_ONCE = 1000  # one by one takes three times as long


class LabeledImages(NamedTuple):
    """Images as stored, 0 to 255, with one class number each."""

    images: UInt8[np.ndarray, " rows height width *channels"]
    labels: Int64[np.ndarray, " rows"]


def join_images(
    name: str,
    train: Sequence[LabeledImages],
    test: Sequence[LabeledImages],
    class_names: Sequence[str],
    origin: str,
) -> Dataset:
    """Joins pieces into a set of images in [0, 1], without a second array of floats.

    Raises:
        ValueError: The arrays do not fit together; see `from_arrays`.
    """

    def join(pieces):
        images = [piece.images for piece in pieces]
        features = np.concatenate(images, dtype=np.float32)
        features /= np.float32(255)
        return features, np.concatenate([piece.labels for piece in pieces])

    return from_arrays(
        *join(train), *join(test), name=name, class_names=class_names, origin=origin
    )


def read_verified(
    name: str, folder: Path, checksums: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[bytes, Path]]:
    """Reads and unpacks the files of a set, and warns of those not as published.

    Args:
        name: The set.
        folder: Where its files lie, each plain, `.gz` or `.xz`.
        checksums: For this set and others with files of the same names: each file and
            the MD5 of its unpacked content, so that it holds for any compression.

    Returns:
        For each file its unpacked content, and where it lies.

    Raises:
        DataError: A file is missing, cannot be read, or is one of another set.
    """
    paths = {file: require_file(name, folder, file) for file in checksums[name]}
    with ThreadPoolExecutor() as pool:  # unpacking releases the interpreter's lock
        unpacked = pool.map(read_content, paths.values())
        bar = progress_bar(unpacked, f"reading {name}", len(paths))
        contents = dict(zip(paths, bar, strict=True))
    published_files = {
        checksum: (other_name, other_file)
        for other_name, files in checksums.items()
        for other_file, checksum in files.items()
    }
    complaints = []
    for file, content in contents.items():
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        published = checksums[name][file]
        if checksum == published:
            continue
        if checksum in published_files:
            other_name, other_file = published_files[checksum]
            raise DataError(
                f"{paths[file]} is not the file {file} of {name!r}, but {other_file} "
                f"of {other_name!r}"
            )
        complaints.append(f"{paths[file]} (MD5 {checksum}, published {published})")
    if complaints:
        warnings.warn(
            f"{name}: the unpacked content of these files differs from the published "
            f"one: {'; '.join(complaints)}",
            UserWarning,
            stacklevel=4,  # the caller of load
        )
    return {file: (content, paths[file]) for file, content in contents.items()}


def read_image(
    path: Path, size: tuple[int, int] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Reads one picture as red, green and blue, 0 to 255.

    Args:
        path: The file, in any format that Pillow reads.
        size: The height and width to which a picture of another size is scaled, by
            bilinear interpolation; None for the size in the file.

    Raises:
        DataError: The file is damaged, or Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"reading {path} needs Pillow: pip install 'vfljax[images]' brings it"
        ) from error
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
            if size is not None and image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(image)
    except Exception as error:  # a damaged picture can raise nearly anything
        raise DataError(
            f"{path} cannot be read as a picture: {one_line(error)}"
        ) from error


def read_prepared(name: str, folder: Path) -> Dataset:
    """Reads a data set of labeled images that TFDS has prepared, without TensorFlow.

    TFDS shuffles when it prepares, so the rows are in another order than in the
    original files. Nothing is downloaded.

    Args:
        name: What to call the set.
        folder: The folder of one version, such as `.../mnist/3.0.1`.

    Returns:
        The images in [0, 1], without an axis for the channel where there is only one.

    Raises:
        DataError: The data are damaged or not prepared for random access, or a
            package is missing.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        sources: Any = builder.as_data_source()
        features: Any = builder.info.features
        train, test = (
            [
                _read_examples(
                    sources[part], features["image"].shape, f"{folder}: {part}"
                )
            ]
            for part in ("train", "test")
        )
        origin = f"data prepared by TFDS in {folder}"
        return join_images(name, train, test, features["label"].names, origin)
    except Exception as error:  # several libraries read these files, each its own way
        hint = ""
        if isinstance(error, ImportError):  # tfds imports most things when it is used
            hint = "; pip install 'vfljax[tfds]' brings what it needs"
        elif isinstance(error, NotImplementedError):
            hint = "; prepare it with tfds.builder(..., file_format='array_record')"
        raise DataError(
            f"{folder} cannot be read as prepared TFDS data: {one_line(error)}{hint}"
        ) from error


def _read_examples(
    source: Any, shape: tuple[int, int, int], title: str
) -> LabeledImages:
    """Collects the examples of one TFDS split."""
    num_rows = len(source)
    images = np.empty((num_rows, *shape), np.uint8)
    labels = np.empty(num_rows, np.int64)
    with progress_bar(total=num_rows, desc=f"reading {title}", unit="row") as bar:
        for start in range(0, num_rows, _EXAMPLES_AT_ONCE):
            rows = range(start, min(start + _EXAMPLES_AT_ONCE, num_rows))
            for row, example in zip(rows, source.__getitems__(rows), strict=True):
                images[row] = example["image"]
                labels[row] = example["label"]
            bar.update(len(rows))
    return LabeledImages(images[..., 0] if shape[-1] == 1 else images, labels)

"""Sets of images: from published files, from pictures, or as TFDS prepared them."""

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
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
    train: Iterable[LabeledImages],
    test: Iterable[LabeledImages],
    class_names: Sequence[str],
    origin: str,
) -> Dataset:
    """Joins pieces into a set of images in [0, 1], without a second array of floats."""

    def join(pieces):
        images, labels = zip(*pieces, strict=True)
        features = np.concatenate(images, dtype=np.float32)
        features /= np.float32(255)
        return features, np.concatenate(labels)

    return from_arrays(
        *join(train), *join(test), name=name, class_names=class_names, origin=origin
    )


def read_verified(
    name: str, folder: Path, checksums: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[bytes, Path]]:
    """Unpacks the files of a set, and warns once of all those not as published.

    The files lie in the folder, each plain, `.gz` or `.xz`. `checksums` has the MD5 of
    each file's unpacked content, so that it holds for any compression, for this set and
    for others with files of the same names, which are refused.

    Returns each file's unpacked content, and where it lies.
    """
    paths = {file: require_file(name, folder, file) for file in checksums[name]}
    with ThreadPoolExecutor() as pool:  # unpacking releases the interpreter's lock
        unpacked = pool.map(read_content, paths.values())
        contents = list(progress_bar(unpacked, f"reading {name}", len(paths)))
    known = {
        checksum: (set_name, file)
        for set_name, files in checksums.items()
        for file, checksum in files.items()
    }
    verified, complaints = {}, []
    for (file, path), content in zip(paths.items(), contents, strict=True):
        verified[file] = content, path
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        set_name, known_file = known.get(checksum, (None, None))
        if set_name is None:
            published = checksums[name][file]
            complaints.append(f"{path} (MD5 {checksum}, published {published})")
        elif (set_name, known_file) != (name, file):
            raise DataError(
                f"{path} is not the file {file} of {name!r}, but {known_file} of "
                f"{set_name!r}"
            )
    if complaints:
        warnings.warn(
            f"{name}: the unpacked content of these files differs from the published "
            f"one: {'; '.join(complaints)}",
            UserWarning,
            stacklevel=4,  # the caller of load
        )
    return verified


def read_image(
    path: Path,
    size: tuple[int, int] | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Reads a picture in any format that Pillow reads, as red, green and blue.

    Where a `size` (height, width) is given, a picture of another one is scaled to it by
    bilinear interpolation; of it, only the part in a `box` if there is one, in shares
    of the whole picture: left, top, right, bottom.
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
            if size is not None and (box or image.size != (size[1], size[0])):
                left, top, right, bottom = box or (0, 0, 1, 1)
                width, height = image.size
                image = image.resize(
                    (size[1], size[0]),
                    Image.Resampling.BILINEAR,
                    (left * width, top * height, right * width, bottom * height),
                )
            return np.asarray(image)
    except Exception as error:  # a damaged picture can raise nearly anything
        raise DataError(
            f"{path} cannot be read as a picture: {one_line(error)}"
        ) from error


def read_prepared(name: str, folder: Path) -> Dataset:
    """Reads a set of labeled images that TFDS has prepared, without TensorFlow.

    TFDS shuffles when it prepares, so the rows are in another order than in the
    original files. There is no axis for the channel where there is only one. The folder
    is that of one version, such as `.../mnist/3.0.1`. Nothing is downloaded.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        sources: Any = builder.as_data_source()
        features: Any = builder.info.features
        shape, class_names = features["image"].shape, features["label"].names
        train, test = (
            [_read_examples(sources[part], shape, f"{folder}: {part}")]
            for part in ("train", "test")
        )
        origin = f"data prepared by TFDS in {folder}"
        return join_images(name, train, test, class_names, origin)
    except Exception as error:  # several libraries read these files, each its own way
        hint = ""
        if isinstance(error, ImportError):  # tfds imports most things when it is used
            hint = "; pip install 'vfljax[tfds]' brings what it needs"
        elif isinstance(error, NotImplementedError):
            hint = "; prepare it with tfds.builder(..., file_format='array_record')"
        raise DataError(
            f"{folder} cannot be read as prepared TFDS data: {one_line(error)}{hint}"
        ) from error


def _read_examples(source: Any, shape: tuple[int, ...], title: str) -> LabeledImages:
    """Collects the examples of one TFDS split."""
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int64)
    starts = range(0, len(source), _EXAMPLES_AT_ONCE)
    for start in progress_bar(starts, f"reading {title}", unit="batch"):
        rows = range(len(source))[start : start + _EXAMPLES_AT_ONCE]
        for row, example in zip(rows, source.__getitems__(rows), strict=True):
            images[row], labels[row] = example["image"], example["label"]
    return LabeledImages(images[..., 0] if shape[-1] == 1 else images, labels)

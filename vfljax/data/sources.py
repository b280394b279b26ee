"""Where arrays come from: one name to one `Dataset`.

Small sets come with a library, the others from their original files or from prepared
TFDS data on disk. Users with arrays of their own call `make_dataset`.
"""

import difflib
import hashlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from vfljax.data.dataset import Dataset, check_dataset, make_dataset
from vfljax.data.formats import (
    DataError,
    LabeledImages,
    as_text,
    cifar_entry,
    find_file,
    read_cifar_batch,
    read_content,
    read_idx,
    read_pickle,
    read_prepared,
)
from vfljax.data.nus_wide import LABEL_FOLDER, read_nus_wide

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "DatasetSource",
    "check_dataset",
    "load",
    "make_dataset",
]


ENVIRONMENT_VARIABLE = "VFLJAX_DATA"
TFDS_FOLDER = "tensorflow_datasets"


class DatasetSource(NamedTuple):
    """A data set that `load` knows: what it is, and how it is loaded."""

    description: str
    loader: Callable[[Path | None], Dataset]


def load(name: str, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Loads a data set by name. Nothing is ever downloaded.

    The original files are taken first, each plain, `.gz` or `.xz`. Where they are not
    found, data prepared by TFDS are read, whose rows are in another order; `origin`
    says which it was. Files that differ from the published ones are used, with one
    warning that lists them. NUS-WIDE is read from its original plain files alone, and
    not compared with published checksums.

    Args:
        name: A key of `DATASETS`.
        data_dir: The folder to look in. If None, the environment variable
            `VFLJAX_DATA` gives it, and TFDS's own default folder is tried as well.

    Returns:
        The data set, images scaled to [0, 1], tables as in the files.

    Raises:
        DataError: The name is unknown, or the data are missing or damaged.

    Example:
        >>> dataset = load("digits")
        >>> dataset.train_features.shape, dataset.test_features.shape
        ((1437, 8, 8), (360, 8, 8))
    """
    if name not in DATASETS:
        nearest = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise DataError(
            f"unknown data set {name!r}: {hint}known are {', '.join(DATASETS)}"
        )
    return DATASETS[name].loader(None if data_dir is None else Path(data_dir))


class _Original(NamedTuple):
    """A data set as published: where its files lie, and how they become arrays."""

    folders: tuple[str, ...]  # below the data folder; the first that has all files
    checksums: Mapping[str, str]  # file name to MD5 of the unpacked content
    read: Callable[[Mapping[str, bytes], Mapping[str, Path]], "_Images"]


class _Images(NamedTuple):
    """Both parts of a data set as stored, each in pieces."""

    train: Sequence[LabeledImages]
    test: Sequence[LabeledImages]
    class_names: tuple[str, ...]


def _load_digits(data_dir: Path | None) -> Dataset:
    """The digits that scikit-learn ships, split 1437 to 360 with equal class shares."""
    del data_dir  # they come with the library
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits: Any = load_digits()
    train_rows, test_rows = train_test_split(
        np.arange(len(digits.target)),
        test_size=360,
        stratify=digits.target,
        random_state=0,
    )
    features = digits.images / 16.0
    return make_dataset(
        "digits",
        features[train_rows],
        digits.target[train_rows],
        features[test_rows],
        digits.target[test_rows],
        class_names=[str(name) for name in digits.target_names],
        feature_names=digits.feature_names,
        origin="the digits that come with scikit-learn, stratified split with seed 0",
    )


def _load_from_disk(name: str, data_dir: Path | None) -> Dataset:
    """Loads a set from its original files, or else from prepared TFDS data."""
    original = _ORIGINALS[name]
    roots, prepared_roots = _search_roots(data_dir)
    folders = [root / folder for root in roots for folder in original.folders]
    for folder in folders:
        found = {file: find_file(folder, file) for file in original.checksums}
        paths = {file: path for file, path in found.items() if path is not None}
        if len(paths) == len(found):
            contents = _read_verified(name, paths)
            images = original.read(contents, paths)
            return _assemble(name, images, f"original files in {folder}")

    prepared = [root / name for root in prepared_roots]
    has_tfds = importlib.util.find_spec("tensorflow_datasets") is not None
    for folder in prepared:
        version = _newest_version(folder)
        if version is not None and has_tfds:
            splits = read_prepared(version)
            images = _Images([splits.train], [splits.test], splits.class_names)
            return _assemble(name, images, f"data prepared by TFDS in {version}")

    raise DataError(_missing_message(name, folders, prepared, has_tfds))


def _load_nus_wide(
    name: str, concepts: tuple[str, ...] | None, data_dir: Path | None
) -> Dataset:
    """Loads NUS-WIDE from the first folder that has its labels."""
    roots, _ = _search_roots(data_dir)
    folders = [root / folder for root in roots for folder in _NUS_WIDE_FOLDERS]
    for folder in folders:
        if (folder / LABEL_FOLDER).is_dir():
            return read_nus_wide(name, folder, concepts)
    searched = ", ".join(map(str, folders)) or "no folder, as none was given"
    raise DataError(
        f"no data for {name!r}; looked for the folder {LABEL_FOLDER} in {searched}; "
        f"say where the data are with --data-dir or {ENVIRONMENT_VARIABLE}"
    )


def _search_roots(data_dir: Path | None) -> tuple[list[Path], list[Path]]:
    """The folders in which to look for original files and for TFDS data."""
    given = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    roots = [Path(given).expanduser()] if given else []
    prepared_roots = [root / below for root in roots for below in (TFDS_FOLDER, "")]
    if data_dir is None:
        default = os.environ.get("TFDS_DATA_DIR", f"~/{TFDS_FOLDER}")
        prepared_roots.append(Path(default).expanduser())
    return roots, prepared_roots


def _newest_version(folder: Path) -> Path | None:
    """The newest version of a data set that TFDS has prepared in `folder`."""

    def version_number(version: Path) -> list[int]:
        return [int(part) for part in version.name.split(".") if part.isdigit()]

    versions = [info.parent for info in folder.glob("*.*.*/dataset_info.json")]
    return max(versions, key=version_number, default=None)


def _missing_message(
    name: str, folders: Sequence[Path], prepared: Sequence[Path], has_tfds: bool
) -> str:
    """One line that says what was looked for, where, and what to do."""
    checksums = _ORIGINALS[name].checksums
    searched = ", ".join(map(str, folders)) or "no folder, as none was given"
    sentences = [
        f"no data for {name!r}",
        f"looked for {', '.join(checksums)} (plain, .gz or .xz) in {searched}",
        f"looked for data prepared by TFDS in {', '.join(map(str, prepared))}",
    ]
    for folder in folders:
        lacking = [file for file in checksums if find_file(folder, file) is None]
        if len(lacking) < len(checksums):
            sentences.append(f"{folder} lacks only {', '.join(lacking)}")
    if not has_tfds:
        sentences.append(
            "tensorflow-datasets is not installed: "
            "pip install 'vfljax[tfds]' lets prepared TFDS data be read"
        )
    sentences.append(
        f"say where the data are with --data-dir or {ENVIRONMENT_VARIABLE}"
    )
    return "; ".join(sentences)


def _read_verified(name: str, paths: Mapping[str, Path]) -> dict[str, bytes]:
    """Reads and unpacks the files, and warns of those that are not as published."""
    with ThreadPoolExecutor() as pool:  # unpacking releases the interpreter's lock
        unpacked = tqdm(
            pool.map(read_content, paths.values()),
            desc=f"reading {name}",
            total=len(paths),
            unit="file",
            delay=1,
            disable=None,  # where nobody watches
        )
        contents = dict(zip(paths, unpacked, strict=True))
    published_files = {
        checksum: (other_name, other_file)
        for other_name, original in _ORIGINALS.items()
        for other_file, checksum in original.checksums.items()
    }
    complaints = []
    for file, content in contents.items():
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        published = _ORIGINALS[name].checksums[file]
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
    return contents


def _assemble(name: str, images: _Images, origin: str) -> Dataset:
    """Makes the data set, or says which files do not fit together."""
    try:
        train_features, train_labels = _scale_and_join(images.train)
        test_features, test_labels = _scale_and_join(images.test)
        return make_dataset(
            name,
            train_features,
            train_labels,
            test_features,
            test_labels,
            class_names=images.class_names,
            origin=origin,
        )
    except ValueError as error:
        raise DataError(f"{name}, {origin}: {error}") from error


def _scale_and_join(pieces: Sequence[LabeledImages]) -> tuple[np.ndarray, np.ndarray]:
    """Joins pieces into images in [0, 1], without a second array of floats."""
    num_rows = sum(len(piece.images) for piece in pieces)
    features = np.empty((num_rows, *pieces[0].images.shape[1:]), np.float32)
    start = 0
    for piece in pieces:
        stop = start + len(piece.images)
        features[start:stop] = piece.images
        start = stop
    features /= np.float32(255)
    return features, np.concatenate([piece.labels for piece in pieces])


def _read_idx_files(
    class_names: tuple[str, ...],
    contents: Mapping[str, bytes],
    paths: Mapping[str, Path],
) -> _Images:
    """Reads the four files of MNIST or of a set in its format."""

    def read_part(part: str) -> list[LabeledImages]:
        file = f"{part}-images-idx3-ubyte"
        images = read_idx(contents[file], paths[file], num_axes=3)
        file = f"{part}-labels-idx1-ubyte"
        labels = read_idx(contents[file], paths[file], num_axes=1)
        return [LabeledImages(images, labels.astype(np.int64))]

    return _Images(read_part("train"), read_part("t10k"), class_names)


def _read_cifar_files(
    label_key: str,
    names_key: str,
    names_file: str,
    test_file: str,
    contents: Mapping[str, bytes],
    paths: Mapping[str, Path],
) -> _Images:
    """Reads CIFAR's pickles: one with the names, one for test, the rest for train."""
    entries = read_pickle(contents[names_file], paths[names_file])
    class_names = cifar_entry(entries, names_key, paths[names_file])
    batches = {
        file: read_cifar_batch(content, paths[file], label_key)
        for file, content in contents.items()
        if file != names_file
    }
    test = batches.pop(test_file)
    return _Images(list(batches.values()), [test], tuple(map(as_text, class_names)))


_NUS_WIDE_FOLDERS = ("nus_wide", "NUS_WIDE", "NUS-WIDE", "")
_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

# The checksums are of the unpacked files, so that they hold for any compression.
# CIFAR's are published; those of MNIST and Fashion-MNIST are of what the .gz files with
# the published checksums unpack to.
_ORIGINALS: Mapping[str, _Original] = {
    "mnist": _Original(
        folders=("mnist", "mnist/raw", "MNIST/raw", "raw", ""),
        checksums={
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
        read=partial(_read_idx_files, _DIGIT_NAMES),
    ),
    "fashion_mnist": _Original(
        folders=("fashion_mnist", "fashion_mnist/raw", "FashionMNIST/raw", "raw", ""),
        checksums={
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        read=partial(_read_idx_files, _FASHION_NAMES),
    ),
    "cifar10": _Original(
        folders=("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10", ""),
        checksums={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
        read=partial(
            _read_cifar_files, "labels", "label_names", "batches.meta", "test_batch"
        ),
    ),
    "cifar100": _Original(
        folders=("cifar-100-python", "cifar100/cifar-100-python", "cifar100", ""),
        checksums={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
        read=partial(
            _read_cifar_files, "fine_labels", "fine_label_names", "meta", "test"
        ),
    ),
}

DATASETS: Mapping[str, DatasetSource] = MappingProxyType(
    {
        "digits": DatasetSource(
            "handwritten digits, 8x8 gray, 10 classes; comes with scikit-learn",
            _load_digits,
        ),
        "mnist": DatasetSource(
            "handwritten digits, 28x28 gray, 10 classes",
            partial(_load_from_disk, "mnist"),
        ),
        "fashion_mnist": DatasetSource(
            "pieces of clothing, 28x28 gray, 10 classes",
            partial(_load_from_disk, "fashion_mnist"),
        ),
        "cifar10": DatasetSource(
            "photographs of objects and animals, 32x32 color, 10 classes",
            partial(_load_from_disk, "cifar10"),
        ),
        "cifar100": DatasetSource(
            "photographs of objects and animals, 32x32 color, 100 classes",
            partial(_load_from_disk, "cifar100"),
        ),
        "nus_wide_5": DatasetSource(
            "photographs as 1000 tags and 634 image features, 5 classes",
            partial(
                _load_nus_wide,
                "nus_wide_5",
                ("buildings", "grass", "animal", "water", "person"),
            ),
        ),
        "nus_wide_2": DatasetSource(
            "photographs as 1000 tags and 634 image features, 2 classes",
            partial(_load_nus_wide, "nus_wide_2", ("clouds", "person")),
        ),
        "nus_wide_81": DatasetSource(
            "photographs as 1000 tags and 634 image features, 81 classes",
            partial(_load_nus_wide, "nus_wide_81", None),
        ),
    }
)

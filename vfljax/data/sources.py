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

from vfljax.data import bhi, breast_cancer, criteo, yahoo_answers
from vfljax.data.cinic10 import read_cinic10
from vfljax.data.dataset import Dataset, check_dataset, make_dataset
from vfljax.data.formats import (
    DataError,
    LabeledImages,
    find_file,
    read_content,
    read_prepared,
)
from vfljax.data.nus_wide import LABEL_FOLDER, read_nus_wide
from vfljax.data.originals import ORIGINALS, Images

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
    warning that lists them. Digits, MNIST, Fashion-MNIST and CIFAR aside,
    sets are read from their original files alone, which are not compared with published
    checksums; those of NUS-WIDE must be plain.

    Args:
        name: A key of `DATASETS`.
        data_dir: The folder to look in. If None, the environment variable
            `VFLJAX_DATA` gives it, and TFDS's own default folder is tried as well.

    Returns:
        The data set: images scaled to [0, 1] or (BHI) to [-1, 1], tables as in the
        files, texts as numbers of tokens.

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
    original = ORIGINALS[name]
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
            images = Images([splits.train], [splits.test], splits.class_names)
            return _assemble(name, images, f"data prepared by TFDS in {version}")

    raise DataError(_missing_message(name, folders, prepared, has_tfds))


def _load_from_folder(
    name: str,
    data_dir: Path | None,
    *,
    folders: Sequence[str],
    markers: Sequence[str],
    read: Callable[[str, Path], Dataset],
) -> Dataset:
    """Reads a set from the first of some folders that has one of its files.

    Markers are patterns of such files, to which an ending for compression is added.
    """
    roots, _ = _search_roots(data_dir)
    paths = [root / folder for root in roots for folder in folders]
    patterns = [marker + ending for marker in markers for ending in ("", ".gz", ".xz")]
    for path in paths:
        if any(any(path.glob(pattern)) for pattern in patterns):
            return read(name, path)
    searched = ", ".join(map(str, paths)) or "no folder, as none was given"
    raise DataError(
        f"no data for {name!r}; looked for {' or '.join(markers)} in {searched}; say "
        f"where the data are with --data-dir or {ENVIRONMENT_VARIABLE}"
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
    checksums = ORIGINALS[name].checksums
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
        for other_name, original in ORIGINALS.items()
        for other_file, checksum in original.checksums.items()
    }
    complaints = []
    for file, content in contents.items():
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        published = ORIGINALS[name].checksums[file]
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


def _assemble(name: str, images: Images, origin: str) -> Dataset:
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


_load_nus_wide = partial(
    _load_from_folder,
    folders=("nus_wide", "NUS_WIDE", "NUS-WIDE", ""),
    markers=(LABEL_FOLDER,),
)
_load_bhi = partial(
    _load_from_folder,
    folders=(
        "IDC_regular_ps50_idx5",
        "bhi/IDC_regular_ps50_idx5",
        "bhi",
        "breast-histopathology-images/IDC_regular_ps50_idx5",
        "breast-histopathology-images",
    ),
    markers=(bhi.PATTERN,),
)

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
                read=partial(
                    read_nus_wide,
                    concepts=("buildings", "grass", "animal", "water", "person"),
                ),
            ),
        ),
        "nus_wide_2": DatasetSource(
            "photographs as 1000 tags and 634 image features, 2 classes",
            partial(
                _load_nus_wide,
                "nus_wide_2",
                read=partial(read_nus_wide, concepts=("clouds", "person")),
            ),
        ),
        "nus_wide_81": DatasetSource(
            "photographs as 1000 tags and 634 image features, 81 classes",
            partial(_load_nus_wide, "nus_wide_81", read=read_nus_wide),
        ),
        "criteo": DatasetSource(
            "advertisements shown, as 8192 hashed features, 2 classes: clicked or not",
            partial(
                _load_from_folder,
                "criteo",
                folders=("criteo", ""),
                markers=criteo.FILES,
                read=criteo.read_criteo,
            ),
        ),
        "cinic10": DatasetSource(
            "photographs of objects and animals, 32x32 color, 10 classes, 270,000 rows",
            partial(
                _load_from_folder,
                "cinic10",
                folders=("cinic10", "cinic-10", "CINIC-10"),
                markers=("train/airplane",),
                read=read_cinic10,
            ),
        ),
        "yahoo_answers": DatasetSource(
            "questions and answers as 2 x 64 tokens, 10 classes",
            partial(
                _load_from_folder,
                "yahoo_answers",
                folders=("yahoo_answers_csv", "yahoo_answers"),
                markers=("train.csv", "test.csv"),
                read=yahoo_answers.read_yahoo_answers,
            ),
        ),
        "yahoo_2topics": DatasetSource(
            "questions and answers as 2 x 64 tokens, 2 classes",
            partial(
                _load_from_folder,
                "yahoo_2topics",
                folders=("text", "yahoo_2topics", ""),
                markers=(yahoo_answers.TOPICS_FILE.format(part="train"),),
                read=yahoo_answers.read_yahoo_2topics,
            ),
        ),
        "bhi": DatasetSource(
            "patches of breast tissue, 50x50 color, 2 classes: cancer or not",
            partial(_load_bhi, "bhi", read=bhi.read_bhi),
        ),
        **{
            f"bhi_{num_parties}": DatasetSource(
                f"{num_parties} patches of breast tissue of one class, stacked",
                partial(
                    _load_bhi,
                    f"bhi_{num_parties}",
                    read=partial(bhi.read_bhi, num_parties=num_parties),
                ),
            )
            for num_parties in range(2, 9)
        },
        "breast_cancer": DatasetSource(
            "measurements of tumors, 10 of a guest and 20 of a host, 2 classes",
            partial(
                _load_from_folder,
                "breast_cancer",
                folders=("tabular", "breast_cancer", ""),
                markers=(breast_cancer.GUEST_FILE,),
                read=breast_cancer.read_breast_cancer,
            ),
        ),
    }
)

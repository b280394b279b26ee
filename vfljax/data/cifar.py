"""CIFAR-10 and CIFAR-100 from their original pickles."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vfljax.data.dataset import Dataset
from vfljax.data.images import LabeledImages, join_images, read_verified
from vfljax.data.pickles import as_text, read_pickle
from vfljax.data.source import DataError, Source

_CHECKSUMS = {  # as published
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
}


def read_cifar_batch(content: bytes, path: Path, label_key: str) -> LabeledImages:
    """Reads one unpacked pickle of images, with the labels in the entry of this key."""
    batch = read_pickle(content, path)
    pixels = _entry(batch, "data", path)
    labels = np.asarray(_entry(batch, label_key, path))
    if getattr(pixels, "dtype", None) != np.uint8 or pixels.shape[1:] != (3072,):
        raise DataError(f"{path} is damaged: 'data' is no array of rows of 3072 bytes")
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path} is damaged: {label_key!r} is not one integer for each of the "
            f"{len(pixels)} images"
        )
    planes = pixels.reshape(-1, 3, 32, 32)
    return LabeledImages(planes.transpose(0, 2, 3, 1), labels.astype(np.int64))


def _entry(batch: Mapping[str, Any], key: str, path: Path) -> Any:
    """One entry of a CIFAR pickle, or an error."""
    if key not in batch:
        raise DataError(f"{path} has no entry {key!r}; it has {sorted(batch)}")
    return batch[key]


def _read(
    label_key: str, names: tuple[str, str], test_file: str, name: str, folder: Path
) -> Dataset:
    """Reads the pickles: one with the names, one for test, the rest for training."""
    files = read_verified(name, folder, _CHECKSUMS)
    names_file, names_key = names
    content, path = files.pop(names_file)
    class_names = _entry(read_pickle(content, path), names_key, path)
    test = read_cifar_batch(*files.pop(test_file), label_key)
    train = [read_cifar_batch(*found, label_key) for found in files.values()]
    origin = f"original files in {folder}"
    return join_images(name, train, [test], [*map(as_text, class_names)], origin)


CIFAR10 = Source(
    name="cifar10",
    description="photographs of objects and animals, 32x32 color, 10 classes",
    read=partial(_read, "labels", ("batches.meta", "label_names"), "test_batch"),
    folders=("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10", ""),
    checksums=_CHECKSUMS["cifar10"],
)
CIFAR100 = Source(
    name="cifar100",
    description="photographs of objects and animals, 32x32 color, 100 classes",
    read=partial(_read, "fine_labels", ("meta", "fine_label_names"), "test"),
    folders=("cifar-100-python", "cifar100/cifar-100-python", "cifar100", ""),
    checksums=_CHECKSUMS["cifar100"],
)

"""MNIST, Fashion-MNIST and CIFAR as published: their files, and how to read them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from vfljax.data.formats import (
    LabeledImages,
    as_text,
    cifar_entry,
    read_cifar_batch,
    read_idx,
    read_pickle,
)


class Images(NamedTuple):
    """Both parts of a data set as stored, each in pieces."""

    train: Sequence[LabeledImages]
    test: Sequence[LabeledImages]
    class_names: tuple[str, ...]


class Original(NamedTuple):
    """A data set as published: where its files lie, and how they become arrays."""

    folders: tuple[str, ...]  # below the data folder; the first that has all files
    checksums: Mapping[str, str]  # file name to MD5 of the unpacked content
    read: Callable[[Mapping[str, bytes], Mapping[str, Path]], Images]


def _read_idx_files(
    class_names: tuple[str, ...],
    contents: Mapping[str, bytes],
    paths: Mapping[str, Path],
) -> Images:
    """Reads the four files of MNIST or of a set in its format."""

    def read_part(part: str) -> list[LabeledImages]:
        file = f"{part}-images-idx3-ubyte"
        images = read_idx(contents[file], paths[file], num_axes=3)
        file = f"{part}-labels-idx1-ubyte"
        labels = read_idx(contents[file], paths[file], num_axes=1)
        return [LabeledImages(images, labels.astype(np.int64))]

    return Images(read_part("train"), read_part("t10k"), class_names)


def _read_cifar_files(
    label_key: str,
    names_key: str,
    names_file: str,
    test_file: str,
    contents: Mapping[str, bytes],
    paths: Mapping[str, Path],
) -> Images:
    """Reads CIFAR's pickles: one with the names, one for test, the rest for train."""
    entries = read_pickle(contents[names_file], paths[names_file])
    class_names = cifar_entry(entries, names_key, paths[names_file])
    batches = {
        file: read_cifar_batch(content, paths[file], label_key)
        for file, content in contents.items()
        if file != names_file
    }
    test = batches.pop(test_file)
    return Images(list(batches.values()), [test], tuple(map(as_text, class_names)))


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
ORIGINALS: Mapping[str, Original] = MappingProxyType(
    {
        "mnist": Original(
            folders=("mnist", "mnist/raw", "MNIST/raw", "raw", ""),
            checksums={
                "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
                "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
                "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
                "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
            },
            read=partial(_read_idx_files, _DIGIT_NAMES),
        ),
        "fashion_mnist": Original(
            folders=(
                "fashion_mnist",
                "fashion_mnist/raw",
                "FashionMNIST/raw",
                "raw",
                "",
            ),
            checksums={
                "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
                "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
                "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
            },
            read=partial(_read_idx_files, _FASHION_NAMES),
        ),
        "cifar10": Original(
            folders=(
                "cifar-10-batches-py",
                "cifar10/cifar-10-batches-py",
                "cifar10",
                "",
            ),
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
        "cifar100": Original(
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
)

"""CIFAR-10 as animals and vehicles, with the ten classes as a property.

A class lies within one label, as a person lies within one gender: in this it stands for
the FaceScrub data of Melis et al., "Exploiting Unintended Feature Leakage in
Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049.
"""

import dataclasses
from pathlib import Path

import numpy as np

from vfljax.data.cifar import CIFAR10
from vfljax.data.dataset import Dataset
from vfljax.data.source import Source

VEHICLES = ("airplane", "automobile", "ship", "truck")


def _read(name: str, folder: Path) -> Dataset:
    """Reads CIFAR-10; labels are 0 for its four vehicles and 1 for its six animals.

    The property `identity` is the class of CIFAR-10. Its original files are needed; it
    is not read as TFDS prepares it.
    """
    dataset = CIFAR10.read(CIFAR10.name, folder)
    kinds = [each not in VEHICLES for each in dataset.class_names]
    is_animal = np.array(kinds, np.int32)
    return dataclasses.replace(
        dataset,
        name=name,
        train_labels=is_animal[dataset.train_labels],
        test_labels=is_animal[dataset.test_labels],
        class_names=("vehicle", "animal"),
        train_properties={"identity": dataset.train_labels},
        test_properties={"identity": dataset.test_labels},
        property_names={"identity": dataset.class_names},
        task_name="kind",
    )


CIFAR10_ANIMALS = Source(
    name="cifar10_animals",
    description="photographs, 32x32 color, 2 classes: vehicles and animals, with ten "
    "identities; stands in for FaceScrub, without its faces",
    read=_read,
    folders=CIFAR10.folders,
    files=("data_batch_1",),
)

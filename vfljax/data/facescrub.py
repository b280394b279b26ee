"""FaceScrub from folders of pictures: faces of actors and actresses.

Ng and Winkler, "A Data-Driven Approach to Cleaning Large Face Datasets", ICIP 2014,
http://vintage.winklerbros.net/facescrub.html, publish links to the pictures. Prepared
as in Melis et al., "Exploiting Unintended Feature Leakage in Collaborative Learning",
S&P 2019, https://arxiv.org/abs/1805.04049.
"""

from pathlib import Path

import numpy as np

from vfljax.data.dataset import Dataset
from vfljax.data.images import read_image
from vfljax.data.own import from_arrays
from vfljax.data.rows import split_rows
from vfljax.data.source import DataError, Source, progress_bar

SIZE = (50, 50)
NUM_PEOPLE = 100
_SEXES = ("actresses", "actors")
_ENDINGS = (".jpg", ".jpeg", ".png")


def _read(name: str, folder: Path) -> Dataset:
    """Reads the faces of the 100 people with most pictures, split 80 to 20.

    Pictures are scaled to 50x50, in [0, 1]. Labels are gender, the property is the
    identity. The paper takes 100 of the 530 people and does not say which; its 188
    pictures for each of them, where the whole set has 144, suggest those with most.
    The split has equal shares of each person and a fixed seed.

    The folders `actresses` and `actors` have one folder of `.jpg`, `.jpeg` or `.png`
    files for each person, or a folder `faces` of them.
    """
    people = []
    for number, sex in enumerate(_SEXES):
        place = folder / sex
        place = place / "faces" if (place / "faces").is_dir() else place
        if not place.is_dir():
            raise DataError(f"no data for {name!r}: {folder} lacks {sex}")
        for person in sorted(each for each in place.iterdir() if each.is_dir()):
            files = [f for f in person.iterdir() if f.suffix.lower() in _ENDINGS]
            people.append((person.name, number, sorted(files)))
    people.sort(key=lambda each: (-len(each[2]), each[0]))
    people = [each for each in people[:NUM_PEOPLE] if each[2]]
    if not people:
        raise DataError(f"no data for {name!r}: {folder} has no pictures")
    files = [file for *_, pictures in people for file in pictures]
    images = np.empty((len(files), *SIZE, 3), np.uint8)
    for row, file in enumerate(progress_bar(files, f"reading {name}")):
        images[row] = read_image(file, SIZE)
    counts = [len(pictures) for *_, pictures in people]
    identity = np.repeat(np.arange(len(people)), counts)
    gender = np.repeat([number for _, number, _ in people], counts)
    features = images.astype(np.float32) / np.float32(255)
    train, test = split_rows(identity, seed=0)
    return from_arrays(
        features[train],
        gender[train],
        features[test],
        gender[test],
        name=name,
        class_names=("female", "male"),
        train_properties={"identity": identity[train]},
        test_properties={"identity": identity[test]},
        property_names={"identity": [person for person, *_ in people]},
        task_name="gender",
        origin=f"pictures in {folder}, split with seed 0",
    )


FACESCRUB = Source(
    name="facescrub",
    description="faces of 100 actors and actresses, 50x50 color, 2 genders, with "
    "identity",
    read=_read,
    folders=("facescrub", "FaceScrub"),
    files=("actresses", "actors"),
)

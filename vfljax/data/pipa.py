"""People in Photo Albums: whole photographs, labeled by the heads in them.

Zhang et al., "Beyond Frontal Faces", CVPR 2015, https://arxiv.org/abs/1501.05703, made
the set. Prepared as in Melis et al., "Exploiting Unintended Feature Leakage in
Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vfljax.data.columns import read_table
from vfljax.data.dataset import Dataset
from vfljax.data.images import read_image
from vfljax.data.own import from_arrays
from vfljax.data.source import (
    DataError,
    Source,
    progress_bar,
    read_lines,
    require_file,
)

INDEX = "index.txt"
ATTRIBUTES = "attributes.csv"
COLUMNS = ("photo", "identity", "age", "gender")
SIZE = (128, 128)
AGES = ("infant", "child", "young adult", "middle age", "senior")
_GENDERS = ("female", "male")
_MOST_FACES = 3
_NUM_FIELDS = 8  # album, photo, left, top, width, height of the head, identity, subset


def _read(name: str, folder: Path) -> Dataset:
    """Reads photographs with one to three heads of known age and gender.

    They are scaled to 128x128, in [0, 1]. Labels say whether any of the people is a
    young adult; properties are whether all have the same gender, and how many there
    are. They are split 80 to 20 with equal shares of both labels and a fixed seed.
    Photographs with more heads, or with one of unknown age or gender, are left out.

    `index.txt` has a line for each head: album, photo, left, top, width and height of
    its box, identity, subset. The photo is `ALBUM_PHOTO.jpg`, in the folder or in one
    below it. Age and gender are not part of the set; `attributes.csv` gives them, and
    begins with `photo,identity,age,gender`, where photo is `ALBUM_PHOTO`. The index is
    read as its authors describe it; neither it nor any published table of ages and
    genders could be looked at.
    """
    index = require_file(name, folder, INDEX)
    heads: dict[str, list[str]] = {}
    for line, content in enumerate(read_lines(index), 1):
        fields = content.decode(errors="replace").split()
        if len(fields) != _NUM_FIELDS:
            raise DataError(
                f"{index} has {len(fields)} columns in line {line}; allowed is "
                f"{_NUM_FIELDS}"
            )
        heads.setdefault(f"{fields[0]}_{fields[1]}", []).append(fields[6])
    attributes = _read_attributes(require_file(name, folder, ATTRIBUTES))
    photos, labels, same, numbers = [], [], [], []
    for photo, identities in heads.items():
        people = [attributes.get((photo, each)) for each in identities]
        if len(people) > _MOST_FACES or None in people:
            continue
        ages, genders = zip(*(each for each in people if each), strict=True)
        photos.append(photo)
        labels.append(int("young adult" in ages))
        same.append(int(len(set(genders)) == 1))
        numbers.append(len(people) - 1)
    if not photos:
        raise DataError(
            f"{index} has no photo with one to three heads, each in {ATTRIBUTES}"
        )
    places = {path.stem: path for path in sorted(folder.rglob("*.jpg"))}
    images = np.empty((len(photos), *SIZE, 3), np.uint8)
    for row, photo in enumerate(progress_bar(photos, f"reading {name}")):
        if photo not in places:
            raise DataError(f"{index} has the photo {photo}, but {folder} has not")
        images[row] = read_image(places[photo], SIZE)
    return from_arrays(
        images.astype(np.float32) / np.float32(255),
        np.array(labels, np.int64),
        name=name,
        class_names=("no young adult", "a young adult"),
        train_properties={
            "same_gender": np.array(same, np.int64),
            "num_faces": np.array(numbers, np.int64),
        },
        property_names={
            "same_gender": ("no", "yes"),
            "num_faces": ("one", "two", "three"),
        },
        task_name="young_adult",
        origin=f"original files in {folder}, split with seed 0",
    )


def _read_attributes(path: Path) -> Mapping[tuple[str, str], tuple[str, str]]:
    """Age and gender of each person in each photo."""
    found = {}
    columns = read_table(path, COLUMNS)
    records = zip(*(columns[each] for each in COLUMNS), strict=True)
    for row, (photo, identity, age, gender) in enumerate(records, 1):
        for column, value, names in (("age", age, AGES), ("gender", gender, _GENDERS)):
            if value not in names:
                raise DataError(
                    f"{path} has the {column} {value!r} in row {row}; allowed are "
                    f"{', '.join(names)}"
                )
        found[photo, identity] = age, gender
    return found


PIPA = Source(
    name="pipa",
    description="photographs of one to three people, 128x128 color, 2 classes: a young "
    "adult or none",
    read=_read,
    folders=("pipa", "PIPA"),
    files=(INDEX,),
)

"""Small FairFace pictures: faces with gender, race and age, alone or tiled.

Kärkkäinen and Joo, "FairFace", WACV 2021, https://github.com/joojs/fairface, made the
set. Here it stands for the face data sets of Melis et al., "Exploiting Unintended
Feature Leakage in Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from vfljax.data.columns import number_column, read_table
from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.source import DataError, Source, one_line, read_content, require_file

NAMES = {
    "gender": ("Female", "Male"),
    "race": (
        *("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern"),
        *("Southeast Asian", "White"),
    ),
    "age": (
        *("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69"),
        "more than 70",
    ),
}
_HEADER = ("file", "age", "gender", "race")
_PICTURES = "fairface32_{part}.npy"
_TABLE = "fairface32_{part}.csv"
_TILES = 4


class _Faces(NamedTuple):
    """The pictures of one part in [0, 1], and the class numbers of each attribute."""

    pictures: Float32[np.ndarray, " rows 32 32 3"]
    attributes: Mapping[str, Int64[np.ndarray, " rows"]]


def _read(name: str, folder: Path) -> Dataset:
    """Reads the faces of both parts in the order of their files.

    Labels are gender, properties race and age. Each part is an array of N x 3 x 32 x 32
    bytes and a table of its attributes.
    """
    parts = [_read_faces(name, folder, part) for part in ("train", "val")]
    (train, labels), (test, test_labels) = (
        (dict(part.attributes), part.attributes["gender"]) for part in parts
    )
    del train["gender"], test["gender"]
    return from_arrays(
        parts[0].pictures,
        labels,
        parts[1].pictures,
        test_labels,
        name=name,
        class_names=NAMES["gender"],
        train_properties=train,
        test_properties=test,
        property_names={each: NAMES[each] for each in train},
        task_name="gender",
        origin=f"original files in {folder}",
    )


def _read_tiled(name: str, folder: Path) -> Dataset:
    """Puts two or three faces of a part together in one picture of 64x64, with seed 0.

    Every face is in one picture at most. Each stands in a random quarter, and quarters
    without a face are black. Labels say whether any of the faces is 20 to 29 years old;
    properties are whether all have the same gender, and how many faces there are. Two
    have the same one more often than three, so the number tells something of it.
    """
    arrays, properties = [], []
    for seed, part in enumerate(("train", "val")):
        faces = _read_faces(name, folder, part)
        pictures, shown = tile(faces.pictures, seed)
        is_face = shown >= 0
        is_young = faces.attributes["age"][shown] == NAMES["age"].index("20-29")
        # Where there is no third face, the comparison is with the first again.
        gender = faces.attributes["gender"][np.where(is_face, shown, shown[:, :1])]
        arrays += [pictures, (is_young & is_face).any(axis=1).astype(np.int64)]
        same = (gender == gender[:, :1]).all(axis=1).astype(np.int64)
        three = is_face.sum(axis=1) - 2
        properties.append({"same_gender": same, "num_faces": three})
    return from_arrays(
        *arrays,
        name=name,
        class_names=("nobody of 20-29", "somebody of 20-29"),
        train_properties=properties[0],
        test_properties=properties[1],
        property_names={"same_gender": ("no", "yes"), "num_faces": ("two", "three")},
        task_name="young_adult",
        origin=f"original files in {folder}, tiled with seeds 0 and 1",
    )


def tile(
    pictures: Float32[np.ndarray, " faces height width channels"], seed: int
) -> tuple[
    Float32[np.ndarray, " rows tall wide channels"], Int64[np.ndarray, " rows 3"]
]:
    """Deals pictures out to larger ones of two by two, two or three to each.

    Both numbers are equally likely, as are all places; up to two pictures are left
    over. Returns the larger pictures, and which ones each shows, -1 for no third one.
    A `ValueError` says that there are fewer than three pictures.
    """
    if len(pictures) < 3:
        raise ValueError(f"pictures={len(pictures)}: must be 3 or more")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pictures))
    sizes = rng.integers(2, 4, len(pictures) // 2)
    sizes = sizes[np.cumsum(sizes) <= len(pictures)]
    starts = np.cumsum(sizes) - sizes
    within = np.arange(3) < sizes[:, None]
    places = np.minimum(starts[:, None] + np.arange(3), len(order) - 1)
    shown = np.where(within, order[places], -1)
    quarters = rng.permuted(np.tile(np.arange(_TILES), (len(sizes), 1)), axis=1)
    _, height, width, channels = pictures.shape
    tiled = np.zeros((len(sizes), 2, height, 2, width, channels), np.float32)
    for number in range(3):
        rows = np.flatnonzero(within[:, number])
        down, right = np.divmod(quarters[rows, number], 2)
        tiled[rows, down, :, right] = pictures[shown[rows, number]]
    return tiled.reshape(len(sizes), 2 * height, 2 * width, channels), shown


def _read_faces(name: str, folder: Path, part: str) -> _Faces:
    """Reads one part."""
    path = require_file(name, folder, _PICTURES.format(part=part))
    try:
        array = np.load(io.BytesIO(read_content(path)), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as .npy: {one_line(error)}") from error
    table = require_file(name, folder, _TABLE.format(part=part))
    columns = read_table(table, _HEADER)
    number = len(columns["file"])
    if array.dtype != np.uint8 or array.shape != (number, 3, 32, 32):
        raise DataError(
            f"{path} is an array of {array.dtype} and shape {array.shape}; allowed is "
            f"uint8 and ({number}, 3, 32, 32), one picture for each row of {table.name}"
        )
    pictures = array.transpose(0, 2, 3, 1).astype(np.float32) / np.float32(255)
    attributes = {
        column: number_column(table, column, columns[column], names)
        for column, names in NAMES.items()
    }
    return _Faces(pictures, attributes)


_FOLDERS = ("faces", "fairface", "")
_FILES = (_PICTURES.format(part="train"),)

FAIRFACE = Source(
    name="fairface",
    description="faces, 32x32 color, 2 genders, with race and age; stands in for LFW "
    "and CelebA, without eyewear, smile and hair",
    read=_read,
    folders=_FOLDERS,
    files=_FILES,
)
FAIRFACE_TILED = Source(
    name="fairface_tiled",
    description="two or three faces tiled, 64x64 color, 2 classes: anybody of 20-29 or "
    "not; stands in for PIPA, without its photographs",
    read=_read_tiled,
    folders=_FOLDERS,
    files=_FILES,
)

"""Labeled Faces in the Wild from its original folders, with attributes of the faces.

Huang et al., "Labeled Faces in the Wild", 2007, http://vis-www.cs.umass.edu/lfw, made
the set, and Kumar et al., "Attribute and Simile Classifiers for Face Verification",
ICCV 2009, the scores of its attributes. Prepared as in Melis et al., "Exploiting
Unintended Feature Leakage in Collaborative Learning", S&P 2019,
https://arxiv.org/abs/1805.04049.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vfljax.data.columns import read_fields
from vfljax.data.dataset import Dataset
from vfljax.data.images import read_image
from vfljax.data.own import from_arrays
from vfljax.data.source import DataError, Source, progress_bar, require_file

FILE = "lfw_attributes.txt"
SIZE = (62, 47)
NAMES = {
    "gender": ("female", "male"),
    "smile": ("no", "yes"),
    "race": ("Asian", "White", "Black"),
    "eyewear": ("No Eyewear", "Eyeglasses", "Sunglasses"),
    "hair": ("Black Hair", "Blond Hair", "Brown Hair", "Bald"),
    "age": ("Baby", "Child", "Youth", "Middle Aged", "Senior"),
}
_SIGNS = {"gender": "Male", "smile": "Smiling"}
# Columns 78 to 171 and rows 70 to 194 of 250: the face, as scikit-learn cuts it out.
_BOX = (78 / 250, 70 / 250, 172 / 250, 195 / 250)


def _read(name: str, folder: Path) -> Dataset:
    """Reads the faces that have attributes, split 80 to 20.

    Each is the middle of its picture, scaled to 62x47, in [0, 1]. Labels are gender:
    male if the score of `Male` is above 0. Properties are smile, likewise of `Smiling`,
    and race, eyewear, hair and age: of the attributes that stand for their values, the
    one with the highest score. (The published code leaves out a face whose highest
    score is below -0.1.) The split has equal shares of both genders and a fixed seed.

    The folder has one folder for each person, `First_Last/First_Last_0001.jpg`, alone
    or in `lfw`, `lfw_funneled` or `lfw-deepfunneled`, and the table of scores.
    """
    path = require_file(name, folder, FILE)
    columns, records = None, []
    for line, fields in enumerate(read_fields(path, 1), 1):
        if columns is None:
            columns = _columns(fields)
        else:
            records.append((line, fields))
    if columns is None:
        raise DataError(f"{path} has no line with the names person, imagenum, ...")
    needed = ["person", "imagenum", *_SIGNS.values()]
    needed += [value for each in NAMES if each not in _SIGNS for value in NAMES[each]]
    lacking = [column for column in needed if column not in columns]
    if lacking:
        raise DataError(f"{path} lacks the columns {', '.join(lacking)}")
    folders = [folder / each for each in ("lfw", "lfw_funneled", "lfw-deepfunneled")]
    pictures = next((each for each in folders if each.is_dir()), folder)
    images = np.empty((len(records), *SIZE, 3), np.uint8)
    values = {attribute: [] for attribute in NAMES}
    bar = progress_bar(records, f"reading {name}")
    for row, (line, fields) in enumerate(bar):
        where = f"{path}, line {line}"
        for attribute, value in _values(where, columns, fields).items():
            values[attribute].append(value)
        images[row] = read_image(_picture(where, columns, fields, pictures), SIZE, _BOX)
    properties = {name: np.array(column, np.int64) for name, column in values.items()}
    return from_arrays(
        images.astype(np.float32) / np.float32(255),
        properties.pop("gender"),
        name=name,
        class_names=NAMES["gender"],
        train_properties=properties,
        property_names={each: NAMES[each] for each in properties},
        task_name="gender",
        origin=f"original files in {folder}, split with seed 0",
    )


def _columns(fields: Sequence[str]) -> dict[str, int] | None:
    """Where each column is, if a line is the header, which begins with # and a tab."""
    names = [field.strip() for field in fields]
    if names and names[0].startswith("#"):
        names = [names[0].removeprefix("#").strip(), *names[1:]]
        names = names if names[0] else names[1:]
    is_header = names[:2] == ["person", "imagenum"]
    return {each: place for place, each in enumerate(names)} if is_header else None


def _text(columns: Mapping[str, int], fields: Sequence[str], column: str) -> str:
    """The text of a line in a column; none where the line ends before it."""
    place = columns[column]
    return fields[place].strip() if place < len(fields) else ""


def _values(
    where: str, columns: Mapping[str, int], fields: Sequence[str]
) -> dict[str, int]:
    """The class number of each attribute of a face."""

    def score(column: str) -> float:
        text = _text(columns, fields, column)
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise DataError(f"{where}: {column} is {text!r}; allowed is a number")
        return value

    values = {each: int(score(column) > 0) for each, column in _SIGNS.items()}
    for attribute, names in NAMES.items():
        if attribute not in _SIGNS:
            values[attribute] = int(np.argmax([score(each) for each in names]))
    return values


def _picture(
    where: str, columns: Mapping[str, int], fields: Sequence[str], folder: Path
) -> Path:
    """The picture that a line is about."""
    person, number = (_text(columns, fields, each) for each in ("person", "imagenum"))
    if not number.isdecimal():
        raise DataError(f"{where}: imagenum is {number!r}; allowed is a whole number")
    person = person.replace(" ", "_")
    path = folder / person / f"{person}_{int(number):04d}.jpg"
    if not path.is_file():
        raise DataError(f"{where}: there is no picture {path}")
    return path


LFW = Source(
    name="lfw",
    description="faces, 62x47 color, 2 genders, with race, age, hair, eyewear and "
    "smile",
    read=_read,
    folders=("lfw", "LFW", "lfw_home"),
    files=(FILE,),
)

"""NUS-WIDE from its original files: photographs as two parties hold them.

One party has the tags that people gave each photograph, the other has features of its
pixels. Chua et al., "NUS-WIDE: A Real-World Web Image Database from National University
of Singapore", CIVR 2009, https://doi.org/10.1145/1646396.1646452, describe the files;
their rows are chosen as in Zou et al. 2022, https://arxiv.org/abs/2112.05409.
"""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.source import (
    DataError,
    Source,
    find_file,
    progress_bar,
    read_content,
    read_lines,
)

_LABEL_FOLDER = "Groundtruth/TrainTestLabels"

# Each block of columns: the start of its names, where its file lies, and its width.
_BLOCKS = (
    ("tag", "NUS_WID_Tags/{part}_Tags1k.dat", 1000),
    ("ch", "Low_Level_Features/{part}_Normalized_CH.dat", 64),
    ("cm55", "Low_Level_Features/{part}_Normalized_CM55.dat", 225),
    ("corr", "Low_Level_Features/{part}_Normalized_CORR.dat", 144),
    ("edh", "Low_Level_Features/{part}_Normalized_EDH.dat", 73),
    ("wt", "Low_Level_Features/{part}_Normalized_WT.dat", 128),
)
_ARCHIVE = "NUS_WID_Low_Level_Features"  # may have been unpacked into its own folder
_MAX_ROWS = {"Train": 60_000, "Test": 40_000}
_NUM_CONCEPTS = 81


def _read(name: str, folder: Path, concepts: Sequence[str] | None = None) -> Dataset:
    """Reads the rows of NUS-WIDE that show exactly one of some concepts.

    Of these rows, the first 60,000 of the train files and the first 40,000 of the test
    files are kept, in their order. Values are as in the files.

    A label that is neither 0 nor 1 drops its row, with one warning for each file, as
    such a row has no class. (The published `Labels_lake_Train.txt` is known to have
    one, in line 78,372.) Only rows that are kept are looked into.

    The concepts are classes 0, 1, ...; None for all 81, in alphabetical order. Features
    have 1,634 columns: `tag_0` to `tag_999`, 0 or 1, then 634 of the pixels, `ch_0`
    (color histogram), `cm55_0` (color moments), `corr_0` (color correlogram), `edh_0`
    (edge directions) and `wt_0` (wavelet texture) onward.
    """
    concepts = _all_concepts(folder) if concepts is None else concepts
    paths = _find_files(name, folder, concepts)
    return from_arrays(
        *_read_part(name, "Train", paths, concepts),
        *_read_part(name, "Test", paths, concepts),
        name=name,
        class_names=concepts,
        feature_names=[
            f"{block}_{column}"
            for block, _, width in _BLOCKS
            for column in range(width)
        ],
        origin=f"original files in {folder}; first rows with exactly one of the "
        "classes",
    )


def _all_concepts(folder: Path) -> list[str]:
    """The concepts that have a file of labels."""
    paths = (folder / _LABEL_FOLDER).glob("Labels_*_Train.txt*")
    concepts = [path.name.split("_", 1)[1].rsplit("_", 1)[0] for path in paths]
    if len(concepts) != _NUM_CONCEPTS:
        raise DataError(
            f"{folder / _LABEL_FOLDER} has {len(concepts)} files Labels_*_Train.txt; "
            f"allowed is one for each of the {_NUM_CONCEPTS} concepts"
        )
    return sorted(concepts)


def _label_file(concept: str, part: str) -> str:
    """Where the labels of one concept lie below the folder of the set."""
    return f"{_LABEL_FOLDER}/Labels_{concept}_{part}.txt"


def _find_files(name: str, folder: Path, concepts: Sequence[str]) -> dict[str, Path]:
    """Where each file lies, or one error that lists those that are missing."""
    files = [_label_file(concept, part) for part in _MAX_ROWS for concept in concepts]
    files += [file.format(part=part) for part in _MAX_ROWS for _, file, _ in _BLOCKS]
    found = {
        file: find_file(folder, file) or find_file(folder / _ARCHIVE, file)
        for file in files
    }
    lacking = ", ".join(file for file, path in found.items() if path is None)
    if lacking:
        raise DataError(f"no data for {name!r}: {folder} lacks {lacking}")
    return {file: path for file, path in found.items() if path is not None}


def _read_part(
    name: str, part: str, paths: dict[str, Path], concepts: Sequence[str]
) -> tuple[Float32[np.ndarray, " rows features"], Int64[np.ndarray, " rows"]]:
    """Reads the features and labels of the train or of the test rows."""
    is_selected, labels = _select_rows(part, paths, concepts)
    ends = np.cumsum([width for _, _, width in _BLOCKS])
    features = np.empty((len(labels), ends[-1]), np.float32)
    blocks = np.split(features, ends[:-1], axis=1)
    bar = progress_bar(_BLOCKS, f"reading {name}: {part}")
    for (_, file, _), block in zip(bar, blocks, strict=True):
        _read_block(paths[file.format(part=part)], is_selected, block)
    return features, labels


def _select_rows(
    part: str, paths: dict[str, Path], concepts: Sequence[str]
) -> tuple[Bool[np.ndarray, " lines"], Int64[np.ndarray, " rows"]]:
    """Which rows of the files are kept, and their classes."""
    columns = []
    for concept in concepts:
        path = paths[_label_file(concept, part)]
        columns.append(_read_indicators(path))
        if len(columns[-1]) != len(columns[0]):
            raise DataError(
                f"{path} has {len(columns[-1])} rows; allowed is {len(columns[0])}, "
                f"as for {concepts[0]}"
            )
    indicators = np.stack(columns, axis=1)
    is_binary = np.isin(indicators, (0, 1)).all(axis=1)
    candidates = np.flatnonzero(is_binary & (indicators.sum(axis=1) == 1))
    rows = candidates[: _MAX_ROWS[part]]
    if len(rows) == 0:
        raise DataError(
            f"{paths[_label_file(concepts[0], part)].parent} has no {part} row with "
            f"exactly one of {', '.join(concepts)}"
        )
    is_selected = np.isin(np.arange(len(indicators)), rows)
    return is_selected, indicators[rows].argmax(axis=1)


def _read_indicators(path: Path) -> Int64[np.ndarray, " lines"]:
    """Reads one integer per line, and warns of those that are neither 0 nor 1."""
    try:
        values = np.array([int(word) for word in read_content(path).split()], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    odd = np.flatnonzero(~np.isin(values, (0, 1)))
    if odd.size:
        warnings.warn(
            f"{path} has {values[odd[0]]} in row {odd[0]}, which is neither 0 nor 1; "
            f"{odd.size} such rows are left out",
            UserWarning,
            stacklevel=6,  # the caller of load
        )
    return values


def _read_block(
    path: Path,
    is_selected: Bool[np.ndarray, " lines"],
    block: Float32[np.ndarray, " rows columns"],
) -> None:
    """Fills `block` with the selected rows of a file of numbers between blanks."""
    num_lines = num_filled = 0
    for line in read_lines(path):
        if num_lines < len(is_selected) and is_selected[num_lines]:
            where = f"{path} is damaged: row {num_lines}"
            try:
                values = np.loadtxt([line], np.float32, comments=None, ndmin=1)
            except ValueError as error:
                raise DataError(f"{where} is not all numbers") from error
            width = block.shape[1]
            if len(values) != width:
                raise DataError(
                    f"{where} has {len(values)} columns; allowed is {width}"
                )
            block[num_filled] = values
            num_filled += 1
        num_lines += 1
    if num_lines != len(is_selected):
        raise DataError(
            f"{path} has {num_lines} rows; allowed is {len(is_selected)}, as in the "
            "files of labels"
        )


NUS_WIDE_81 = Source(
    name="nus_wide_81",
    description="photographs as 1000 tags and 634 image features, 81 classes",
    read=_read,
    folders=("nus_wide", "NUS_WIDE", "NUS-WIDE", ""),
    files=(_LABEL_FOLDER,),
)
NUS_WIDE_5 = Source(
    name="nus_wide_5",
    description="photographs as 1000 tags and 634 image features, 5 classes",
    read=partial(_read, concepts=("buildings", "grass", "animal", "water", "person")),
    folders=NUS_WIDE_81.folders,
    files=NUS_WIDE_81.files,
)
NUS_WIDE_2 = Source(
    name="nus_wide_2",
    description="photographs as 1000 tags and 634 image features, 2 classes",
    read=partial(_read, concepts=("clouds", "person")),
    folders=NUS_WIDE_81.folders,
    files=NUS_WIDE_81.files,
)

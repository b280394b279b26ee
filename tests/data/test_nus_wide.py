import gzip

import numpy as np
import pytest

from vfljax import data
from vfljax.data import DataError, load, nus_wide
from vfljax.experiments import Data

FIVE = ("buildings", "grass", "animal", "water", "person")
# One line per row: which of FIVE it shows. Rows 1 and 2 of train, 1 and 2 of test have
# two or none, so the classes left are 1, 4, 0 and 2, 3.
TRAIN = ["01000", "00011", "00000", "00001", "10000"]
TEST = ["00100", "00000", "01100", "00010"]
TAGS = "NUS_WID_Tags/{}_Tags1k.dat"
IMAGE = "Low_Level_Features/{}_Normalized_{}.dat"
WIDTHS = {"CH": 64, "CM55": 225, "CORR": 144, "EDH": 73, "WT": 128}


def write_numbers(path, table, separator, line_end):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (separator.join(map(str, row)) + line_end for row in table)
    path.write_bytes("".join(lines).encode())


def write_labels(folder, part, concepts, rows):
    for column, concept in enumerate(concepts):
        path = folder / f"Groundtruth/TrainTestLabels/Labels_{concept}_{part}.txt"
        write_numbers(path, [[row[column]] for row in rows], "", "\n")


def write_nus_wide(
    folder, *, concepts=FIVE, train=TRAIN, test=TEST, tag_end="\t\n", image_end=" \n"
):
    """Writes the set in the original format; returns the tables, tags first."""
    rng = np.random.default_rng(0)
    tables = {}
    for part, rows in (("Train", train), ("Test", test)):
        write_labels(folder, part, concepts, rows)
        tags = rng.integers(0, 2, (len(rows), 1000))
        write_numbers(folder / TAGS.format(part), tags, "\t", tag_end)
        tables[part] = tags
        for family, width in WIDTHS.items():
            values = rng.normal(size=(len(rows), width)).round(6)
            write_numbers(folder / IMAGE.format(part, family), values, " ", image_end)
            tables[part] = np.concatenate([tables[part], values], axis=1)
        tables[part] = tables[part].astype(np.float32)
    return tables


def test_rows_with_exactly_one_class_are_kept_in_order(tmp_path):
    """Of TRAIN rows 0, 3, 4 are left, with classes 1, 4, 0; of TEST 0, 3 with 2, 3."""
    tables = write_nus_wide(tmp_path / "nus_wide")
    dataset = load("nus_wide_5", tmp_path)
    np.testing.assert_array_equal(dataset.train_features, tables["Train"][[0, 3, 4]])
    np.testing.assert_array_equal(dataset.test_features, tables["Test"][[0, 3]])
    assert dataset.train_features.dtype == np.float32
    assert dataset.train_labels.tolist() == [1, 4, 0]
    assert dataset.test_labels.tolist() == [2, 3]
    assert dataset.class_names == FIVE
    assert dataset.name == "nus_wide_5"
    assert str(tmp_path / "nus_wide") in dataset.origin


def test_columns_are_named_by_block(tmp_path):
    """The blocks begin at 0, 1000, + 64 = 1064, + 225 = 1289, + 144, + 73 = 1506."""
    write_nus_wide(tmp_path)
    names = load("nus_wide_5", tmp_path).feature_names
    assert names is not None
    firsts = [0, 1000, 1064, 1289, 1433, 1506]
    assert [names[column] for column in firsts] == [
        "tag_0", "ch_0", "cm55_0", "corr_0", "edh_0", "wt_0"
    ]  # fmt: skip
    assert names[1433 - 1] == "corr_143"
    assert (len(names), names[-1]) == (1634, "wt_127")


def test_column_ranges_give_one_party_the_tags_and_the_other_the_image(tmp_path):
    tables = write_nus_wide(tmp_path)
    dataset = load("nus_wide_5", tmp_path)
    split = Data(dataset="nus_wide_5", columns=("0-999", "1000-1633")).split_argument()
    text, image = data.split_features(dataset.train_features, split)
    np.testing.assert_array_equal(text, tables["Train"][[0, 3, 4], :1000])
    np.testing.assert_array_equal(image, tables["Train"][[0, 3, 4], 1000:])
    assert image.shape == (3, 634)


@pytest.mark.parametrize("folder", ["nus_wide", "NUS_WIDE", "NUS-WIDE", ""])
def test_image_features_may_lie_in_the_folder_of_their_archive(tmp_path, folder):
    tables = write_nus_wide(tmp_path / folder)
    archive = tmp_path / folder / "NUS_WID_Low_Level_Features"
    archive.mkdir()
    (tmp_path / folder / "Low_Level_Features").rename(archive / "Low_Level_Features")
    dataset = load("nus_wide_5", tmp_path)
    np.testing.assert_array_equal(dataset.test_features, tables["Test"][[0, 3]])


@pytest.mark.parametrize(
    ("tag_end", "image_end"), [("\n", "\n"), ("\t\r\n", "  \r\n"), ("\t\n", "\t\n")]
)
def test_line_ends_do_not_matter(tmp_path, tag_end, image_end):
    tables = write_nus_wide(tmp_path, tag_end=tag_end, image_end=image_end)
    for path in tmp_path.rglob("*WT.dat"):
        path.write_bytes(path.read_bytes() + b"\n")  # an empty line at the end
    dataset = load("nus_wide_5", tmp_path)
    np.testing.assert_array_equal(dataset.train_features, tables["Train"][[0, 3, 4]])


def test_packed_files_are_read(tmp_path):
    tables = write_nus_wide(tmp_path)
    for path in [*tmp_path.rglob("*.txt"), *tmp_path.rglob("*WT.dat")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    dataset = load("nus_wide_5", tmp_path)
    np.testing.assert_array_equal(dataset.train_features, tables["Train"][[0, 3, 4]])
    with pytest.raises(DataError, match="TrainTestLabels has 5 files"):
        load("nus_wide_81", tmp_path)


def test_only_the_first_rows_of_each_part_are_kept(tmp_path, monkeypatch):
    assert nus_wide._MAX_ROWS == {"Train": 60_000, "Test": 40_000}
    tables = write_nus_wide(tmp_path)
    monkeypatch.setattr(nus_wide, "_MAX_ROWS", {"Train": 2, "Test": 1})
    dataset = load("nus_wide_5", tmp_path)
    np.testing.assert_array_equal(dataset.train_features, tables["Train"][[0, 3]])
    np.testing.assert_array_equal(dataset.test_features, tables["Test"][[0]])
    assert dataset.train_labels.tolist() == [1, 4]
    assert dataset.test_labels.tolist() == [2]


def test_two_classes_look_at_no_other_concept(tmp_path):
    """Clouds come first. Row 1 shows both, and so has no class."""
    concepts = ("person", "clouds", "water")
    write_nus_wide(
        tmp_path, concepts=concepts, train=["101", "110", "010"], test=["010"]
    )
    dataset = load("nus_wide_2", tmp_path)
    assert dataset.class_names == ("clouds", "person")
    assert dataset.train_labels.tolist() == [1, 0]
    assert dataset.test_labels.tolist() == [0]


def test_all_concepts_are_classes_in_alphabetical_order(tmp_path):
    """Written from the last to the first, so column 0 is class 80."""
    concepts = [f"concept{number:02}" for number in reversed(range(81))]
    rows = ["1" + "0" * 80, "0" * 80 + "1", "11" + "0" * 79, "01" + "0" * 79]
    write_nus_wide(tmp_path, concepts=concepts, train=rows, test=rows[:2])
    dataset = load("nus_wide_81", tmp_path)
    assert dataset.class_names == tuple(sorted(concepts))
    assert dataset.train_labels.tolist() == [80, 0, 79]
    assert dataset.test_labels.tolist() == [80, 0]

    next(tmp_path.rglob("Labels_concept07_Train.txt")).unlink()
    with pytest.raises(DataError, match=r"TrainTestLabels has 80 files .* 81 concepts"):
        load("nus_wide_81", tmp_path)


def test_label_that_is_no_label_drops_its_row_with_a_warning(tmp_path):
    """Row 3 shows a person, and something else that the file of grass mistook."""
    tables = write_nus_wide(tmp_path)
    next(tmp_path.rglob("Labels_grass_Train.txt")).write_text("1\n0\n0\n-1130179\n0\n")
    with pytest.warns(UserWarning, match=r"grass_Train.txt has -1130179 in row 3.*; 1"):
        dataset = load("nus_wide_5", tmp_path)
    assert dataset.train_labels.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset.train_features, tables["Train"][[0, 4]])


# What is missing or damaged.


def test_missing_folder_message_says_where_it_looked(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="--data-dir or VFLJAX_DATA") as caught:
        load("nus_wide_5", tmp_path)
    message = str(caught.value)
    for part in ("'nus_wide_5'", "Groundtruth/TrainTestLabels", str(tmp_path / "nus")):
        assert part in message
    monkeypatch.delenv("VFLJAX_DATA", raising=False)
    with pytest.raises(DataError, match="no folder, as none was given"):
        load("nus_wide_5")


def test_missing_files_are_all_named(tmp_path):
    write_nus_wide(tmp_path)
    files = [TAGS.format("Test"), IMAGE.format("Train", "EDH")]
    files.append("Groundtruth/TrainTestLabels/Labels_water_Test.txt")
    for file in files:
        (tmp_path / file).unlink()
    with pytest.raises(DataError, match=f"{tmp_path} lacks ") as caught:
        load("nus_wide_5", tmp_path)
    named = str(caught.value).partition("lacks ")[2].split(", ")
    assert sorted(named) == sorted(files)


def without_last_number(line):
    return line.rsplit(maxsplit=1)[0] + b"\n"


@pytest.mark.parametrize("file", [TAGS.format("Train"), IMAGE.format("Train", "CORR")])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without_last_number, "row 3 has {fewer} columns; allowed is {width}"),
        (lambda line: b"0 " + line, "row 3 has {more} columns; allowed is {width}"),
        (lambda line: b"x" + line[1:], "is damaged: row 3 is not all numbers"),
        (lambda line: b"", "has 4 rows; allowed is 5"),
        (lambda line: line + line, "has 6 rows; allowed is 5"),
        (lambda line: b"\n", "has 4 rows; allowed is 5"),
        (
            lambda line: b"nan " + line.split(maxsplit=1)[1],
            "=nan: must be a finite number",
        ),
    ],
)
def test_damaged_table_is_named_with_its_row(tmp_path, file, damage, reason):
    write_nus_wide(tmp_path)
    lines = (tmp_path / file).read_bytes().splitlines(keepends=True)
    lines[3] = damage(lines[3])
    (tmp_path / file).write_bytes(b"".join(lines))
    width = 1000 if "Tags" in file else 144
    reason = reason.format(width=width, fewer=width - 1, more=width + 1)
    where = "nus_wide_5, .*" if "nan" in reason else f"{file}.*"
    with pytest.raises(DataError, match=where + reason):
        load("nus_wide_5", tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1\n0\n0\n0\n", r"Labels_animal_Train.txt has 4 rows; allowed is 5, as for b"),
        ("1\n0\n?\n0\n0\n", r"Labels_animal_Train.txt is damaged: .*\?"),
        (f"0\n{10**30}\n0\n0\n0\n", r"Labels_animal_Train.txt is damaged: "),
    ],
)
def test_damaged_labels_are_named(tmp_path, content, reason):
    write_nus_wide(tmp_path)
    next(tmp_path.rglob("Labels_animal_Train.txt")).write_text(content)
    with pytest.raises(DataError, match=reason):
        load("nus_wide_5", tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        (["00000", "11000"], TEST, "no Train row with exactly one of buildings, grass"),
        (TRAIN, ["00000"], "no Test row with exactly one of buildings, grass"),
        (["00100", "00100"], TEST, r"train_labels=\{2\}: must be of two or more"),
    ],
)
def test_too_few_rows_are_refused(tmp_path, train, test, reason):
    write_nus_wide(tmp_path, train=train, test=test)
    with pytest.raises(DataError, match=reason):
        load("nus_wide_5", tmp_path)

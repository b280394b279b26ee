import gzip
import itertools
import lzma
import zlib

import numpy as np
import pytest

from vfljax import data
from vfljax.data import DataError, criteo, load

# 13 integers, of which the second and the last are missing, then 26 texts.
INTEGERS = ["1", "", "-2", "3", "1382", "2", "0", "4", "10", "7", "1", "99", ""]
TEXTS = ["68fd1e64", "", *(f"{number:08x}" for number in range(3, 27))]
# floor(log(v + 1)²): log(4)² = 1.92, log(1383)² = 52.3, log(5)² = 2.6,
# log(11)² = 5.7, log(8)² = 4.3, log(100)² = 21.2
TOKENS = ["I1=1", "I2=", "I3=-2", "I4~1", "I5~52", "I6=2", "I7=0", "I8~2", "I9~5"]
TOKENS += ["I10~4", "I11=1", "I12~21", "I13=", "C1=68fd1e64", "C2="]
TOKENS += [f"C{number}={number:08x}" for number in range(3, 27)]


def row_of(label, number):
    """A row in which one column tells the rows apart."""
    return "\t".join([str(label), *INTEGERS, f"{number:08x}", *TEXTS[1:]])


def write_rows(path, rows, *, pack=bytes, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack("".join(row + end for row in rows).encode()))


def crc_by_division(message):
    """The remainder of polynomial division, bit by bit, as the standard defines it."""
    remainder = 0xFFFFFFFF
    for byte in message:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0xEDB88320 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def numbers_in(features):
    """The numbers that `row_of` was given, found by their whole rows of features."""
    numbers = {}
    for number in range(20):
        expected = np.zeros(8192, np.float32)
        expected[criteo.hash_row(row_of(0, number).split("\t")[1:])] = 1
        numbers[expected.tobytes()] = number
    return [numbers[row.tobytes()] for row in features]


def test_tokens_and_pairs_of_a_row_are_hashed():
    pairs = ["".join(pair) for pair in itertools.combinations(TOKENS, 2)]
    assert (len(TOKENS), len(pairs)) == (39, 741)
    expected = [zlib.crc32(text.encode()) % 8192 for text in TOKENS + pairs]
    hashes = criteo.hash_row(INTEGERS + TEXTS)
    assert sorted(hashes.tolist()) == sorted(expected)
    assert crc_by_division(b"I1=1") % 8192 == hashes[0]
    assert crc_by_division(b"I1=1I2=") % 8192 == hashes[1]


def test_integers_up_to_two_stay_apart_and_larger_ones_share_tokens():
    """log(4)² = 1.9, log(5)² = 2.6, log(99)² = 21.1, log(100)² = 21.2."""

    def hashes(cell):
        return criteo.hash_row([cell, *INTEGERS[1:], *TEXTS]).tolist()

    assert len({tuple(hashes(cell)) for cell in ("", "-1", "0", "1", "2", "3")}) == 6
    assert hashes("98") == hashes("99")
    assert hashes("3") != hashes("4")


def test_rows_are_balanced_split_and_shuffled(tmp_path):
    """7 rows without, 5 with a click: 5 + 5 are left, 4 + 4 of them for training."""
    labels = [0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    rows = [row_of(label, number) for number, label in enumerate(labels)]
    write_rows(tmp_path / "criteo" / "train.txt", rows)
    dataset = load("criteo", tmp_path)
    assert dataset.train_features.shape == (8, 8192)
    assert dataset.train_features.dtype == np.float32
    assert set(np.unique(dataset.train_features)) == {0, 1}
    assert np.bincount(dataset.train_labels).tolist() == [4, 4]
    assert np.bincount(dataset.test_labels).tolist() == [1, 1]
    train, test = map(numbers_in, (dataset.train_features, dataset.test_features))
    assert len(set(train + test)) == 10
    assert [labels[number] for number in train] == dataset.train_labels.tolist()
    assert [labels[number] for number in test] == dataset.test_labels.tolist()
    assert train != sorted(train)
    assert dataset.class_names == ("no click", "click")
    assert "10 of 12 rows" in dataset.origin
    again = load("criteo", tmp_path)
    np.testing.assert_array_equal(again.train_features, dataset.train_features)


def test_number_of_rows_is_capped(tmp_path, monkeypatch):
    """At most 5 of each class leave 8 + 2 of 20 rows, drawn from all over the file."""
    assert criteo._MOST_PER_CLASS == 50_000
    monkeypatch.setattr(criteo, "_MOST_PER_CLASS", 5)
    write_rows(tmp_path / "train.txt", [row_of(i % 2, i) for i in range(20)])
    dataset = load("criteo", tmp_path)
    numbers = numbers_in(
        np.concatenate([dataset.train_features, dataset.test_features])
    )
    assert len(set(numbers)) == 10
    assert max(numbers) > 10


@pytest.mark.parametrize(
    ("file", "pack"),
    [
        ("train.txt.gz", gzip.compress),
        ("train.txt.xz", lzma.compress),
        ("train_sample.txt", bytes),
    ],
)
def test_packed_files_and_samples_are_read(tmp_path, file, pack):
    rows = [row_of(number % 2, number) for number in range(10)]
    write_rows(tmp_path / file, [*rows, ""], pack=pack, end="\r\n")
    assert len(load("criteo", tmp_path).train_labels) == 8
    write_rows(tmp_path / "train_sample.txt", rows[:1])
    if file != "train_sample.txt":  # the whole file is preferred
        assert len(load("criteo", tmp_path).train_labels) == 8


def test_sample_gives_both_parties_features(data_dir):
    """2182 of its 10,000 rows are clicks; a fifth of 4364, rounded up, is 873."""
    dataset = load("criteo", data_dir)
    assert dataset.train_features.shape == (3491, 8192)
    assert dataset.test_features.shape == (873, 8192)
    assert abs(int((2 * dataset.train_labels - 1).sum())) <= 1
    first, second = data.split_features(dataset.test_features, "features")
    assert first.shape == second.shape == (873, 4096)
    for part in (first, second):  # 780 numbers among 8192 buckets: 745 differ
        assert 300 < part.sum(axis=1).mean() < 400


# What is missing or damaged.


def test_missing_file_message_says_where_it_looked(tmp_path):
    with pytest.raises(DataError, match=r"train.txt or train_sample.txt in ") as caught:
        load("criteo", tmp_path)
    assert str(tmp_path / "criteo") in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda row: "2" + row[1:], "row 3 does not begin with the label 0 or 1"),
        (lambda row: row[1:], "row 3 does not begin with the label"),
        (lambda row: row.rsplit("\t", 1)[0], "row 3: it has 39 columns; allowed is 40"),
        (lambda row: row + "\tx", "row 3: it has 41 columns; allowed is 40"),
        (lambda row: row.replace("\t1382\t", "\tmany\t"), "row 3: invalid literal"),
    ],
)
def test_damaged_row_is_named(tmp_path, damage, reason):
    rows = [row_of(number % 2, number) for number in range(10)]
    rows[3] = damage(rows[3])
    write_rows(tmp_path / "train.txt", rows)
    with pytest.raises(DataError, match=f"{tmp_path}/train.txt is damaged.*{reason}"):
        load("criteo", tmp_path)


def test_too_few_rows_of_a_label_are_refused(tmp_path):
    write_rows(tmp_path / "train.txt", [row_of(0, 0), row_of(1, 1), row_of(0, 2)])
    with pytest.raises(
        DataError, match=f"criteo, .* in {tmp_path}: test_fraction=0.2: must leave"
    ):
        load("criteo", tmp_path)


def test_file_that_ends_early_is_named(tmp_path):
    packed = gzip.compress(row_of(0, 0).encode() * 100)
    (tmp_path / "train.txt.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"train.txt.gz cannot be read"):
        load("criteo", tmp_path)

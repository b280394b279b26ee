import csv
import sys
import zlib

import numpy as np
import pytest

from vfljax import data
from vfljax.data import DataError, WordPiece, hash_tokens, load, text, yahoo_answers

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "!"]
VOCABULARY += ["the", "cafe", "中", "##s", "$", "-", "σας"]


def number_of(token, vocabulary_size=30_522):
    """1 + CRC-32 modulo one less than the size."""
    return 1 + zlib.crc32(token.encode()) % (vocabulary_size - 1)


def write_csv(path, records):
    """As published: every cell between quotation marks, inner ones doubled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(records)


def write_vocabulary(folder, lines=VOCABULARY, end="\n"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def write_answers(folder, per_topic=3):
    """Topics 1 to 10; a document is three words, which its topic and number make up."""
    for part in ("train", "test"):
        records = [
            (topic, f"{part}{topic}", f"n{number}", "")
            for number in range(per_topic)
            for topic in range(1, 11)
        ]
        write_csv(folder / f"{part}.csv", records)


# Tokens.


def test_words_and_punctuation_are_hashed():
    """CRC-32 of "123456789" is cbf43926, the check value of its definition."""
    numbers = hash_tokens("123456789", 2, vocabulary_size=2**24)
    assert numbers.tolist() == [1 + 0xCBF43926 % (2**24 - 1), 0]
    numbers = hash_tokens("It's  SNAKE_case, Ünï!\n", 9)
    expected = ["it", "'", "s", "snake_case", ",", "ünï", "!"]
    assert numbers.tolist() == [*map(number_of, expected), 0, 0]
    assert hash_tokens("one two three", 2).tolist() == [
        number_of("one"), number_of("two")
    ]  # fmt: skip
    assert hash_tokens("", 2).tolist() == [0, 0]


def test_hashes_are_never_padding_nor_beyond_the_vocabulary():
    words = " ".join(map(str, range(1000)))
    numbers = hash_tokens(words, 1000, vocabulary_size=11)
    assert set(numbers.tolist()) == set(range(1, 11))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("unaffable", [4, 5, 6]),  # the example in BERT's own code
        ("The UNAFFABLE café!", [9, 4, 5, 6, 10, 8]),
        ("unaffxable the", [1, 9]),  # one piece unknown, all unknown
        ("中中s", [11, 11, 1]),  # each by itself; "s" only continues a word
        ("the$the-the", [9, 13, 9, 14, 9]),
        ("the\u00a0the\tt\u200bhe\x00", [9, 9, 9]),  # blanks, and nothing at all
        ("ΣΑΣ [SEP] the", [15, 1, 1, 1, 9]),  # a small sigma differs at the end
        ("un" + "a" * 98, [4] + [7] * 98),
        ("un" + "a" * 99, [1]),  # 101 characters
        ("", []),
    ],
)
def test_pieces_are_the_longest_from_the_start(tmp_path, words, expected):
    tokenize = WordPiece(write_vocabulary(tmp_path))
    numbers = tokenize(words, 110).tolist()
    assert numbers == [2, *expected, 3] + [0] * (108 - len(expected))


def test_pieces_that_do_not_fit_are_left_out(tmp_path):
    tokenize = WordPiece(write_vocabulary(tmp_path, end="\r\n"))
    assert tokenize("unaffable the", 4).tolist() == [2, 4, 5, 3]
    assert tokenize("unaffable the", 2).tolist() == [2, 3]


def test_impossible_lengths_and_sizes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"length=0: must be in \[1, inf\]"):
        hash_tokens("word", 0)
    with pytest.raises(
        ValueError, match=r"vocabulary_size=1: must be in \[2, 16777216\]"
    ):
        hash_tokens("word", 5, vocabulary_size=1)
    path = write_vocabulary(tmp_path)
    with pytest.raises(ValueError, match=r"length=1: must be in \[2, inf\]"):
        WordPiece(path)("word", 1)
    with pytest.raises(ValueError, match=f"vocabulary_size={2**24 + 1}: must"):
        WordPiece(path, vocabulary_size=2**24 + 1)


def test_file_that_is_no_vocabulary_is_refused(tmp_path):
    path = write_vocabulary(tmp_path)
    with pytest.raises(DataError, match=r"vocab.txt has 16 lines; allowed .* 15"):
        WordPiece(path, vocabulary_size=15)
    write_vocabulary(tmp_path, ["[PAD]", "[CLS]", "the"])
    with pytest.raises(DataError, match=r"vocab.txt is no .* lacks \[SEP\], \[UNK\]"):
        WordPiece(path)
    write_vocabulary(tmp_path, VOCABULARY[::-1])
    with pytest.raises(DataError, match=r"lacks \[PAD\] as its first line"):
        WordPiece(path)
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"vocab.txt cannot be read"):
        WordPiece(path)
    with pytest.raises(DataError, match=r"other.txt cannot be read"):
        WordPiece(tmp_path / "other.txt")


def test_missing_tokenizers_names_the_extra(tmp_path, monkeypatch):
    path = write_vocabulary(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"needs tokenizers: pip install 'vfljax\[text"):
        WordPiece(path)


def test_texts_are_cut_at_the_middle_character():
    """Of 11 characters, "ab cd" are the first half and "efg hi" the second."""
    tokens = text.tokenize_halves(["ab cdefg hi"], hash_tokens, 3, "cutting")
    expected = ["ab", "cd", "efg", "hi"]
    numbers = [*map(number_of, expected[:2]), 0, *map(number_of, expected[2:]), 0]
    np.testing.assert_array_equal(tokens, np.array([numbers], np.float32))


# Ten topics.


def test_documents_are_title_question_and_answer(tmp_path):
    """A backslash and an n stand for a line break.

    The document has 13 characters with its blanks: the first 6 end before "ef".
    """
    folder = tmp_path / "yahoo_answers_csv"
    write_answers(folder)
    for part in ("train", "test"):
        documents = [(1 + topic, r"ab\ncd", "ef", '"gh"') for topic in range(10)]
        write_csv(folder / f"{part}.csv", documents)
    dataset = load("yahoo_answers", tmp_path)
    assert dataset.train_features.shape == (10, 128)
    assert sorted(dataset.train_labels.tolist()) == list(range(10))
    expected = np.zeros(128, np.float32)
    expected[:2] = [number_of("ab"), number_of("cd")]
    expected[64:68] = [number_of(token) for token in ("ef", '"', "gh", '"')]
    np.testing.assert_array_equal(dataset.test_features, np.tile(expected, (10, 1)))
    assert dataset.class_names[::9] == ("Society & Culture", "Politics & Government")
    first, second = data.split_features(dataset.test_features, "features")
    np.testing.assert_array_equal(first[0], expected[:64])
    np.testing.assert_array_equal(second[0], expected[64:])


def test_documents_are_drawn_from_each_topic(tmp_path, monkeypatch):
    """2 and 1 of 6 per topic; the title names part and topic, the question the number.

    "train1 n0 " has 10 characters, so that the title is cut. Titles begin with the
    part, and no two halves of different documents are alike.
    """
    assert yahoo_answers._MOST_PER_CLASS == {"train": 5_000, "test": 2_000}
    monkeypatch.setattr(yahoo_answers, "_MOST_PER_CLASS", {"train": 2, "test": 1})
    folder = tmp_path / "yahoo_answers"
    write_answers(folder, per_topic=6)
    dataset = load("yahoo_answers", tmp_path)
    assert np.bincount(dataset.train_labels).tolist() == [2] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1] * 10
    assert (np.diff(dataset.train_labels) < 0).any()
    for part, features, labels in [
        ("train", dataset.train_features, dataset.train_labels),
        ("test", dataset.test_features, dataset.test_labels),
    ]:
        assert len(np.unique(features, axis=0)) == len(features)
        for row, label in zip(features, labels, strict=True):
            documents = [f"{part}{label + 1} n{number} " for number in range(6)]
            rows = text.tokenize_halves(documents, hash_tokens, 64, "expected")
            assert (rows == row).all(axis=1).sum() == 1
    again = load("yahoo_answers", tmp_path)
    np.testing.assert_array_equal(again.train_features, dataset.train_features)


def test_vocabulary_in_the_folder_is_used(tmp_path):
    """ "the un !! " is cut into "the u" and "n !! ", where "u" and "n" are unknown."""
    folder = tmp_path / "yahoo_answers"
    for part in ("train", "test"):
        write_csv(
            folder / f"{part}.csv", [(t, "the", "un", "!! ") for t in range(1, 11)]
        )
    write_vocabulary(folder)
    dataset = load("yahoo_answers", tmp_path)
    row = dataset.train_features[0]
    assert row[:5].tolist() == [2, 9, 1, 3, 0]
    assert row[64:70].tolist() == [2, 1, 8, 8, 3, 0]
    assert "vocab.txt" in dataset.origin


# Two topics.


def test_two_topics_are_shuffled_halves_of_documents(tmp_path):
    names = ("science_mathematics", "society_culture")
    for part in ("train", "test"):
        records = [(f"w{number} x{number}", names[number // 4]) for number in range(8)]
        write_csv(tmp_path / f"text/yahoo_2topics_{part}.csv", records)
    dataset = load("yahoo_2topics", tmp_path)
    assert dataset.class_names == names[::-1]
    numbers = {number_of(f"w{number}"): number for number in range(8)}
    order = [numbers[int(token)] for token in dataset.train_features[:, 0]]
    assert sorted(order) == list(range(8)) != order
    assert dataset.train_labels.tolist() == [int(number < 4) for number in order]


def test_real_topics_are_read(data_dir):
    """209 documents of each topic are for test, 2000 for training."""
    dataset = load("yahoo_2topics", data_dir)
    assert dataset.train_features.shape == (4000, 128)
    assert np.bincount(dataset.test_labels).tolist() == [209, 209]
    assert dataset.train_features.max() < 30_522
    # most documents are long enough for a token in each half, all have some token
    assert (dataset.train_features[:, [0, 64]] > 0).mean() > 0.99
    # a table of words per topic already tells them apart
    counts = [
        np.bincount(
            dataset.train_features[dataset.train_labels == number].ravel().astype(int),
            minlength=30_522,
        )
        for number in range(2)
    ]
    weights = np.log1p(counts[1]) - np.log1p(counts[0])
    weights[0] = 0
    guess = weights[dataset.test_features.astype(int)].sum(axis=1) > 0
    assert (guess == dataset.test_labels).mean() > 0.75


# What is missing or damaged.


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"looked for train.csv or test.csv in .*_csv"):
        load("yahoo_answers", tmp_path)
    with pytest.raises(
        DataError, match=r"looked for yahoo_2topics_train.csv in .*text"
    ):
        load("yahoo_2topics", tmp_path)
    write_answers(tmp_path / "yahoo_answers")
    (tmp_path / "yahoo_answers/test.csv").unlink()
    with pytest.raises(DataError, match=r"yahoo_answers lacks test.csv"):
        load("yahoo_answers", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            b'"2","train2"',
            b'"11","train2"',
            "has the topic '11' in row 1; allowed are 1",
        ),
        (
            b'"2","train2"',
            b'"","train2"',
            "has the topic '' in row 1; allowed are 1, 2",
        ),
        (b'"2","train2"', b'"2"', "has 3 columns in row 1; allowed is 4"),
        (b'"2","train2"', b'"2","tr"ain2"', "is damaged in row 1: "),
        (b'"2","train2"', b'"2","\xff"', "is damaged in row 1: "),
        (b'"10","train10"', b'"9","train10"', "train_features.shape"),
    ],
)
def test_damaged_documents_are_named(tmp_path, unchecked_types, old, new, reason):
    write_answers(tmp_path / "yahoo_answers", per_topic=1)
    path = tmp_path / "yahoo_answers/train.csv"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    where = "yahoo_answers, .*" if "shape" in reason else "yahoo_answers/train.csv "
    with pytest.raises(DataError, match=where + reason):
        load("yahoo_answers", tmp_path)


def test_unknown_topic_is_named(tmp_path):
    for part in ("train", "test"):
        write_csv(tmp_path / f"yahoo_2topics_{part}.csv", [("a text", "sports")])
    with pytest.raises(DataError, match=r"train.csv has the topic 'sports' in row 0"):
        load("yahoo_2topics", tmp_path)

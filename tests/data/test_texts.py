"""Reviews, messages and synthetic check-ins as token numbers."""

import csv

import numpy as np
import pytest

from vfljax.data import DataError, load, top_words
from vfljax.data.checkins import NUM_CHECKINS, NUM_PLACES, NUM_USERS

NEWS = "20news_bydate.tsv"
HEADER = ("deceptive", "hotel", "polarity", "source", "text")


def write_opinions(folder, changes=None):
    """Five reviews of each polarity and veracity."""
    folder.mkdir(parents=True, exist_ok=True)
    reviews = [
        [veracity, f"h{number}", polarity, "MTurk", f"Room {number}, {polarity}\nroom"]
        for number in range(5)
        for veracity in ("truthful", "deceptive")
        for polarity in ("positive", "negative")
    ]
    for row, column, value in changes or ():
        reviews[row][HEADER.index(column)] = value
    with (folder / "deceptive_opinions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *reviews])


def write_news(folder, lines):
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["split\tlabel\tid\tsubject\tbody", *("\t".join(line) for line in lines)]
    (folder / NEWS).write_text("\n".join(rows) + "\n")


MESSAGES = [
    ("train", "sci.med", "1", "Knee", 'knee "hurts'),
    ("test", "alt.atheism", "2", "why", ""),
    ("train", "rec.autos", "3", "", "a car"),
    ("train", "soc.religion.christian", "4", "car", ""),
    ("test", "misc.forsale", "5", "car knee", "zebra"),
]


def words_of(dataset, row):
    return [dataset.vocabulary[int(each)] for each in row if each > 0]


def test_reviews_are_words_with_polarity_and_properties(tmp_path):
    """One of five of each polarity and veracity is for testing."""
    write_opinions(tmp_path / "text")
    dataset = load("deceptive_opinions", tmp_path)
    assert dataset.train_features.shape == (16, 300)
    cells = 2 * dataset.test_labels + dataset.test_properties["veracity"]
    assert sorted(cells.tolist()) == [0, 1, 2, 3]
    assert dataset.vocabulary is not None
    assert dataset.vocabulary[:2] == ("", "room")
    hotels = dataset.property_names["hotel"]
    for row, label, hotel in zip(
        dataset.train_features,
        dataset.train_labels,
        dataset.train_properties["hotel"],
        strict=True,
    ):
        number = hotels[hotel].removeprefix("h")
        expected = ["room", number, dataset.class_names[label], "room"]
        assert words_of(dataset, row) == expected


def test_damaged_reviews_are_named(tmp_path):
    write_opinions(tmp_path, [(7, "polarity", "mixed")])
    with pytest.raises(DataError, match=r"csv has the polarity 'mixed' in row 8; allo"):
        load("deceptive_opinions", tmp_path)
    (tmp_path / "deceptive_opinions.csv").write_text("a,b,c,d,e\n")
    with pytest.raises(DataError, match=r"csv does not begin with the line deceptive,"):
        load("deceptive_opinions", tmp_path)
    (tmp_path / "deceptive_opinions.csv").write_text(",".join(HEADER) + "\n")
    with pytest.raises(DataError, match=r"deceptive_opinions.csv has no rows"):
        load("deceptive_opinions", tmp_path)


def test_real_reviews_are_four_times_400(data_dir):
    dataset = load("deceptive_opinions", data_dir)
    cells = [
        2 * getattr(dataset, f"{part}_labels")
        + getattr(dataset, f"{part}_properties")["veracity"]
        for part in ("train", "test")
    ]
    assert [np.bincount(each).tolist() for each in cells] == [[320] * 4, [80] * 4]
    source = sum(
        np.bincount(getattr(dataset, f"{part}_properties")["source"])
        for part in ("train", "test")
    )
    assert np.array_equal(source, [800, 400, 400])
    assert len(dataset.property_names["hotel"]) == 20
    assert dataset.vocabulary is not None
    assert len(dataset.vocabulary) == 4001
    assert "hotel" in dataset.vocabulary[:20]
    assert "don't" in dataset.vocabulary
    frequency = np.bincount(dataset.train_features.astype(int).ravel())[1:]
    # By frequency in whole reviews; few are cut
    assert (frequency[:50] >= frequency[50:100].max() * 0.9).all()
    assert top_words(dataset, 500).train_features.max() == 500


def test_messages_keep_their_split_and_coarse_group(tmp_path):
    write_news(tmp_path / "text", MESSAGES)
    dataset = load("newsgroups_groups", tmp_path)
    assert dataset.vocabulary == ("", "car", "knee", "a", "hurts")
    assert [words_of(dataset, row) for row in dataset.train_features] == [
        ["knee", "knee", "hurts"], ["a", "car"], ["car"],
    ]  # fmt: skip
    assert [words_of(dataset, row) for row in dataset.test_features] == [
        [], ["car", "knee"],
    ]  # fmt: skip
    labels = [*dataset.train_labels, *dataset.test_labels]
    coarse = [dataset.class_names[each] for each in labels]
    assert coarse == ["sci", "rec", "talk", "talk", "misc"]
    names = dataset.property_names["newsgroup"]
    numbers = dataset.test_properties["newsgroup"]
    assert [names[each] for each in numbers] == ["alt.atheism", "misc.forsale"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("valid", "sci.med", "6", "", ""), "the split 'valid' in line 7; allowed are"),
        (("train", "fun.med", "6", "", ""), "the newsgroup 'fun.med' in line 7; allow"),
        (("train", "sci.med", "6"), "3 columns in line 7; allowed are 5 or more"),
    ],
)
def test_damaged_messages_are_named(tmp_path, line, reason):
    write_news(tmp_path, [*MESSAGES, line])
    with pytest.raises(DataError, match=rf"20news_bydate.tsv has {reason}"):
        load("newsgroups_groups", tmp_path)


def test_other_tables_are_no_messages(tmp_path):
    (tmp_path / NEWS).write_text("a\tb\tc\td\te\n")
    with pytest.raises(DataError, match="tsv does not begin with the line split label"):
        load("newsgroups_groups", tmp_path)
    (tmp_path / NEWS).write_bytes(b"split\tlabel\tid\tsubject\tbody\n\xff\t\t\t\t\n")
    with pytest.raises(DataError, match=r"20news_bydate.tsv is damaged in line 2"):
        load("newsgroups_groups", tmp_path)


def test_real_messages_are_those_counted(data_dir):
    dataset = load("newsgroups_groups", data_dir)
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (11_314, 7_532)
    assert np.bincount(dataset.train_labels).tolist() == [2936, 585, 2389, 2373, 3031]
    newsgroup = np.bincount(dataset.train_properties["newsgroup"])
    assert (len(newsgroup), newsgroup[0], newsgroup[-1]) == (20, 480, 377)
    assert dataset.vocabulary is not None
    assert len(dataset.vocabulary) == 5001


# Synthetic check-ins.


def test_synthetic_checkins_have_the_published_sizes():
    dataset = load("checkins_synthetic")
    tokens = np.concatenate([dataset.train_features, dataset.test_features])
    assert tokens.shape == (NUM_USERS, 100) == (15_548, 100)
    assert (tokens > 0).sum() == NUM_CHECKINS == 528_878
    first = np.sort(tokens[:, :10], axis=1)
    assert (first[:, 0] > 0).all()
    assert (np.diff(first, axis=1) > 0).all()  # ten different places
    is_place = tokens > 0
    assert (is_place[:, :-1] >= is_place[:, 1:]).all()  # no gaps
    assert dataset.vocabulary is not None
    assert len(dataset.vocabulary) == NUM_PLACES + 1
    assert "synthetic" in dataset.origin
    counts = np.bincount(dataset.train_features.astype(int).ravel())[1:]
    assert (np.diff(counts) <= 0).all()  # numbered by frequency


def test_synthetic_places_follow_zipf_and_gender():
    """Of rank r, 1 / r: log counts fall with slope -1; women and men differ by 2 z.

    Among places that each occur 200 times or more, the log ratio of women's to men's
    counts has the variance (2 * .1)^2 and that of counting, the sum of their inverses.
    """
    dataset = load("checkins_synthetic")
    vocabulary = dataset.vocabulary
    assert vocabulary is not None
    tokens = dataset.train_features.astype(int)
    ranks = np.array([int(word.removeprefix("place_")) for word in vocabulary[1:]])
    of_gender = [tokens[dataset.train_labels == gender] for gender in (0, 1)]
    by_gender = np.stack([np.bincount(t.ravel(), minlength=30_001) for t in of_gender])
    by_gender = by_gender[:, 1:]
    counts = by_gender.sum(axis=0)
    often = (counts >= 200) & (ranks > 30)  # the first ten differ, which flattens
    slope, _ = np.polyfit(np.log(ranks[often]), np.log(counts[often]), 1)
    assert slope == pytest.approx(-1, abs=0.1)
    ratios = np.log(by_gender[0, often] / by_gender[1, often])
    counting = (1 / by_gender[:, often]).sum(axis=0).mean()
    assert ratios.var() - counting == pytest.approx(0.04, abs=0.012)

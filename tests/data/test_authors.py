"""Texts and places of people in a user's own folders: Yelp, FourSquare, CSI."""

import csv
import json

import numpy as np
import pytest

from vfljax.data import DataError, load

REVIEWS = "yelp_academic_dataset_review.json"
BUSINESSES = "yelp_academic_dataset_business.json"
CHECKINS = "dataset_TIST2015_Checkins.txt"
PROFILES = "dataset_UbiComp2016_UserProfile_NYC.txt"


def words_of(dataset, row):
    return [dataset.vocabulary[int(each)] for each in row if each > 0]


def write_lines(path, records, more=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records) + more)


def write_yelp(folder, more_reviews="", more_businesses=""):
    """Four doctors, one of two specialties, and two of something else."""
    categories = {
        "heart": "Doctors, Cardiologists, Health & Medical",
        "skin": ["Dermatologists", "Doctors"],  # as in older files
        "both": "Cardiologists, Dermatologists",
        "pizza": "Pizza",
        "nothing": None,
    }
    businesses = [
        {"business_id": name, "categories": each} for name, each in categories.items()
    ]
    write_lines(folder / BUSINESSES, businesses, more_businesses)
    reviews = [
        {
            "business_id": name,
            "user_id": f"u{number + stars}",
            "stars": float(stars),
            "text": f"{name} {stars}!",
            "date": "2016",
        }
        for number, name in enumerate(categories)
        for stars in (1, 2, 3, 4, 5)
        for _ in range(3)
    ]
    write_lines(folder / REVIEWS, reviews, more_reviews)


def test_reviews_of_doctors_have_one_specialty(tmp_path):
    write_yelp(tmp_path / "yelp")
    dataset = load("yelp_health", tmp_path)
    assert dataset.train_features.shape == (24, 200)
    assert dataset.test_features.shape == (6, 200)
    names = dataset.property_names["specialty"]
    assert len(names) == 10
    expected = {"heart": "Cardiologists", "skin": "Dermatologists"}
    for row, label, specialty in zip(
        dataset.train_features,
        dataset.train_labels,
        dataset.train_properties["specialty"],
        strict=True,
    ):
        doctor, stars = words_of(dataset, row)
        assert dataset.class_names[label] == f"{stars} stars"
        assert names[specialty] == expected[doctor]


def test_reviews_of_the_busiest_authors(tmp_path):
    """Author u5 wrote five times three reviews, u4 and u6 four times, and so on.

    Of four more with two reviews each, the first by the name is the tenth.
    """
    write_yelp(tmp_path / "yelp")
    more = {"user_id": "rare", "stars": 1, "text": "once", "business_id": "heart"}
    lines = [more] + [{**more, "user_id": f"x{number}"} for number in range(4)] * 2
    with (tmp_path / "yelp" / REVIEWS).open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    dataset = load("yelp_author", tmp_path)
    names = dataset.property_names["author"]
    assert names[:3] == ("u5", "u4", "u6")
    assert sorted(names) == [*(f"u{number}" for number in range(1, 10)), "x0"]
    numbers = dataset.train_properties["author"], dataset.test_properties["author"]
    counts = np.bincount(np.concatenate(numbers))
    assert counts.tolist() == [15, 12, 12, 9, 9, 6, 6, 3, 3, 2]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (
            "yelp_health",
            {"more_reviews": "{"},
            r"review.json is damaged in line 76: it",
        ),
        (
            "yelp_author",
            {"more_reviews": "[]"},
            r"review.json is damaged in line 76: it",
        ),
        (
            "yelp_health",
            {"more_businesses": '{"business_id": "a"}'},
            r"line 6: it is no JSON object with the entries business_id, categories",
        ),
        (
            "yelp_health",
            {"more_reviews": '{"business_id": "skin", "stars": 2.5, "text": ""}'},
            r"review.json has the stars 2.5 in line 76; allowed are 1 to 5",
        ),
    ],
)
def test_damaged_reviews_are_named(tmp_path, name, change, reason):
    write_yelp(tmp_path / "yelp", **change)
    with pytest.raises(DataError, match=reason):
        load(name, tmp_path)


def test_missing_reviews_are_named(tmp_path):
    write_yelp(tmp_path / "yelp")
    (tmp_path / "yelp" / REVIEWS).write_text("")
    with pytest.raises(DataError, match=r"review.json has no reviews with a known bus"):
        load("yelp_health", tmp_path)
    (tmp_path / "yelp" / REVIEWS).unlink()
    with pytest.raises(DataError, match=rf"yelp lacks {REVIEWS}"):
        load("yelp_health", tmp_path)


# FourSquare.


def write_foursquare(folder, *, profiles="", checkins=""):
    """Users 0 to 9 visit ten places of their own and a square; user 10 nine places."""
    folder.mkdir(parents=True, exist_ok=True)
    people = [f"{user}\t{('female', 'male')[user % 2]}\t3\t4" for user in range(11)]
    people.append("11\tunknown\t0\t0")
    visits = [
        (user, place)
        for number in range(10)
        for user in range(13)
        for place in ("square", f"{user}_{number}")
        if user != 10 or number < 8
    ]
    time = "Tue Apr 03 18:00:06 +0000 2012\t-240"
    lines = [f"{user}\t{place}\t{time}" for user, place in visits]
    (folder / PROFILES).write_text("\n".join(people) + f"\n{profiles}")
    (folder / CHECKINS).write_text("\n".join(lines) + f"\n{checkins}")


def test_users_of_known_gender_with_ten_places_are_kept(tmp_path):
    """Users 11 and 12 have no known gender; all others are in order of their file."""
    write_foursquare(tmp_path / "foursquare")
    dataset = load("foursquare", tmp_path)
    assert dataset.train_features.shape == (8, 100)
    assert np.bincount(dataset.test_labels).tolist() == [1, 1]
    assert dataset.vocabulary is not None
    assert dataset.vocabulary[:2] == ("", "square")
    assert len(dataset.vocabulary) == 2 + 8 * 10  # places of training rows alone
    for row, label in zip(dataset.train_features, dataset.train_labels, strict=True):
        places = words_of(dataset, row)
        assert places[::2] == ["square"] * 10
        user = int(places[1].partition("_")[0])
        assert places[1::2] == [f"{user}_{number}" for number in range(10)]
        assert label == user % 2
    assert (dataset.test_features[:, :10] == 1).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"profiles": "12"}, "NYC.txt has 1 columns in line 13; allowed are 2 or more"),
        ({"profiles": "3\tmale"}, r"NYC.txt has the user 3 again in line 13"),
        ({"checkins": "3"}, r"Checkins.txt has 1 columns in line 257; allowed are 2"),
    ],
)
def test_damaged_checkins_are_named(tmp_path, change, reason):
    write_foursquare(tmp_path / "foursquare", **change)
    with pytest.raises(DataError, match=reason):
        load("foursquare", tmp_path)


def test_missing_users_are_named(tmp_path):
    write_foursquare(tmp_path / "foursquare")
    (tmp_path / "foursquare" / PROFILES).write_text("10\tfemale\n")
    with pytest.raises(DataError, match="has no user of known gender with 10 places"):
        load("foursquare", tmp_path)


# CSI.


def write_csi(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"Een zaal, mooi {number % 2} één")
        rows.append(
            {
                "file": f"{number}.txt",
                "sentiment": ("negative", "positive")[number % 2],
                "veracity": ("truthful", "deceptive")[number // 10],
                "gender": ("female", "male")[number % 3 == 0],
                "region": ("Antwerpen", "Limburg")[number % 4 == 0],
            }
        )
    rows[-1] |= changes
    with (folder / "csi.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def test_reviews_have_properties_of_author_and_text(tmp_path):
    write_csi(tmp_path / "csi")
    dataset = load("csi", tmp_path)
    assert dataset.train_features.shape == (16, 300)
    assert np.bincount(dataset.test_labels).tolist() == [2, 2]
    for row, label in zip(dataset.train_features, dataset.train_labels, strict=True):
        assert words_of(dataset, row) == ["een", "zaal", "mooi", str(label), "één"]
    totals = {
        name: np.bincount(np.concatenate([column, dataset.test_properties[name]]))
        for name, column in dataset.train_properties.items()
    }
    assert {name: total.tolist() for name, total in totals.items()} == {
        "veracity": [10, 10],
        "gender": [13, 7],
        "region": [15, 5],
    }
    assert dataset.property_names["region"] == ("Antwerpen", "Limburg")


def test_damaged_texts_are_named(tmp_path):
    write_csi(tmp_path / "csi", file="none.txt")
    with pytest.raises(DataError, match=r"csi.csv has the file 'none.txt' in row 20"):
        load("csi", tmp_path)
    write_csi(tmp_path / "csi", gender="x")
    with pytest.raises(DataError, match=r"the gender 'x' in row 20; allowed are fem"):
        load("csi", tmp_path)
    write_csi(tmp_path / "csi")
    (tmp_path / "csi" / "3.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"3.txt is not UTF-8"):
        load("csi", tmp_path)

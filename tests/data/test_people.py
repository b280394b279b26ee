"""Pictures of people in a user's own folders: LFW, FaceScrub, PIPA."""

import numpy as np
import pytest
from PIL import Image

from vfljax.data import DataError, load

SCORES = ["Male", "Asian", "White", "Black", "Baby", "Child", "Youth", "Middle Aged"]
SCORES += ["Senior", "Black Hair", "Blond Hair", "Brown Hair", "Bald", "No Eyewear"]
SCORES += ["Eyeglasses", "Sunglasses", "Smiling"]
HEADER = ["#", "person", "imagenum", *SCORES]


def save(path, color, size=(250, 250)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), color, np.uint8)).save(path, quality=100)


def scores(**high):
    """All scores are -1, or as given."""
    return [str(high.get(name.replace(" ", "_"), -1)) for name in SCORES]


def write_lfw(folder, lines, header=HEADER):
    rows = ["# lfw_attributes", "\t".join(header), *("\t".join(row) for row in lines)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lfw_attributes.txt").write_text("\n".join(rows) + "\n")


def lfw_lines():
    """Five men, smiling and with sunglasses, and five women who are older."""
    lines = []
    for number in range(1, 6):
        man = scores(Male=0.5, Smiling=2, Sunglasses=0, Black=3, Asian=2, Bald=1e-3)
        woman = scores(Male=-0.1, Eyeglasses=-0.9, White=-0.5, Senior=1.5, Youth=1)
        lines += [["Al B Ray", str(number), *man], ["Ada Li", str(number), *woman]]
    return lines


def test_faces_in_the_wild_have_attributes_by_score(tmp_path):
    """Outside of rows 70 to 194 and columns 78 to 171 pictures are white."""
    folder = tmp_path / "lfw"
    write_lfw(folder, lfw_lines())
    for person, red in (("Al_B_Ray", 10), ("Ada_Li", 200)):
        for number in range(1, 6):
            pixels = np.full((250, 250, 3), 255, np.uint8)
            pixels[66:200, 74:176] = (red, 60, 20 * number)
            path = folder / "lfw_funneled" / person / f"{person}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=100)
    dataset = load("lfw", tmp_path)
    assert dataset.train_features.shape == (8, 62, 47, 3)
    assert dataset.test_features.shape == (2, 62, 47, 3)
    assert (dataset.task_name, dataset.class_names) == ("gender", ("female", "male"))
    properties = [
        {
            name: dataset.property_names[name][column[row]]
            for name, column in dataset.train_properties.items()
        }
        for row in range(8)
    ]
    for picture, label, found in zip(
        dataset.train_features, dataset.train_labels, properties, strict=True
    ):
        is_man = label == 1
        np.testing.assert_allclose(picture[..., 0] * 255, 10 if is_man else 200, atol=6)
        assert found == {
            "smile": "yes" if is_man else "no",
            "race": "Black" if is_man else "White",
            "eyewear": "Sunglasses" if is_man else "Eyeglasses",
            "hair": "Bald" if is_man else "Black Hair",  # the first of equal ones
            "age": "Baby" if is_man else "Senior",
        }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (["Al", "1", *scores()], r"txt, line 13: there is no picture .*Al_0001.jpg"),
        (["Al", "one", *scores()], "line 13: imagenum is 'one'; allowed is a whole"),
        (["Al", "1", "high"], "line 13: Male is 'high'; allowed is a number"),
        (["Al", "1", "nan"], "line 13: Male is 'nan'; allowed is a number"),
        (["Al", "1", "0.5"], "line 13: Smiling is ''; allowed is a number"),
        (["Al"], "line 13: Male is ''; allowed is a number"),
    ],
)
def test_damaged_attributes_are_named(tmp_path, line, reason):
    write_lfw(tmp_path / "lfw", [*lfw_lines(), line])
    for person in ("Al_B_Ray", "Ada_Li"):
        for number in range(1, 6):
            save(tmp_path / "lfw" / person / f"{person}_{number:04d}.jpg", 5, (8, 8))
    with pytest.raises(DataError, match=reason):
        load("lfw", tmp_path)


def test_other_tables_have_no_attributes(tmp_path):
    write_lfw(tmp_path / "lfw", lfw_lines(), header=HEADER[:-2])
    with pytest.raises(DataError, match="lacks the columns Smiling, Sunglasses"):
        load("lfw", tmp_path)
    write_lfw(tmp_path / "lfw", lfw_lines(), header=HEADER[:1])
    with pytest.raises(DataError, match=r"txt has no line with the names person, im"):
        load("lfw", tmp_path)


# FaceScrub.


def test_actors_are_folders_of_two_sexes(tmp_path):
    """Five and ten pictures; one person has no pictures at all."""
    folder = tmp_path / "facescrub"
    for number in range(10):
        if number < 5:
            save(folder / "actors" / "Al B" / f"{number}.png", 10 + number, (20, 30))
        save(folder / "actresses" / "Ada" / f"{number}.jpeg", 100 + number, (60, 50))
    (folder / "actors" / "Nobody").mkdir()
    (folder / "actors" / "Al B" / "notes.txt").write_text("no picture")
    dataset = load("facescrub", tmp_path)
    assert dataset.train_features.shape == (12, 50, 50, 3)
    assert dataset.test_features.shape == (3, 50, 50, 3)
    assert dataset.property_names == {"identity": ("Ada", "Al B")}
    assert sorted(dataset.test_properties["identity"].tolist()) == [0, 0, 1]
    is_man = dataset.train_features.mean((1, 2, 3)) * 255 < 50
    np.testing.assert_array_equal(dataset.train_labels, is_man)
    np.testing.assert_array_equal(dataset.train_properties["identity"], is_man)


def test_the_people_with_most_pictures_are_kept(tmp_path):
    """101 people with two pictures and later five, but one of them with fewer."""
    folder = tmp_path / "facescrub"
    for number in range(101):
        sex = "actors" if number % 2 else "actresses"
        for picture in range(1 if number == 4 else 2):
            path = folder / sex / "faces" / f"p{number:03d}" / f"{picture}.png"
            save(path, 3, (1, 1))
    with pytest.raises(DataError, match="must leave rows of each class"):
        load("facescrub", tmp_path)  # a fifth of 200 is not one of each person
    for number in range(101):
        sex = "actors" if number % 2 else "actresses"
        for picture in range(2, 4 if number == 4 else 5):
            path = folder / sex / "faces" / f"p{number:03d}" / f"{picture}.png"
            save(path, 3, (1, 1))
    dataset = load("facescrub", tmp_path)
    names = dataset.property_names["identity"]
    assert len(names) == 100
    assert "p004" not in names


def test_missing_actors_are_named(tmp_path):
    (tmp_path / "facescrub" / "actors" / "Al").mkdir(parents=True)
    with pytest.raises(DataError, match="facescrub lacks actresses"):
        load("facescrub", tmp_path)
    (tmp_path / "facescrub" / "actresses").mkdir()
    with pytest.raises(DataError, match="facescrub has no pictures"):
        load("facescrub", tmp_path)
    (tmp_path / "facescrub" / "actors" / "Al" / "1.jpg").write_bytes(b"none")
    with pytest.raises(DataError, match=r"Al/1.jpg cannot be read as a picture"):
        load("facescrub", tmp_path)


# PIPA.

ALBUM = [
    [("7", "child", "male"), ("8", "young adult", "male")],
    [("7", "child", "male"), ("9", "senior", "female")],
    [("8", "infant", "female")],
    [("9", "young adult", "female"), ("7", "child", "male"), ("8", "child", "male")],
]


def write_pipa(folder, albums=5, extra="", attributes=""):
    """Every album has the four photos above, one of four heads and one of nobody."""
    lines, rows = [], ["photo,identity,age,gender"]
    for album in range(albums):
        photos = [*ALBUM, ALBUM[0] * 2]
        for photo, people in enumerate(photos):
            save(folder / "train" / f"{album}_{photo}.jpg", 50 * photo, (10, 20))
            for identity, age, gender in people:
                lines.append(f"{album} {photo} 1 2 3 4 {identity} 1")
                rows.append(f"{album}_{photo},{identity},{age},{gender}")
        lines.append(f"{album} 9 1 2 3 4 7 1")  # of unknown age, and no photo
    (folder / "index.txt").write_text("\n".join(lines) + f"\n{extra}")
    (folder / "attributes.csv").write_text("\n".join(rows) + f"\n{attributes}")


def test_photographs_are_labeled_by_all_their_heads(tmp_path):
    write_pipa(tmp_path / "pipa")
    dataset = load("pipa", tmp_path)
    assert dataset.train_features.shape == (16, 128, 128, 3)
    photos = np.rint(dataset.train_features.mean((1, 2, 3)) * 255 / 50).astype(int)
    assert set(photos.tolist()) == {0, 1, 2, 3}
    expected = {
        "labels": np.array([1, 0, 0, 1])[photos],
        "same_gender": np.array([1, 0, 1, 0])[photos],
        "num_faces": np.array([1, 1, 0, 2])[photos],
    }
    found = {"labels": dataset.train_labels, **dataset.train_properties}
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column)


def test_damaged_albums_are_named(tmp_path):
    folder = tmp_path / "pipa"
    write_pipa(folder, 1, extra="1 2 3 4 5 6 7")
    with pytest.raises(DataError, match=r"index.txt has 7 columns in line 14; allowed"):
        load("pipa", tmp_path)
    write_pipa(folder, 1, attributes="0_9,7,old,male")
    with pytest.raises(DataError, match=r"attributes.csv has the age 'old' in row 13"):
        load("pipa", tmp_path)
    write_pipa(folder, 1, attributes="0_9,7,senior,male")
    with pytest.raises(DataError, match=r"index.txt has the photo 0_9, but .* has not"):
        load("pipa", tmp_path)
    one = "photo,identity,age,gender\n1_1,1,child,male"
    (folder / "attributes.csv").write_text(one)
    with pytest.raises(DataError, match=r"index.txt has no photo with one to three"):
        load("pipa", tmp_path)

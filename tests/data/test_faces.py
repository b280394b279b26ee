"""FairFace pictures, alone and tiled, and CIFAR-10 as animals and vehicles."""

import csv
import io
import lzma
import pickle

import numpy as np
import pytest

from vfljax.data import DataError, load, with_task
from vfljax.data.fairface import NAMES, tile

FACES = [("3-9", "Male", "Black"), ("20-29", "Female", "White")]
FACES += [("20-29", "Male", "Indian"), ("more than 70", "Male", "East Asian")]


def write_faces(folder, faces=FACES):
    """The picture of face i has the colors 10 i, 10 i + 1, 10 i + 2."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        pictures = np.zeros((len(faces), 3, 32, 32), np.uint8)
        pictures += (10 * np.arange(len(faces)))[:, None, None, None].astype(np.uint8)
        pictures += np.arange(3)[:, None, None].astype(np.uint8)
        content = io.BytesIO()
        np.save(content, pictures)
        path = folder / f"fairface32_{part}.npy.xz"
        path.write_bytes(lzma.compress(content.getvalue(), preset=0))
        with (folder / f"fairface32_{part}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "age", "gender", "race"])
            rows = enumerate(faces)
            writer.writerows((f"{part}/{row}.jpg", *face) for row, face in rows)


def test_faces_are_scaled_and_keep_their_attributes(tmp_path):
    write_faces(tmp_path / "faces")
    dataset = load("fairface", tmp_path)
    assert dataset.train_features.shape == (4, 32, 32, 3)
    colors = np.rint(dataset.train_features[:, 7, 9] * 255).astype(int)
    assert colors[:2].tolist() == [[0, 1, 2], [10, 11, 12]]
    assert dataset.task_name == "gender"
    assert [dataset.class_names[each] for each in dataset.test_labels] == [
        face[1] for face in FACES
    ]
    for name, column in (("age", 0), ("race", 2)):
        names, numbers = dataset.property_names[name], dataset.train_properties[name]
        assert [names[each] for each in numbers] == [face[column] for face in FACES]


def test_missing_and_damaged_faces_are_named(tmp_path):
    folder = tmp_path / "faces"
    write_faces(folder, [*FACES[:1], ("3-9", "male", "Black")])
    with pytest.raises(DataError, match=r"train.csv has the gender 'male' in row 2; a"):
        load("fairface", tmp_path)
    write_faces(folder)
    table = folder / "fairface32_val.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:3]))
    with pytest.raises(DataError, match=r"val.npy.xz is an array .* \(2, 3, 32, 32\)"):
        load("fairface", tmp_path)
    table.write_text("file,gender\n")
    with pytest.raises(DataError, match=r"val.csv has 2 columns in row 0; allowed"):
        load("fairface", tmp_path)
    (folder / "fairface32_train.npy.xz").write_bytes(lzma.compress(b"no array"))
    with pytest.raises(DataError, match=r"train.npy.xz cannot be read as .npy: "):
        load("fairface", tmp_path)


def test_tiles_show_each_picture_once():
    """Picture i is 2 x 3 pixels of i + 1; two or three of eleven go to each tile."""
    numbers = np.arange(1, 12, dtype=np.float32)
    pictures = np.broadcast_to(numbers[:, None, None, None], (11, 2, 3, 1))
    tiled, shown = tile(pictures, seed=3)
    assert tiled.shape == (len(shown), 4, 6, 1)
    used = shown[shown >= 0]
    assert len(np.unique(used)) == len(used) >= 9
    for picture, faces in zip(tiled[..., 0], shown, strict=True):
        quarters = picture.reshape(2, 2, 2, 3).swapaxes(1, 2).reshape(4, 6)
        assert (quarters == quarters[:, :1]).all()
        found = sorted(quarters[:, 0].astype(int).tolist())
        faces = [face + 1 for face in faces.tolist() if face >= 0]
        assert found == sorted([*faces, *[0] * (4 - len(faces))])
    again, _ = tile(pictures, seed=3)
    np.testing.assert_array_equal(again, tiled)
    with pytest.raises(ValueError, match="pictures=2: must be 3 or more"):
        tile(pictures[:2], seed=0)


def test_tiled_labels_are_of_the_faces_in_the_picture(tmp_path):
    """The color tells which face a quarter shows; black is none, or the first face."""
    faces = [*FACES, *FACES[::-1], ("10-19", "Female", "Black")] * 2
    write_faces(tmp_path / "faces", faces)
    dataset = load("fairface_tiled", tmp_path)
    shape = (len(dataset.train_labels), 2, 32, 2, 32, 3)
    blue = np.rint(dataset.train_features.reshape(shape)[:, :, 5, :, 5, 2] * 255)
    for row, corners in enumerate(blue.reshape(-1, 4).astype(int)):
        shown = [faces[(color - 2) // 10] for color in corners if color >= 2]
        ages, genders = {face[0] for face in shown}, {face[1] for face in shown}
        assert dataset.train_labels[row] == ("20-29" in ages)
        properties = dataset.train_properties
        assert properties["same_gender"][row] == (len(genders) == 1)
        assert properties["num_faces"][row] == len(shown) - 2
    assert set(np.unique(dataset.train_labels)) == {0, 1}


def test_the_real_faces_are_those_counted(data_dir):
    dataset = load("fairface", data_dir)
    assert dataset.test_features.shape == (700, 32, 32, 3)
    assert np.bincount(dataset.train_labels).tolist() == [1452, 1548]
    race = np.bincount(dataset.train_properties["race"])
    counts = dict(zip(dataset.property_names["race"], race.tolist(), strict=True))
    assert (counts["Black"], counts["East Asian"]) == (435, 388)
    by_age = with_task(dataset, "age")
    assert by_age.class_names == NAMES["age"]
    assert (by_age.train_labels <= 3).sum() == 1622  # younger than 30
    assert (by_age.train_labels <= 1).sum() == 444  # younger than 10, .148


def test_the_real_faces_are_tiled(data_dir):
    """1,206 and 280 pictures of on average 2.5 faces of 3,000 and 700."""
    dataset = load("fairface_tiled", data_dir)
    assert dataset.train_features.shape == (1206, 64, 64, 3)
    assert dataset.test_features.shape == (280, 64, 64, 3)
    # Two of two genders are the same in half of the cases, three in a quarter
    share = dataset.train_properties["same_gender"].mean()
    assert share == pytest.approx(3 / 8, abs=0.03)


def test_classes_are_identities_within_animals_and_vehicles(tmp_path, unchecked):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse"]
    names += ["ship", "truck"]
    for file in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        batch = {"data": np.zeros((10, 3072), np.uint8), "labels": list(range(10))}
        (folder / file).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    dataset = load("cifar10_animals", tmp_path)
    assert dataset.name == "cifar10_animals"
    assert dataset.class_names == ("vehicle", "animal")
    assert dataset.test_labels.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert dataset.train_properties["identity"].tolist() == list(range(10)) * 5
    assert dataset.property_names["identity"] == tuple(names)
    assert with_task(dataset, "identity").class_names == tuple(names)

import sys

import numpy as np
import pytest
from PIL import Image

from vfljax.data import DataError, load
from vfljax.data.cinic10 import CLASS_NAMES

PARTS = ("train", "valid", "test")


def write_picture(path, color, size=(32, 32), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


def write_cinic10(folder, per_class=1):
    """Pictures of one color each: 51 times the part, the class, the number."""
    for part_number, part in enumerate(PARTS):
        for class_number, class_name in enumerate(CLASS_NAMES):
            for number in range(per_class):
                path = folder / part / class_name / f"n{number}.png"
                write_picture(path, (51 * part_number, class_number, number))


def colors_of(features):
    """The colors that were written, from the published means and deviations."""
    assert (features == features[:, :1, :1]).all()
    mean, deviation = [0.4789, 0.4723, 0.4305], [0.2421, 0.2383, 0.2587]
    return np.rint((features[:, 0, 0] * deviation + mean) * 255).astype(int)


def test_train_and_valid_are_train(tmp_path):
    write_cinic10(tmp_path / "cinic10", per_class=2)
    dataset = load("cinic10", tmp_path)
    assert dataset.train_features.shape == (40, 32, 32, 3)
    assert dataset.test_features.shape == (20, 32, 32, 3)
    assert dataset.train_features.dtype == np.float32
    train, test = map(colors_of, (dataset.train_features, dataset.test_features))
    np.testing.assert_array_equal(np.unique(train[:, 0]), [0, 51])
    np.testing.assert_array_equal(test[:, 0], 102)
    assert len(np.unique(train, axis=0)) == 40
    np.testing.assert_array_equal(train[:, 1], dataset.train_labels)
    np.testing.assert_array_equal(test[:, 1], dataset.test_labels)
    assert (np.diff(dataset.train_labels) < 0).any()  # shuffled
    assert dataset.class_names[::9] == ("airplane", "truck")


def test_published_means_and_deviations_are_used(tmp_path):
    """Gray of .6: (.6 − .4789) / .2421, and so on for green and blue."""
    write_cinic10(tmp_path / "cinic10")
    write_picture(tmp_path / "cinic10/test/cat/n0.png", (153, 153, 153))
    dataset = load("cinic10", tmp_path)
    cat = dataset.test_features[dataset.test_labels == 3]
    np.testing.assert_allclose(cat[0, 5, 7], [0.5003, 0.5360, 0.6552], atol=1e-3)


def test_every_color_mode_becomes_three_channels(tmp_path):
    write_cinic10(tmp_path / "CINIC-10")
    write_picture(tmp_path / "CINIC-10/test/cat/n0.png", 102, mode="L")
    dataset = load("cinic10", tmp_path)
    cat = dataset.test_features[dataset.test_labels == 3]
    np.testing.assert_array_equal(colors_of(cat), [[102, 102, 102]])


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no data for 'cinic10'; looked for train/air"):
        load("cinic10", tmp_path)
    write_cinic10(tmp_path / "cinic10")
    (tmp_path / "cinic10/valid/frog/n0.png").unlink()
    with pytest.raises(DataError, match=r"cinic10/valid/frog has no .png files"):
        load("cinic10", tmp_path)


def test_damaged_pictures_are_named(tmp_path):
    write_cinic10(tmp_path / "cinic10")
    path = tmp_path / "cinic10/train/dog/n0.png"
    write_picture(path, (0, 0, 0), size=(33, 32))
    with pytest.raises(DataError, match=r"dog/n0.png is 32x33; allowed is 32x32"):
        load("cinic10", tmp_path)
    for content in (b"no picture", b"", path.read_bytes()[:-30]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"dog/n0.png cannot be read as a picture"):
            load("cinic10", tmp_path)


def test_missing_pillow_names_the_extra(tmp_path, monkeypatch):
    write_cinic10(tmp_path / "cinic10")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        DataError, match=r"needs Pillow: pip install 'vfljax\[images\]'"
    ):
        load("cinic10", tmp_path)

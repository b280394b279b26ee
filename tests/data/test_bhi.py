import numpy as np
import pytest
from PIL import Image

from vfljax import data
from vfljax.data import DataError, load
from vfljax.data.bhi import group_patches

# The mean of the second color is 220, of the third 221.
DARK, BRIGHT, WHITE = (10, 20, 30), (255, 255, 150), (255, 255, 153)


def write_patch(folder, patient, label, number, pixels):
    path = folder / patient / str(label) / f"{patient}_{number}_class{label}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def patch_of(color, size=(50, 50)):
    return np.full((*size, 3), color, np.uint8)


def write_bhi(folder, per_class=20):
    """Patches of one color each: their class, their number, 0, of two patients."""
    for label in range(2):
        for number in range(per_class):
            patient = f"{number % 2 + 8863}"
            write_patch(folder, patient, label, number, patch_of((label, number, 0)))


def pixels_of(features):
    """The bytes that were written: (f / 2 + 1 / 2) 255."""
    return np.rint((features * 0.5 + 0.5) * 255).astype(int)


def colors_of(features):
    """The color of each sample, or of each party's patch in it."""
    return pixels_of(features)[:, ::50, 0]


def test_patches_are_scaled_and_split(tmp_path):
    """20 of each class: 16 for training, 4 for test. 0 becomes -1, 255 becomes 1."""
    write_bhi(tmp_path / "bhi")
    write_patch(tmp_path / "bhi", "8863", 0, 0, patch_of((0, 0, 255)))
    dataset = load("bhi", tmp_path)
    assert dataset.train_features.shape == (32, 50, 50, 3)
    assert dataset.test_features.shape == (8, 50, 50, 3)
    assert dataset.train_features.dtype == np.float32
    both = np.concatenate([dataset.train_features, dataset.test_features])
    assert (both.min(), both.max()) == (-1, 1)
    assert np.bincount(dataset.test_labels).tolist() == [4, 4]
    colors = colors_of(both)[:, 0]
    assert len(np.unique(colors, axis=0)) == 40
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    np.testing.assert_array_equal(colors[:, 0], labels)
    assert dataset.class_names == ("negative", "positive")
    assert "0 of 40 patches left out" in dataset.origin


def test_mostly_white_patches_are_left_out(tmp_path):
    """30 % of 2,500 pixels are 750, and a pixel of mean 220 is not white."""
    write_bhi(tmp_path / "bhi", per_class=5)
    for number, (num_white, color) in enumerate(
        [(750, WHITE), (751, WHITE), (2500, BRIGHT)], start=5
    ):
        pixels = patch_of(DARK).reshape(-1, 3)
        pixels[:num_white] = color
        write_patch(tmp_path / "bhi", "9999", 1, number, pixels.reshape(50, 50, 3))
    dataset = load("bhi", tmp_path)
    both = np.concatenate([dataset.train_features, dataset.test_features])
    pixels = pixels_of(both).reshape(len(both), -1, 3)
    assert len(both) == 10 + 2
    assert sorted((pixels == WHITE).all(2).sum(1).tolist()) == [0] * 11 + [750]
    assert (pixels == BRIGHT).all(2).all(1).sum() == 1
    assert "1 of 13 patches left out" in dataset.origin


def test_smaller_patches_are_scaled(tmp_path):
    write_bhi(tmp_path / "bhi", per_class=5)
    write_patch(tmp_path / "bhi", "8863", 1, 2, patch_of(DARK, (50, 33)))
    dataset = load("bhi", tmp_path)
    both = np.concatenate([dataset.train_features, dataset.test_features])
    pixels = pixels_of(both).reshape(len(both), -1, 3)
    assert (pixels == DARK).all(2).all(1).sum() == 1


@pytest.mark.parametrize("num_parties", [2, 3])
def test_each_party_holds_another_patch_of_the_class(tmp_path, num_parties):
    """16 of each class give 8 pairs or 5 triples, 4 of each give 2 pairs or 1."""
    write_bhi(tmp_path / "bhi")
    dataset = load(f"bhi_{num_parties}", tmp_path)
    counts = [np.bincount(dataset.train_labels), np.bincount(dataset.test_labels)]
    expected = [[8, 8], [2, 2]] if num_parties == 2 else [[5, 5], [1, 1]]
    np.testing.assert_array_equal(counts, expected)
    colors = []
    for features, labels in [
        (dataset.train_features, dataset.train_labels),
        (dataset.test_features, dataset.test_labels),
    ]:
        assert features.shape[1:] == (50 * num_parties, 50, 3)
        parts = data.split_features(features, "rows", num_parties)
        for party, part in enumerate(parts):
            assert part.shape[1:] == (50, 50, 3)
            assert (part == part[:, :1, :1]).all()  # nothing of another patch
            colors.append(colors_of(part)[:, 0])
            np.testing.assert_array_equal(colors[-1], colors_of(features)[:, party])
            np.testing.assert_array_equal(colors[-1][:, 0], labels)
    flat = np.concatenate(colors)
    assert len(np.unique(flat, axis=0)) == len(flat)  # no patch is used twice


def test_groups_have_one_class_and_leave_at_most_the_rest():
    """7 of class 0, 11 of class 1, in threes: 2 and 3 groups, 1 and 2 left over."""
    labels = np.array([0] * 7 + [1] * 11)
    rows = np.arange(18)
    groups, classes = group_patches(rows, labels, 3, seed=0)
    assert groups.shape == (5, 3)
    assert sorted(classes.tolist()) == [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(labels[groups], np.repeat(classes[:, None], 3, 1))
    assert len(np.unique(groups)) == 15
    assert (np.diff(groups, axis=1) != 1).any()  # not the order of the rows
    again, _ = group_patches(rows, labels, 3, seed=0)
    other, _ = group_patches(rows, labels, 3, seed=1)
    np.testing.assert_array_equal(again, groups)
    assert (other != groups).any()


@pytest.mark.parametrize("num_parties", [0, 12])
def test_impossible_groups_are_refused(num_parties):
    labels = np.array([0] * 7 + [1] * 11)
    with pytest.raises(
        ValueError, match=rf"num_parties={num_parties}: must be in \[1, 11\]"
    ):
        group_patches(labels, labels, num_parties, seed=0)


def test_copy_beside_the_folder_of_the_archive_is_not_read(tmp_path):
    """The archive has every patient twice."""
    write_bhi(tmp_path / "bhi", per_class=5)
    write_bhi(tmp_path / "bhi" / "IDC_regular_ps50_idx5", per_class=5)
    dataset = load("bhi", tmp_path)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 10


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"'bhi_2'; looked for \*/\[01\]/\*.png in"):
        load("bhi_2", tmp_path)
    write_bhi(tmp_path / "bhi")
    with pytest.raises(DataError, match=r"num_parties=8: must be in \[1, 4\]"):
        load("bhi_8", tmp_path)
    next((tmp_path / "bhi/8864/1").iterdir()).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"8864/1/.*png cannot be read as a picture"):
        load("bhi", tmp_path)

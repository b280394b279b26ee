import gzip
import importlib.util
import lzma
import struct
import warnings

import numpy as np
import pytest

from vfljax.data import DataError, load

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


def idx_bytes(array):
    """The IDX format, written from its description: type 8, axes, sizes, bytes."""
    header = struct.pack(">HBB", 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def tiny_idx_arrays(num_train=7, num_test=4):
    rng = np.random.default_rng(0)
    return {
        IDX_FILES[0]: rng.integers(0, 256, (num_train, 28, 28), np.uint8),
        IDX_FILES[1]: np.arange(num_train, dtype=np.uint8) % 10,
        IDX_FILES[2]: rng.integers(0, 256, (num_test, 28, 28), np.uint8),
        IDX_FILES[3]: 9 - np.arange(num_test, dtype=np.uint8) % 10,
    }


def write_idx(folder, ending="", **kwargs):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = tiny_idx_arrays(**kwargs)
    for name, array in arrays.items():
        (folder / f"{name}{ending}").write_bytes(PACKERS[ending](idx_bytes(array)))
    return arrays


# Original files: MNIST's format.


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", ""),
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("fashion_mnist", "FashionMNIST/raw"),
        ("fashion_mnist", "fashion_mnist"),
    ],
)
def test_idx_files_become_the_arrays_written(tmp_path, unchecked, name, folder, ending):
    arrays = write_idx(tmp_path / folder, ending)
    dataset = load(name, tmp_path)
    for part, images, labels in (
        ("train", IDX_FILES[0], IDX_FILES[1]),
        ("test", IDX_FILES[2], IDX_FILES[3]),
    ):
        features = getattr(dataset, f"{part}_features")
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, arrays[images] / np.float32(255))
        np.testing.assert_array_equal(
            getattr(dataset, f"{part}_labels"), arrays[labels]
        )
    assert dataset.class_names[9] == ("9" if name == "mnist" else "Ankle boot")
    assert str(tmp_path) in dataset.origin


def test_a_folder_with_the_set_s_name_goes_before_the_data_folder(tmp_path, unchecked):
    write_idx(tmp_path, num_train=6)
    write_idx(tmp_path / "fashion_mnist", num_train=5)
    assert len(load("fashion_mnist", tmp_path).train_labels) == 5
    assert len(load("mnist", tmp_path).train_labels) == 6


def test_environment_variable_stands_in_for_data_dir(tmp_path, unchecked, monkeypatch):
    write_idx(tmp_path)
    monkeypatch.setenv("VFLJAX_DATA", str(tmp_path))
    assert len(load("mnist").train_labels) == 7


def truncated(content):
    return gzip.compress(content)[:-20]


def wrong_magic(content):
    return gzip.compress(b"\x00\x00\x0d\x03" + content[4:])


def one_byte_short(content):
    return gzip.compress(content[:-1])


def one_byte_long(content):
    return gzip.compress(content + b"\x00")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncated, "cannot be read: EOFError"),
        (wrong_magic, "begins with 00 00 0d 03, not 00 00 08 03"),
        (one_byte_short, r"promises 7 x 28 x 28 bytes, 5487 follow"),
        (one_byte_long, r"promises 7 x 28 x 28 bytes, 5489 follow"),
        (lambda content: b"no gzip", "cannot be read: BadGzipFile"),
        (lambda content: gzip.compress(b""), "begins with nothing"),
    ],
)
def test_damaged_idx_file_is_named(tmp_path, unchecked, damage, reason):
    arrays = write_idx(tmp_path, ".gz")
    path = tmp_path / f"{IDX_FILES[0]}.gz"
    path.write_bytes(damage(idx_bytes(arrays[IDX_FILES[0]])))
    with pytest.raises(DataError, match=rf"{IDX_FILES[0]}\.gz .*{reason}") as caught:
        load("mnist", tmp_path)
    assert "\n" not in str(caught.value)


def test_corrupt_xz_file_is_named(tmp_path, unchecked):
    write_idx(tmp_path, ".xz")
    path = tmp_path / f"{IDX_FILES[3]}.xz"
    path.write_bytes(path.read_bytes()[:-15])
    with pytest.raises(DataError, match=f"{IDX_FILES[3]}.xz cannot be read"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([1, 2, 3], r"train_labels.shape=\(3,\): must be \(7,\)"),
        ([1, 2, 3, 4, 5, 6, 10], r"train_labels\[6\]=10: must be an integer 0 to 9"),
        ([4, 4, 4, 4, 4, 4, 4], r"train_labels=\{4\}: must be of two or more"),
    ],
)
def test_labels_that_do_not_fit_the_images(
    tmp_path, unchecked, unchecked_types, labels, reason
):
    write_idx(tmp_path)
    (tmp_path / IDX_FILES[1]).write_bytes(idx_bytes(np.array(labels, np.uint8)))
    with pytest.raises(DataError, match=f"mnist, original files.*{reason}"):
        load("mnist", tmp_path)


# Checksums.


def test_published_files_pass_in_every_packing(tmp_path, data_dir):
    """Unpacked and packed again, the real files still count as the published ones."""
    for ending, name in zip(("", ".xz", ".gz", ""), IDX_FILES, strict=True):
        content = gzip.decompress((data_dir / "mnist" / f"{name}.gz").read_bytes())
        packed = content if ending == "" else PACKERS[ending](content[:])
        (tmp_path / f"{name}{ending}").write_bytes(packed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load("mnist", tmp_path)
    assert dataset.train_features.shape == (60000, 28, 28)


def test_one_set_is_not_taken_for_another(data_dir):
    """MNIST and Fashion-MNIST have the same file names; the checksums tell."""
    reason = "is not the file .* of 'fashion_mnist', but .* of 'mnist'"
    with pytest.raises(DataError, match=reason):
        load("fashion_mnist", data_dir / "mnist")


# Missing data.


@pytest.fixture
def no_default_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("VFLJAX_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))


def test_missing_data_message_names_files_folders_and_remedy(
    tmp_path, no_default_folders
):
    with pytest.raises(DataError) as caught:
        load("mnist", tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    folders = [tmp_path, tmp_path / "mnist", tmp_path / "tensorflow_datasets" / "mnist"]
    for part in ("'mnist'", *IDX_FILES, *map(str, folders)):
        assert part in message
    assert "--data-dir or VFLJAX_DATA" in message
    assert "vfljax[tfds]" not in message  # it is installed here
    assert str(tmp_path / "default") not in message  # a folder was given


def test_missing_data_message_without_any_folder(tmp_path, no_default_folders):
    with pytest.raises(DataError, match="no folder, as none was given") as caught:
        load("cifar100")
    assert str(tmp_path / "default" / "cifar100") in str(caught.value)


def test_missing_data_message_says_which_file_is_lacking(tmp_path):
    write_idx(tmp_path / "mnist")
    (tmp_path / "mnist" / IDX_FILES[2]).unlink()
    with pytest.raises(DataError, match=f"mnist lacks only {IDX_FILES[2]};"):
        load("mnist", tmp_path)


def test_missing_data_message_without_tfds_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'vfljax\[tfds\]'"):
        load("mnist", tmp_path)


# Prepared data.


def test_original_files_go_before_prepared_data(tmp_path, prepared_mnist, unchecked):
    (tmp_path / "tensorflow_datasets").symlink_to(prepared_mnist[0])
    write_idx(tmp_path)
    assert len(load("mnist", tmp_path).train_labels) == 7


# Real data.


def test_real_mnist(data_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the files are the published ones
        dataset = load("mnist", data_dir)
    assert dataset.train_features.shape == (60000, 28, 28)
    assert dataset.test_features.shape == (10000, 28, 28)
    # The published class counts, and the mean pixel .1307 that everybody normalizes by
    assert np.bincount(dataset.train_labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip
    mean = dataset.train_features.mean(dtype=float)
    np.testing.assert_allclose(mean, 0.1307, atol=5e-5)

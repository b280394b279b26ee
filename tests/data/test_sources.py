import collections
import gzip
import hashlib
import importlib.util
import lzma
import os
import pickle
import struct
import warnings
from typing import Any

import numpy as np
import pytest

from vfljax.data import formats, sources
from vfljax.data.sources import DATASETS, DataError, check_dataset, load, make_dataset

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


def python2_pickle(entries):
    """A pickle as Python 2 wrote it: protocol 2, texts as the old string type.

    Python 3 cannot write that type, so the opcodes are put together here, as far as
    CIFAR needs them: lists of small numbers or texts, texts, and arrays of bytes.
    """

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value  # BINSTRING

    def number(value):
        return b"J" + struct.pack("<i", value)

    def encode(value):
        if isinstance(value, np.ndarray):
            shape = b"(" + b"".join(number(size) for size in value.shape) + b"t"
            dtype = (
                b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R("
                + number(3) + text(b"|") + b"NNN" + number(-1) * 2 + number(0) + b"tb"
            )  # fmt: skip
            start = (
                b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
                + number(0) + b"\x85" + text(b"b") + b"\x87R("
            )  # fmt: skip
            content = text(value.tobytes())
            return start + number(1) + shape + dtype + b"\x89" + content + b"tb"
        if isinstance(value, list):
            return b"](" + b"".join(map(encode, value)) + b"e"
        return number(value) if isinstance(value, int) else text(value.encode())

    items = b"".join(text(k.encode()) + encode(v) for k, v in entries.items())
    return b"\x80\x02}(" + items + b"u."


def tiny_cifar_batch(seed, num_rows=3, label_key="labels", num_classes=10):
    rng = np.random.default_rng(seed)
    return {
        "data": rng.integers(0, 256, (num_rows, 3072), np.uint8),
        label_key: [(seed + row) % num_classes for row in range(num_rows)],
        "filenames": [f"image_{row}.png" for row in range(num_rows)],
    }


def write_cifar10(folder, ending="", dump=python2_pickle):
    folder.mkdir(parents=True)
    batches = {f"data_batch_{n}": tiny_cifar_batch(n) for n in range(1, 6)}
    batches["test_batch"] = tiny_cifar_batch(6, num_rows=2)
    names = {"label_names": [f"kind {number}" for number in range(10)]}
    for name, entries in {**batches, "batches.meta": names}.items():
        (folder / f"{name}{ending}").write_bytes(PACKERS[ending](dump(entries)))
    return batches


@pytest.fixture
def unchecked(monkeypatch):
    """Lets tiny files pass as the published ones, so that only reading is tested."""

    def read(name, paths):
        return {file: formats.read_content(path) for file, path in paths.items()}

    monkeypatch.setattr(sources, "_read_verified", read)


# Bundled digits.


def test_digits_are_scaled_named_and_split_the_same_way_every_time():
    first, second = load("digits"), load("digits")
    check_dataset(first)
    assert first.train_features.shape == (1437, 8, 8)
    assert first.test_features.shape == (360, 8, 8)
    assert first.train_features.dtype == np.float32
    assert first.train_labels.dtype == np.int32
    assert (first.train_features.min(), first.train_features.max()) == (0, 1)
    assert first.feature_names is not None
    assert first.feature_names[:9:8] == ("pixel_0_0", "pixel_1_0")
    assert first.class_names == tuple("0123456789")
    np.testing.assert_array_equal(first.test_labels, second.test_labels)
    np.testing.assert_array_equal(first.test_features, second.test_features)
    # 360 of 1797 rows, so every class has a fifth of its rows in the test part
    shares = np.bincount(first.test_labels) / (
        np.bincount(first.test_labels) + np.bincount(first.train_labels)
    )
    np.testing.assert_allclose(shares, 360 / 1797, atol=0.005)


def test_digits_parts_are_disjoint_and_together_the_whole_set():
    from sklearn.datasets import load_digits

    def rows_of(images, labels):
        return collections.Counter(
            (np.rint(image * 16).astype(int).tobytes(), int(label))
            for image, label in zip(images, labels, strict=True)
        )

    dataset = load("digits")
    digits: Any = load_digits()
    assert rows_of(dataset.train_features, dataset.train_labels) + rows_of(
        dataset.test_features, dataset.test_labels
    ) == rows_of(digits.images / 16, digits.target)


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
        ([1, 2, 3], r"train_labels has shape \(3,\).*\(7,\)"),
        ([1, 2, 3, 4, 5, 6, 10], "train_labels has 10 in row 6.*0 to 9"),
        ([4, 4, 4, 4, 4, 4, 4], "train_labels has the single class 4"),
    ],
)
def test_labels_that_do_not_fit_the_images(tmp_path, unchecked, labels, reason):
    write_idx(tmp_path)
    (tmp_path / IDX_FILES[1]).write_bytes(idx_bytes(np.array(labels, np.uint8)))
    with pytest.raises(DataError, match=f"mnist, original files.*{reason}"):
        load("mnist", tmp_path)


# Original files: CIFAR's format.


def python3_pickle(entries):
    return pickle.dumps(entries, protocol=2)


def newest_pickle(entries):
    return pickle.dumps(entries, protocol=5)


@pytest.mark.parametrize("dump", [python2_pickle, python3_pickle, newest_pickle])
@pytest.mark.parametrize("ending", PACKERS)
def test_cifar10_batches_are_joined_in_order(tmp_path, unchecked, dump, ending):
    batches = write_cifar10(tmp_path / "cifar-10-batches-py", ending, dump)
    dataset = load("cifar10", tmp_path)
    assert dataset.train_features.shape == (15, 32, 32, 3)
    assert dataset.test_features.shape == (2, 32, 32, 3)
    assert dataset.train_features.dtype == np.float32
    assert dataset.class_names[3] == "kind 3"
    # Batch n has the labels n, n + 1, n + 2
    assert dataset.train_labels.tolist() == [
        1,
        2,
        3,
        2,
        3,
        4,
        3,
        4,
        5,
        4,
        5,
        6,
        5,
        6,
        7,
    ]
    # Row 2 of batch 4 is row 11. Its green plane begins at byte 1024, and a plane has
    # 32 bytes a row: the pixel in row 5, column 7 is byte 1024 + 5 * 32 + 7.
    expected = np.float32(batches["data_batch_4"]["data"][2, 1191]) / np.float32(255)
    assert dataset.train_features[11, 5, 7, 1] == expected


def test_python2_pickle_of_these_tests_is_a_real_pickle():
    """The writer above agrees with the standard library's reader."""
    batch = tiny_cifar_batch(1)
    with warnings.catch_warnings():
        # NumPy 2.4 dislikes how NumPy 1 wrote the dtype, which is the point here
        warnings.simplefilter("ignore")
        loaded = pickle.loads(python2_pickle(batch), encoding="latin1")
    np.testing.assert_array_equal(loaded.pop("data"), batch.pop("data"))
    assert loaded == batch


def test_cifar100_has_fine_labels(tmp_path, unchecked):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    names = {
        "fine_label_names": [f"fine {n}" for n in range(100)],
        "coarse_label_names": [f"coarse {n}" for n in range(20)],
    }
    batches = {
        "train": tiny_cifar_batch(40, 9, "fine_labels", 100) | {"coarse_labels": [1]},
        "test": tiny_cifar_batch(95, 4, "fine_labels", 100),
    }
    for name, entries in {**batches, "meta": names}.items():
        (folder / name).write_bytes(python2_pickle(entries))
    dataset = load("cifar100", tmp_path)
    assert dataset.train_labels.tolist() == list(range(40, 49))
    assert dataset.test_labels.tolist() == [95, 96, 97, 98]
    assert len(dataset.class_names) == 100
    assert dataset.class_names[41] == "fine 41"


class CallsTheShell:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_pickle_from_a_stranger_runs_nothing(tmp_path, protocol):
    witness = tmp_path / "witness"
    content = pickle.dumps({"data": CallsTheShell(witness)}, protocol=protocol)
    with pytest.raises(DataError, match=r"names .*mkdir, but only arrays of numbers"):
        formats.read_pickle(content, tmp_path / "data_batch_1")
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps({"labels": np.array([None, 1])}), "an array of object"),
        (b"builtins\neval\n", "cannot be unpickled"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "names builtins.eval"),
        (pickle.dumps([1, 2]), "holds a list instead of a dictionary"),
        (pickle.dumps({"labels": [1]})[:-4], "cannot be unpickled"),
        (b"", "cannot be unpickled: EOFError"),
    ],
)
def test_unreadable_pickle_is_named(tmp_path, content, reason):
    with pytest.raises(DataError, match=f"data_batch_3 .*{reason}"):
        formats.read_pickle(content, tmp_path / "data_batch_3")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": np.zeros((3, 3071), np.uint8)}, "rows of 3072 bytes"),
        ({"data": np.zeros((3, 3072), np.int32)}, "rows of 3072 bytes"),
        ({"data": [1, 2, 3]}, "rows of 3072 bytes"),
        ({"labels": [1, 2]}, "'labels' is not one integer for each of the 3 images"),
        ({"labels": [1, 2, 0.5]}, "'labels' is not one integer"),
        ({"labels": None}, "has no entry 'labels'"),
    ],
)
def test_cifar_batch_with_wrong_entries_is_named(tmp_path, change, reason):
    batch = {**tiny_cifar_batch(1), **change}
    batch = {key: value for key, value in batch.items() if value is not None}
    with pytest.raises(DataError, match=f"data_batch_1 .*{reason}"):
        formats.read_cifar_batch(
            newest_pickle(batch), tmp_path / "data_batch_1", "labels"
        )


# Checksums.


def test_files_that_are_not_as_published_give_one_warning(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10(folder, ".xz")
    with pytest.warns(UserWarning, match="cifar10: .*differs") as caught:
        dataset = load("cifar10", tmp_path)
    assert len(dataset.train_labels) == 15
    assert len(caught) == 1
    message = str(caught[0].message)
    content = lzma.decompress((folder / "data_batch_2.xz").read_bytes())
    assert str(folder / "data_batch_2.xz") in message
    assert hashlib.md5(content).hexdigest() in message
    assert "d4bba439e000b95fd0a9bffe97cbabec" in message
    assert message.count("published ") == 1 + 7  # once in the beginning


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


# Missing data and unknown names.


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


def test_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(DataError, match=r"'cifar_10'.*mean 'cifar10'") as caught:
        load("cifar_10")
    assert all(name in str(caught.value) for name in DATASETS)
    with pytest.raises(DataError, match="unknown data set 'zzz': known are digits"):
        load("zzz")


# A user's own arrays.


def good_arrays() -> dict[str, Any]:
    return {
        "train_features": np.arange(12.0).reshape(4, 3),
        "train_labels": np.array([0, 1, 2, 1]),
        "test_features": np.arange(6, dtype=np.int64).reshape(2, 3),
        "test_labels": np.array([2, 0], np.uint8),
    }


def test_own_arrays_are_converted():
    dataset = make_dataset("own", **good_arrays(), feature_names=["a", "b", "c"])
    assert dataset.train_features.dtype == dataset.test_features.dtype == np.float32
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int32
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.feature_names == ("a", "b", "c")
    np.testing.assert_array_equal(dataset.train_features[2], [6, 7, 8])


def changed(index, value):
    features = good_arrays()["train_features"]
    features[index] = value
    return features


@pytest.mark.parametrize(
    ("argument", "value", "reason"),
    [
        ("train_features", changed((2, 1), np.nan), r"has nan at index \(2, 1\)"),
        ("train_features", changed((3, 0), -np.inf), r"has -inf at index \(3, 0\)"),
        ("train_features", changed((1, 1), 1e300), r"has inf at index \(1, 1\)"),
        ("train_features", np.full((4, 3), "x"), "has dtype <U1"),
        ("train_features", np.zeros(4), r"has shape \(4,\)"),
        ("train_features", np.zeros((0, 3)), r"has shape \(0, 3\)"),
        ("test_features", np.zeros((2, 0)), r"has shape \(2, 0\)"),
        ("test_features", np.zeros((2, 4)), r"has rows of shape \(4,\).*\(3,\)"),
        ("train_labels", np.array([0, 1, 2]), r"has shape \(3,\).*\(4,\)"),
        (
            "train_labels",
            np.array([0.0, 1.0, 2.0, 1.0]),
            r"has dtype float64.*0\.\.C-1",
        ),
        ("train_labels", np.array([0, -1, 2, 1]), r"has -1 in row 1.*0 to 2"),
        ("train_labels", np.array([0, 1, 2**32, 1]), "has 4294967296"),
        ("train_labels", np.array([0, 0, 0, 0]), ".* have 2 but no .* 1;"),
        (
            "test_labels",
            np.array([2, 2**31 - 1]),
            "have 2147483647 but no row of class 3",
        ),
        ("feature_names", ["a", "b"], r"has 2 names.*3 columns"),
        ("feature_names", ["a", "b", "a"], "has 3 names, 2 of them distinct"),
    ],
)
def test_unfit_arrays_are_refused(argument, value, reason):
    arrays = good_arrays()
    arrays[argument] = value
    with pytest.raises(ValueError, match=f"{argument} {reason}"):
        make_dataset("own", **arrays)


def test_labels_are_compared_with_the_class_names():
    with pytest.raises(ValueError, match=r"train_labels has 2 in row 2.*0 to 1"):
        make_dataset("own", **good_arrays(), class_names=["no", "yes"])
    arrays = good_arrays()
    arrays["train_labels"] = np.array([1, 1, 1, 1])
    with pytest.raises(ValueError, match="train_labels has the single class 1"):
        make_dataset("own", **arrays, class_names=["a", "b", "c"])
    # A class without rows is fine where the names say that it exists
    make_dataset("own", **good_arrays(), class_names=["a", "b", "c", "d"])


# Prepared TFDS data.


@pytest.fixture(scope="module")
def prepared_mnist(tmp_path_factory, data_dir):
    """The first 200 rows of each part of MNIST, prepared without TensorFlow."""
    pytest.importorskip("importlib_resources")  # tfds prepares with it
    tfds = pytest.importorskip("tensorflow_datasets")
    image_module = pytest.importorskip("PIL.Image")
    from tensorflow_datasets.image_classification import mnist

    class Mnist(mnist.MNIST, skip_registration=True):
        name = "mnist"

        def _split_generators(self, dl_manager) -> Any:
            del dl_manager
            return {part: self._examples(part) for part in ("train", "test")}

        def _examples(self, part):
            for row, (image, label) in enumerate(zip(*first_rows(part), strict=True)):
                yield row, {"image": image_module.fromarray(image), "label": int(label)}

    def first_rows(part):
        prefix = "train" if part == "train" else "t10k"
        images, labels = (
            gzip.decompress((data_dir / "mnist" / f"{prefix}-{kind}.gz").read_bytes())
            for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        images = np.frombuffer(images, np.uint8, 200 * 784, offset=16)
        return images.reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, 200, 8)

    folder = tmp_path_factory.mktemp("prepared")
    builder = Mnist(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=data_dir / "mnist")
    )
    return folder, first_rows


def sorted_rows(images, labels):
    images = np.rint(np.asarray(images) * 255).astype(np.uint8)
    return sorted(
        (image.tobytes(), int(label))
        for image, label in zip(images, labels, strict=True)
    )


@pytest.mark.parametrize("below", ["", "tensorflow_datasets"])
def test_prepared_tfds_data_are_the_same_examples(tmp_path, prepared_mnist, below):
    folder, first_rows = prepared_mnist
    root = folder
    if below:
        root = tmp_path
        (tmp_path / below).symlink_to(folder)
    dataset = load("mnist", root)
    assert dataset.train_features.shape == (200, 28, 28)
    assert dataset.class_names == tuple("0123456789")
    assert "TFDS" in dataset.origin
    assert "3.0.1" in dataset.origin
    for part in ("train", "test"):
        images, labels = first_rows(part)
        assert sorted_rows(
            getattr(dataset, f"{part}_features"), getattr(dataset, f"{part}_labels")
        ) == sorted_rows(images / 255, labels)


def test_tfds_default_folder_is_tried_where_none_is_given(prepared_mnist, monkeypatch):
    monkeypatch.delenv("VFLJAX_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_mnist[0]))
    assert len(load("mnist").test_labels) == 200


def test_original_files_go_before_prepared_data(tmp_path, prepared_mnist, unchecked):
    (tmp_path / "tensorflow_datasets").symlink_to(prepared_mnist[0])
    write_idx(tmp_path)
    assert len(load("mnist", tmp_path).train_labels) == 7


def test_damaged_prepared_data_are_named(tmp_path, prepared_mnist):
    version = tmp_path / "mnist" / "3.0.1"
    version.mkdir(parents=True)
    for path in (prepared_mnist[0] / "mnist" / "3.0.1").iterdir():
        content = path.read_bytes()
        is_data = "array_record" in path.name
        (version / path.name).write_bytes(content[:-70000] if is_data else content)
    with pytest.raises(
        DataError, match=r"3\.0\.1 cannot be read as prepared"
    ) as caught:
        load("mnist", tmp_path)
    assert "\n" not in str(caught.value)


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


@pytest.mark.slow
def test_real_cifar10(data_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these pickles may lack a key of the original
        dataset = load("cifar10", data_dir)
    assert dataset.train_features.shape == (50000, 32, 32, 3)
    assert np.bincount(dataset.train_labels).tolist() == [5000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1000] * 10
    assert dataset.class_names[dataset.train_labels[0]] == "frog"
    # The channel means .4914, .4822, .4465 that everybody normalizes by: a wrong order
    # of the planes would change them
    means = [dataset.train_features[..., c].mean(dtype=float) for c in range(3)]
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-5)

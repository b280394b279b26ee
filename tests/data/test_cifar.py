import gzip
import hashlib
import lzma
import os
import pickle
import struct
import warnings

import numpy as np
import pytest

from vfljax.data import DataError, cifar, load, pickles

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}


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
        pickles.read_pickle(content, tmp_path / "data_batch_1")
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
        pickles.read_pickle(content, tmp_path / "data_batch_3")


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
        cifar.read_cifar_batch(
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


# Real data.


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

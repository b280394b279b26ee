"""Trained once, kept whole or not at all, and never in the way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.defenses import (
    Autoencoder,
    AutoencoderTraining,
    autoencoder,
    autoencoder_epochs,
    load_autoencoder,
)

SETTINGS = {"num_classes": 3, "entropy_weight": 0.5, "num_epochs": 3}


@pytest.fixture
def trainings(monkeypatch) -> list[dict]:
    """The settings of each toy training begun: three epochs, over at once."""
    begun = []

    class ToyTraining(AutoencoderTraining):
        def init(self, key):
            return jax.random.uniform(key, (self.num_classes, self.num_classes))

        def epoch(self, key, state, entropy_weight):
            begun.append(dataclasses.asdict(self))  # traced once per training
            return state + entropy_weight, jnp.zeros(1)

        def finish(self, state):
            return Autoencoder(codebook=state, decoder={"one": state[0]})

    monkeypatch.setattr(autoencoder, "AutoencoderTraining", ToyTraining)
    return begun


def assert_same(first, second):
    np.testing.assert_array_equal(first.codebook, second.codebook)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for left, right in zip(
        jax.tree.leaves(first), jax.tree.leaves(second), strict=True
    ):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype


def files_in(folder):
    return sorted(folder.rglob("*"))


def test_is_trained_once(trainings, tmp_path):
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    second = load_autoencoder(**SETTINGS, folder=tmp_path)
    assert_same(first, second)
    assert len(trainings) == 1
    (file,) = files_in(tmp_path)
    assert file.suffix == ".npz"


def test_epochs_are_reported_while_it_is_trained(trainings, tmp_path):
    assert list(autoencoder_epochs(**SETTINGS, folder=tmp_path)) == [
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    assert list(autoencoder_epochs(**SETTINGS, folder=tmp_path)) == []


def test_an_abandoned_training_leaves_nothing(trainings, tmp_path):
    epochs = autoencoder_epochs(**SETTINGS, folder=tmp_path)
    next(epochs)
    epochs.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 4},
        {"entropy_weight": 0.25},
        {"seed": 1},
        {"loss": "printed"},
        {"contrast_weight": 0.5},
        {"num_epochs": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_other_files(change, trainings, tmp_path):
    load_autoencoder(**SETTINGS, folder=tmp_path)
    load_autoencoder(**(SETTINGS | change), folder=tmp_path)
    assert len(trainings) == 2
    assert len(files_in(tmp_path)) == 2


def test_the_same_settings_said_otherwise_are_one_file(trainings, tmp_path):
    load_autoencoder(3, 2.0, folder=tmp_path)
    load_autoencoder(
        3, 2, seed=0, contrast_weight=1, num_epochs=10, folder=tmp_path, loss="released"
    )
    assert len(trainings) == 1


def flipped(content, place):
    """One byte of the content is another."""
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive at all",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: flipped(content, content.index(b"\n") + 1),
        lambda content: flipped(content, content.rindex(b"PK\1\2")),
        lambda content: flipped(content, content.rindex(b"PK\1\2") + 10),
    ],
    ids=["empty", "text", "short", "half", "value", "directory", "compression"],
)
def test_a_damaged_file_is_replaced(damage, trainings, tmp_path):
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    (file,) = files_in(tmp_path)
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.write_bytes(damage(whole))
    assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)
    assert len(trainings) == 2
    assert files_in(tmp_path) == [file]
    assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)
    assert len(trainings) == 2


def test_no_flipped_byte_is_believed_or_raised(trainings, tmp_path):
    """Every 67th byte: the file is either found damaged, or its arrays are whole."""
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    (file,) = files_in(tmp_path)
    whole = file.read_bytes()
    for place in range(0, len(whole), 67):
        file.write_bytes(flipped(whole, place))
        assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)


@pytest.mark.parametrize("arrays", [{"0": np.ones((2, 2))}, {"1": np.ones(())}, {}])
def test_arrays_that_do_not_fit_are_replaced(arrays, trainings, tmp_path):
    """Another archive by this name: other shapes, or too few arrays."""
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    (file,) = files_in(tmp_path)
    np.savez(file, **arrays)
    assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)
    assert len(trainings) == 2


def test_a_single_array_by_this_name_is_replaced(trainings, tmp_path):
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    (file,) = files_in(tmp_path)
    with file.open("wb") as opened:
        np.save(opened, np.ones((3, 3)))
    assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)


def test_where_nothing_can_be_kept_it_is_returned_all_the_same(trainings, tmp_path):
    """A file stands where the folder should be, which not even root can change."""
    first = load_autoencoder(**SETTINGS, folder=tmp_path / "kept")
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert_same(load_autoencoder(**SETTINGS, folder=folder), first)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_in_the_place_of_the_file_is_no_tragedy(trainings, tmp_path):
    first = load_autoencoder(**SETTINGS, folder=tmp_path)
    (file,) = files_in(tmp_path)
    file.unlink()
    file.mkdir()
    assert_same(load_autoencoder(**SETTINGS, folder=tmp_path), first)
    assert files_in(tmp_path) == [file]


@pytest.mark.parametrize("interruption", [OSError("disk full"), KeyboardInterrupt()])
def test_half_a_file_is_never_left(interruption, trainings, tmp_path, monkeypatch):
    def save_half(file, **arrays):
        file.write(b"half")
        raise interruption

    monkeypatch.setattr(autoencoder.np, "savez", save_half)
    if isinstance(interruption, OSError):
        load_autoencoder(**SETTINGS, folder=tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            load_autoencoder(**SETTINGS, folder=tmp_path)
    assert files_in(tmp_path) == []


def test_usual_folder(trainings, tmp_path, monkeypatch):
    """VFLJAX_CACHE, else vfljax in XDG_CACHE_HOME, else in ~/.cache; empty is unset."""
    own, xdg, home = tmp_path / "own", tmp_path / "xdg", tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(xdg))
    monkeypatch.setenv("VFLJAX_CACHE", str(own))
    load_autoencoder(**SETTINGS)
    assert files_in(tmp_path)[0] == own
    assert len(list(own.glob("*.npz"))) == 1
    monkeypatch.setenv("VFLJAX_CACHE", "")
    load_autoencoder(**SETTINGS)
    assert len(list((xdg / "vfljax").glob("*.npz"))) == 1
    monkeypatch.delenv("VFLJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    load_autoencoder(**SETTINGS)
    assert len(list((home / ".cache" / "vfljax").glob("*.npz"))) == 1
    assert len(trainings) == 3
    assert len(list(tmp_path.rglob("*.npz"))) == 3


@pytest.mark.slow
def test_is_what_the_training_makes(tmp_path):
    """With the same key: epoch by epoch and weight traced, or one scan and it fixed.

    Rounding differs, and hundreds of steps of Adam amplify that.
    """
    loaded = load_autoencoder(2, 0.5, seed=4, num_epochs=2, folder=tmp_path)
    training = AutoencoderTraining(num_classes=2, num_epochs=2)
    key_init, key_epochs = jax.random.split(jax.random.key(4))
    state, _ = jax.lax.scan(
        lambda state, key: training.epoch(key, state, 0.5),
        training.init(key_init),
        jax.random.split(key_epochs, 2),
    )
    trained = training.finish(state)
    assert jax.tree.structure(loaded) == jax.tree.structure(trained)
    for left, right in zip(
        jax.tree.leaves(loaded), jax.tree.leaves(trained), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)
    again = load_autoencoder(2, 0.5, seed=4, num_epochs=2, folder=tmp_path)
    assert_same(again, loaded)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, r"num_classes=1: must be in \[2"),
        ({"entropy_weight": -1.0}, r"entropy_weight=-1.0: must be in \[0"),
        ({"contrast_weight": -2}, "contrast_weight=-2"),
        ({"num_epochs": 0}, "num_epochs=0"),
        ({"loss": "fate"}, "loss='fate': must be one of released, printed"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_autoencoder(**(SETTINGS | settings), folder=tmp_path)
    assert files_in(tmp_path) == []

"""Trained autoencoders on disk: each is trained once.

A file's name is the digest of everything that its content depends on. The folder is
`$VFLJAX_CACHE`, else `vfljax` in `$XDG_CACHE_HOME` or `~/.cache`; it may be deleted at
any time.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vfljax._checks import check_number
from vfljax.defenses.autoencoder import (
    NUM_EPOCHS,
    Autoencoder,
    Loss,
    autoencoder_training,
)

_RECIPE = 1  # to be raised with every change that changes trained networks


def load_autoencoder(
    num_classes: int, entropy_weight: int | float, **settings: Any
) -> Autoencoder:
    """Returns the autoencoder of these settings, from disk or trained now.

    Arguments and errors are those of `autoencoder_epochs`.
    """
    epochs = autoencoder_epochs(num_classes, entropy_weight, **settings)
    while True:
        try:
            next(epochs)
        except StopIteration as stop:
            return stop.value


def autoencoder_epochs(
    num_classes: int,
    entropy_weight: int | float,
    *,
    seed: int = 0,
    loss: Loss = "released",
    contrast_weight: int | float = 1.0,
    num_epochs: int | None = NUM_EPOCHS,
    folder: Path | None = None,
) -> Generator[tuple[int, int], None, Autoencoder]:
    """As `load_autoencoder`, but yields (done, total) after every epoch trained.

    Args:
        num_classes: As in `train_autoencoder`, which explains the other settings too.
        entropy_weight: λ2.
        seed: Of the training's key.
        loss: Which loss.
        contrast_weight: λ1.
        num_epochs: `None` for the released number.
        folder: Where trained autoencoders are kept; `None` for the usual place.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("entropy_weight", entropy_weight, low=0.0)
    training = autoencoder_training(
        num_classes, loss=loss, contrast_weight=contrast_weight, num_epochs=num_epochs
    )
    settings = {
        "recipe": _RECIPE,
        "num_classes": num_classes,
        "entropy_weight": float(entropy_weight),
        "seed": seed,
        "loss": loss,
        "contrast_weight": float(contrast_weight),
        "num_epochs": training.num_epochs,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    path = (folder or _usual_folder()) / f"autoencoder-{digest[:16]}.npz"
    state = jax.eval_shape(training.init, jax.random.key(0))
    expected = jax.eval_shape(training.finish, state)
    found = _read(path, expected)
    if found is not None:
        return found
    key_init, key_epochs = jax.random.split(jax.random.key(seed))
    state, one_epoch = training.init(key_init), jax.jit(training.epoch)
    for number, key in enumerate(jax.random.split(key_epochs, training.num_epochs)):
        state, _ = one_epoch(key, state, float(entropy_weight))
        jax.block_until_ready(state)
        yield number + 1, training.num_epochs
    trained = training.finish(state)
    _write(path, trained)
    return trained


def _usual_folder():
    if folder := os.environ.get("VFLJAX_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vfljax"


def _read(path, expected):
    """The autoencoder in a file; `None` if there is none that is whole."""
    try:
        with path.open("rb") as file, np.load(file) as content:
            leaves = [content[str(i)] for i in range(len(jax.tree.leaves(expected)))]
    except Exception:  # one flipped bit can raise any of ten types
        return None
    shapes = [leaf.shape for leaf in jax.tree.leaves(expected)]
    if [leaf.shape for leaf in leaves] != shapes:
        return None
    return jax.tree.unflatten(jax.tree.structure(expected), map(jnp.asarray, leaves))


def _write(path, autoencoder):
    """Keeps an autoencoder, complete or not at all; a full disk is no tragedy."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    arrays: Any = {
        str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(autoencoder))
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):  # raised by a read-only disk, file or no
            temporary.unlink(missing_ok=True)

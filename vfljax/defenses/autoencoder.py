"""The confusional autoencoder, its losses and its training.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), section 6. An encoder e maps every
label to a soft label ỹ = e(y) of which the true class is not the most likely one, a
decoder d finds it again, ŷ = d(ỹ). The model is trained on ỹ; a prediction is
d(softmax(H)) (`vfljax.defenses.cae`). Eq. 15:

    L = CE(y, ŷ) − λ1·CE(y, ỹ) − λ2·Entropy(ỹ)

Both networks are fc((6C + 2)²)-ReLU-fc(C)-softmax. Only C labels exist, so an encoder
is a table of C soft labels, one per class: names are hidden, classes are not.

Each autoencoder is trained once: `load_autoencoder` keeps it in a file whose name is
the digest of everything that its content depends on. The folder is `$VFLJAX_CACHE`,
else `vfljax` in `$XDG_CACHE_HOME` or `~/.cache`; it may be deleted at any time.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from vfljax._checks import NOT_NEGATIVE, check_fields, check_number

Loss = Literal["released", "printed"]

_RECIPE = 1  # to be raised with every change that changes trained networks
_NUM_LABELS = 30_000  # released code: drawn once; there, unlike here, never shuffled
_BATCH_SIZE = 128
_FLOOR = 1e-6  # of the true class's probability, printed loss
_RELEASED = {2: 50, 5: 20, 10: 50, 20: 30, 100: 50}  # epochs by C


class Autoencoder(NamedTuple):
    """A trained pair of networks, as far as anybody ever uses it."""

    codebook: Float[Array, "classes classes"]  # row c is the soft label ỹ of class c
    decoder: Any  # parameters of d


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderTraining:
    """The training of encoder and decoder, pure functions for a loop of one's own.

    The published code's loss ("released"): inputs are 30,000 random soft labels
    softmax(z/T), z uniform in [0, 1], T = .025 (.028 for C = 20, .05 for 100);
    reconstruction weighs 10; cross-entropies take the log-softmax of outputs that are
    softmaxed already, which bounds them; the entropy is the *mean* over all entries, a
    Cth of Entropy(ỹ). The other one ("printed") is Eq. 15 with weights 1, λ1, λ2 on
    random one-hot labels. Printed, it has no lower bound; the probability of the true
    class is floored at 1e-6 in the contrast term. Every epoch is shuffled here, which
    the released code leaves out.

    Hidden width, temperature and rate are the released ones where there are such:
    (6C + 2)² units and Adam 5e-4 up to 20 classes, (2C + 2)² units beyond and Adam
    1e-5 from 100 on. An option outside its range raises a `ValueError`.
    """

    num_classes: int
    """C >= 2."""
    loss: Loss = "released"
    """Which loss, and which labels."""
    contrast_weight: int | float = 1.0
    """Weight λ1, at least 0, of the difference between labels and codes."""
    num_epochs: int | None = 10
    """At least 1; None for what the released code runs, see `epochs`."""

    def __post_init__(self):
        """Checks the options."""
        check_fields(self, {"num_classes": {"low": 2}, "contrast_weight": NOT_NEGATIVE})
        check_number("num_epochs", self.epochs, low=1)

    @property
    def epochs(self) -> int:
        """How many epochs it has: those of the nearest published C, if not said."""
        if self.num_epochs is not None:
            return int(self.num_epochs)
        nearest = min(_RELEASED, key=lambda c: abs(math.log(c / self.num_classes)))
        return _RELEASED[nearest]

    def init(self, key: Key[Array, ""]) -> Any:
        """The state before the first epoch: weights, and the labels drawn for all."""
        num_classes = self.num_classes
        key_labels, key_encoder, key_decoder = jax.random.split(key, 3)
        hidden = ((6 if num_classes <= 20 else 2) * num_classes + 2) ** 2
        params = {
            "encoder": _init_network(key_encoder, num_classes, hidden),
            "decoder": _init_network(key_decoder, num_classes, hidden),
        }
        return params, self._optimizer.init(params), self._draw_labels(key_labels)

    def epoch(
        self, key: Key[Array, ""], state: Any, entropy_weight: Any
    ) -> tuple[Any, Float[Array, " steps"]]:
        """The state after an epoch with λ2 >= 0, and the loss of each step.

        Published are λ2 of 0, 0.05, 0.1, 0.5, 1 and 2; it may be traced.
        """
        params, optimizer_state, labels = state
        order = jax.random.permutation(key, _NUM_LABELS)
        num_steps = _NUM_LABELS // _BATCH_SIZE
        batches = order[: num_steps * _BATCH_SIZE].reshape(num_steps, _BATCH_SIZE)

        def step(carry, rows):
            params, optimizer_state = carry
            value, gradient = jax.value_and_grad(self._loss)(
                params, labels[rows], entropy_weight
            )
            updates, optimizer_state = self._optimizer.update(gradient, optimizer_state)
            return (optax.apply_updates(params, updates), optimizer_state), value

        carry, losses = jax.lax.scan(step, (params, optimizer_state), batches)
        return (*carry, labels), losses

    def finish(self, state: Any) -> Autoencoder:
        """What is kept of a state."""
        params = state[0]
        codebook = jax.nn.softmax(network(params["encoder"], jnp.eye(self.num_classes)))
        return Autoencoder(codebook=codebook, decoder=params["decoder"])

    def _draw_labels(self, key):
        shape = (_NUM_LABELS, self.num_classes)
        if self.loss == "printed":
            classes = jax.random.randint(key, shape[:1], 0, self.num_classes)
            return jax.nn.one_hot(classes, self.num_classes)
        few, some = self.num_classes <= 10, self.num_classes <= 20
        temperature = 0.025 if few else 0.028 if some else 0.05
        # Sharpening a softmax, p^(1/T) normalized, is a softmax at temperature T.
        return jax.nn.softmax(jax.random.uniform(key, shape) / temperature)

    def _loss(self, params, labels, entropy_weight):
        code_logits = network(params["encoder"], labels)
        code = jax.nn.softmax(code_logits)
        decoded_logits = network(params["decoder"], code)
        if self.loss == "released":
            decoded = jax.nn.softmax(decoded_logits)
            entropy = -jnp.mean(code * jnp.log(code + 1e-6))
            reconstruction = 10.0 * _cross_entropy(labels, jax.nn.log_softmax(decoded))
            contrast = _cross_entropy(labels, jax.nn.log_softmax(code))
        else:
            entropy = _cross_entropy(code, jax.nn.log_softmax(code_logits))
            reconstruction = _cross_entropy(labels, jax.nn.log_softmax(decoded_logits))
            contrast = _cross_entropy(labels, jnp.log(jnp.maximum(code, _FLOOR)))
        return (
            reconstruction - self.contrast_weight * contrast - entropy_weight * entropy
        )

    @property
    def _optimizer(self):
        return optax.adam(5e-4 if self.num_classes < 100 else 1e-5)


def codebook_entropy(codebook: Float[Array, "classes classes"]) -> Float[Array, ""]:
    """Mean entropy of the soft labels over log C, in [0, 1]: how confused they are."""
    entropy = jnp.sum(jax.scipy.special.entr(codebook), axis=1)
    return jnp.mean(entropy) / jnp.log(len(codebook))


def _cross_entropy(targets, log_probabilities):
    return -jnp.mean(jnp.sum(targets * log_probabilities, axis=1))


def _init_network(key, num_classes, hidden):
    """Weights from N(0, .01²), biases zero, as in the released code."""

    def layer(key, *shape):
        kernel = 0.01 * jax.random.normal(key, shape)
        return {"kernel": kernel, "bias": jnp.zeros((1, shape[1]))}

    key_hidden, key_output = jax.random.split(key)
    return {
        "hidden": layer(key_hidden, num_classes, hidden),
        "output": layer(key_output, hidden, num_classes),
    }


def network(
    params: Any, inputs: Float[Array, "batch classes"]
) -> Float[Array, "batch classes"]:
    """One hidden layer with ReLU."""
    hidden = inputs @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    return jax.nn.relu(hidden) @ params["output"]["kernel"] + params["output"]["bias"]


def load_autoencoder(
    num_classes: int, entropy_weight: int | float, **options: Any
) -> Autoencoder:
    """Returns an autoencoder from disk or trained now, see `autoencoder_epochs`."""
    epochs = autoencoder_epochs(num_classes, entropy_weight, **options)
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
    folder: Path | None = None,
    **options: Any,
) -> Generator[tuple[int, int], None, Autoencoder]:
    """As `load_autoencoder`, but yields (done, total) after every epoch trained.

    Args:
        num_classes: C >= 2.
        entropy_weight: λ2 >= 0.
        seed: Of the training's key.
        folder: Where trained autoencoders are kept; `None` for the usual place.
        options: Other fields of `AutoencoderTraining`.
    """
    check_number("entropy_weight", entropy_weight, low=0.0)
    training = AutoencoderTraining(num_classes=num_classes, **options)
    settings = dataclasses.asdict(training) | {
        "recipe": _RECIPE,
        "entropy_weight": float(entropy_weight),
        "contrast_weight": float(training.contrast_weight),
        "num_epochs": training.epochs,
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    path = (folder or _usual_folder()) / f"autoencoder-{digest[:16]}.npz"
    state = jax.eval_shape(training.init, jax.random.key(0))
    found = _read(path, jax.eval_shape(training.finish, state))
    if found is not None:
        return found
    key_init, key_epochs = jax.random.split(jax.random.key(seed))
    state, one_epoch = training.init(key_init), jax.jit(training.epoch)
    keys = jax.random.split(key_epochs, training.epochs)
    for number, key in enumerate(keys, start=1):
        state, _ = one_epoch(key, state, float(entropy_weight))
        jax.block_until_ready(state)
        yield number, len(keys)
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
    wanted, structure = jax.tree.flatten(expected)
    try:
        with path.open("rb") as file, np.load(file) as content:
            leaves = [content[str(place)] for place in range(len(wanted))]
    except Exception:  # one flipped bit can raise any of ten types
        return None
    if [leaf.shape for leaf in leaves] != [leaf.shape for leaf in wanted]:
        return None
    return jax.tree.unflatten(structure, map(jnp.asarray, leaves))


def _write(path, autoencoder):
    """Keeps an autoencoder, complete or not at all; a full disk is no tragedy."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    leaves = enumerate(jax.tree.leaves(autoencoder))
    arrays: Any = {str(place): np.asarray(leaf) for place, leaf in leaves}
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

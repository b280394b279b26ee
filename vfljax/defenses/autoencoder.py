"""The confusional autoencoder, its losses and its training.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), section 6. An encoder e maps every
label to a soft label ỹ = e(y) of which the true class is not the most likely one, a
decoder d finds it again, ŷ = d(ỹ). The model is trained on ỹ; a prediction is
d(softmax(H)) (`vfljax.defenses.cae`). Eq. 15:

    L = CE(y, ŷ) − λ1·CE(y, ỹ) − λ2·Entropy(ỹ)

Both networks are fc((6C + 2)²)-ReLU-fc(C)-softmax. Only C labels exist, so an encoder
is a table of C soft labels, one per class: names are hidden, classes are not.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from vfljax._checks import check_choice, check_number
from vfljax.defenses.base import Number

Loss = Literal["released", "printed"]

NUM_EPOCHS = 10  # by default; enough to hide the names, see `CAE.num_epochs`
_NUM_LABELS = 30_000  # released code: drawn once; there, unlike here, never shuffled
_BATCH_SIZE = 128
_FLOOR = 1e-6  # of the true class's probability, printed loss
_RELEASED_EPOCHS = {2: 50, 5: 20, 10: 50, 20: 30, 100: 50}


class Autoencoder(NamedTuple):
    """A trained pair of networks, as far as anybody ever uses it.

    Attributes:
        codebook: Row c is the soft label ỹ of class c.
        decoder: Parameters of d.
    """

    codebook: Float[Array, "classes classes"]
    decoder: Any


class AutoencoderTraining(NamedTuple):
    """The training as a loop of one's own.

    Attributes:
        init: `init(key) -> state`.
        epoch: `epoch(key, state, entropy_weight) -> (state, losses)`.
        finish: `finish(state) -> Autoencoder`.
        num_epochs: As many as the released code runs, or as asked for.
    """

    init: Callable[..., Any]
    epoch: Callable[..., tuple[Any, Float[Array, " steps"]]]
    finish: Callable[[Any], Autoencoder]
    num_epochs: int


def train_autoencoder(
    key: Key[Array, ""],
    entropy_weight: Number,
    *,
    num_classes: int,
    loss: Loss = "released",
    contrast_weight: int | float = 1.0,
    num_epochs: int | None = NUM_EPOCHS,
) -> Autoencoder:
    """Trains encoder and decoder, pure and to be jitted by the caller.

    Args:
        key: For weights, labels and order.
        entropy_weight: λ2 >= 0, published 0, 0.05, 0.1, 0.5, 1 and 2. May be traced.
        num_classes: C >= 2.
        loss: `"released"`, as the published code: inputs are 30,000 random soft labels
            softmax(z/T), z uniform in [0, 1], T = .025 (.028 for C = 20, .05 for 100);
            reconstruction weighs 10; cross-entropies take the log-softmax of outputs
            that are softmaxed already, which bounds them; the entropy is the *mean*
            over all entries, a Cth of Entropy(ỹ). `"printed"`: Eq. 15 with weights
            1, λ1, λ2 on random one-hot labels. Printed, it has no lower bound; the
            probability of the true class is floored at 1e-6 in the contrast term.
            Every epoch is shuffled here, which the released code leaves out.
        contrast_weight: λ1 >= 0.
        num_epochs: >= 1; `None` for the released number, 20 to 50 by C.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("entropy_weight", entropy_weight, low=0.0)
    training = autoencoder_training(
        num_classes, loss=loss, contrast_weight=contrast_weight, num_epochs=num_epochs
    )
    key_init, key_epochs = jax.random.split(key)
    state, _ = jax.lax.scan(
        lambda state, epoch_key: training.epoch(epoch_key, state, entropy_weight),
        training.init(key_init),
        jax.random.split(key_epochs, training.num_epochs),
    )
    return training.finish(state)


def autoencoder_training(
    num_classes: int,
    *,
    loss: Loss = "released",
    contrast_weight: int | float = 1.0,
    num_epochs: int | None = NUM_EPOCHS,
) -> AutoencoderTraining:
    """The parts of `train_autoencoder`, with the same arguments and errors.

    Hidden width, temperature and rate are the released ones where there are such:
    (6C + 2)² units and Adam 5e-4 up to 20 classes, (2C + 2)² units beyond and Adam
    1e-5 from 100 on. The number of epochs is that of the nearest published C.
    """
    check_number("num_classes", num_classes, low=2)
    check_choice("loss", loss, ("released", "printed"))
    check_number("contrast_weight", contrast_weight, low=0.0)
    if num_epochs is None:
        nearest = min(_RELEASED_EPOCHS, key=lambda c: abs(math.log(c / num_classes)))
        num_epochs = _RELEASED_EPOCHS[nearest]
    check_number("num_epochs", num_epochs, low=1)
    hidden = ((6 if num_classes <= 20 else 2) * num_classes + 2) ** 2
    temperature = 0.025 if num_classes <= 10 else 0.028 if num_classes <= 20 else 0.05
    optimizer = optax.adam(5e-4 if num_classes < 100 else 1e-5)
    loss_of = _released_loss if loss == "released" else _printed_loss

    def draw_labels(key):
        if loss == "printed":
            classes = jax.random.randint(key, (_NUM_LABELS,), 0, num_classes)
            return jax.nn.one_hot(classes, num_classes)
        uniform = jax.random.uniform(key, (_NUM_LABELS, num_classes))
        # Sharpening a softmax, p^(1/T) normalized, is a softmax at temperature T.
        return jax.nn.softmax(uniform / temperature)

    def init(key):
        key_labels, key_encoder, key_decoder = jax.random.split(key, 3)
        params = {
            "encoder": _init_network(key_encoder, num_classes, hidden),
            "decoder": _init_network(key_decoder, num_classes, hidden),
        }
        return params, optimizer.init(params), draw_labels(key_labels)

    def epoch(key, state, entropy_weight):
        params, optimizer_state, labels = state
        order = jax.random.permutation(key, _NUM_LABELS)
        num_steps = _NUM_LABELS // _BATCH_SIZE
        batches = order[: num_steps * _BATCH_SIZE].reshape(num_steps, _BATCH_SIZE)

        def step(carry, rows):
            params, optimizer_state = carry
            value, gradient = jax.value_and_grad(loss_of)(
                params, labels[rows], contrast_weight, entropy_weight
            )
            updates, optimizer_state = optimizer.update(gradient, optimizer_state)
            return (optax.apply_updates(params, updates), optimizer_state), value

        carry, losses = jax.lax.scan(step, (params, optimizer_state), batches)
        return (*carry, labels), losses

    def finish(state):
        params = state[0]
        codebook = jax.nn.softmax(network(params["encoder"], jnp.eye(num_classes)))
        return Autoencoder(codebook=codebook, decoder=params["decoder"])

    return AutoencoderTraining(init, epoch, finish, int(num_epochs))


def codebook_entropy(codebook: Float[Array, "classes classes"]) -> Float[Array, ""]:
    """Mean entropy of the soft labels over log C, in [0, 1]: how confused they are."""
    entropy = jnp.sum(jax.scipy.special.entr(codebook), axis=1)
    return jnp.mean(entropy) / jnp.log(len(codebook))


def _released_loss(params, labels, contrast_weight, entropy_weight):
    code = jax.nn.softmax(network(params["encoder"], labels))
    decoded = jax.nn.softmax(network(params["decoder"], code))
    entropy = -jnp.mean(code * jnp.log(code + 1e-6))
    return (
        10.0 * _cross_entropy(labels, jax.nn.log_softmax(decoded))
        - contrast_weight * _cross_entropy(labels, jax.nn.log_softmax(code))
        - entropy_weight * entropy
    )


def _printed_loss(params, labels, contrast_weight, entropy_weight):
    code_logits = network(params["encoder"], labels)
    code = jax.nn.softmax(code_logits)
    decoded_logits = network(params["decoder"], code)
    entropy = jnp.mean(-jnp.sum(code * jax.nn.log_softmax(code_logits), axis=1))
    contrast = _cross_entropy(labels, jnp.log(jnp.maximum(code, _FLOOR)))
    return (
        _cross_entropy(labels, jax.nn.log_softmax(decoded_logits))
        - contrast_weight * contrast
        - entropy_weight * entropy
    )


def _cross_entropy(targets, log_probabilities):
    return -jnp.mean(jnp.sum(targets * log_probabilities, axis=1))


def _init_network(key, num_classes, hidden):
    """Weights from N(0, .01²), biases zero, as in the released code."""
    key_hidden, key_output = jax.random.split(key)
    return {
        "hidden": {
            "kernel": 0.01 * jax.random.normal(key_hidden, (num_classes, hidden)),
            "bias": jnp.zeros((1, hidden)),
        },
        "output": {
            "kernel": 0.01 * jax.random.normal(key_output, (hidden, num_classes)),
            "bias": jnp.zeros((1, num_classes)),
        },
    }


def network(
    params: Any, inputs: Float[Array, "batch classes"]
) -> Float[Array, "batch classes"]:
    """One hidden layer with ReLU."""
    hidden = inputs @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    return jax.nn.relu(hidden) @ params["output"]["kernel"] + params["output"]["bias"]

"""Training a vertical protocol: one scan over batches of data on the device."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vfljax._checks import require
from vfljax.protocol.records import ProtocolState
from vfljax.protocol.step import VerticalProtocol, check_labels


def train(
    protocol: VerticalProtocol,
    key: Key[Array, ""],
    state: ProtocolState,
    features: Sequence[Float[Array, "samples ..."]],
    labels: Int[Array, " samples"],
    batches: Int[Array, "steps batch"],
    first_step: int = 0,
) -> tuple[ProtocolState, Float[Array, " steps"]]:
    """Trains for one step per row of `batches`, as one scan over data on the device.

    Args:
        protocol: What happens in each step.
        key: For the defense and dropout; step t uses `fold_in(key, t)`.
        state: From `protocol.init` or an earlier call.
        features: One array per party, of all samples, like the labels.
        labels: In [0, C).
        batches: Sample numbers of each step, such as from `epoch_batches`.
        first_step: Number t of the first step, where a training goes on.

    Returns:
        The state after the last step, and the loss before each step in nats.

    Raises:
        ValueError: If a label is out of range.
    """

    def one_step(state, numbered):
        number, rows = numbered
        batch = [party[rows] for party in features], labels[rows], rows
        key_step = jax.random.fold_in(key, number)
        state, transcript = protocol.step(key_step, state, *batch)
        return state, transcript.loss

    check_labels(labels, protocol.num_classes)
    numbers = first_step + jnp.arange(len(batches))
    return jax.lax.scan(one_step, state, (numbers, batches))


def epoch_batches(
    key: Key[Array, ""], num_samples: int, batch_size: int, num_steps: int
) -> Int[Array, "steps batch"]:
    """Sample numbers for `num_steps` steps: every epoch a new permutation.

    The samples left over at the end of an epoch, fewer than a batch, are not used in
    that epoch.

    Raises:
        ValueError: If a batch is empty or larger than the data set.
    """
    allowed = f"in [1, {num_samples}], the number of training samples"
    require(1 <= batch_size <= num_samples, "batch_size", batch_size, allowed)
    steps_per_epoch = num_samples // batch_size
    num_epochs = -(-num_steps // steps_per_epoch)

    def one_epoch(number):
        order = jax.random.permutation(jax.random.fold_in(key, number), num_samples)
        return order[: steps_per_epoch * batch_size]

    epochs = jax.lax.map(one_epoch, jnp.arange(num_epochs))
    return epochs.reshape(-1, batch_size)[:num_steps]

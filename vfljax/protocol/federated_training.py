"""Training a horizontal protocol: one scan over rounds on data on the device."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vfljax._checks import require
from vfljax.data import Partition, draw_own_rows
from vfljax.protocol.rounds import Batches, FederatedProtocol, FederatedState


def train_rounds(
    protocol: FederatedProtocol,
    key: Key[Array, ""],
    state: FederatedState,
    features: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    partition: Partition,
    rounds: Int[Array, " rounds"],
    *,
    batch_size: int,
    num_in_round: int | None = None,
    is_watched: bool = False,
) -> tuple[FederatedState, Any]:
    """Trains for some rounds, as one scan with participants mapped.

    Args:
        protocol: What happens in each round.
        key: Of everything random; round t uses `fold_in(key, t)`.
        state: From `protocol.init` or an earlier call.
        features: Of all training samples.
        labels: Their classes, in [0, C).
        partition: Which samples each participant holds.
        rounds: Numbers t of the rounds, such as `jnp.arange(100)`.
        batch_size: B, samples of each local step, drawn with replacement from a
            participant's own.
        num_in_round: How many participants, drawn anew, take part in a round; None for
            all. Their shares of the aggregate are those of their data.
        is_watched: Whether to return what the observer sees in every round.

    Returns:
        The state after the last round; and the `UpdateView`s of all rounds, stacked
        along a leading axis of rounds, or None.

    Raises:
        ValueError: If there are not so many participants.
    """
    total = protocol.num_participants
    number = total if num_in_round is None else num_in_round
    require(1 <= number <= total, "num_in_round", number, f"in [1, {total}]")
    counts, shape = jnp.asarray(partition.counts), (protocol.num_steps, batch_size)

    def one_round(state, step):
        keys = jax.random.split(jax.random.fold_in(key, step), 3)
        chosen = jnp.arange(total)
        if number < total:
            chosen = jax.random.choice(keys[0], total, (number,), replace=False)
        rows = draw_own_rows(keys[1], partition, chosen, shape)
        weights = counts[chosen] / jnp.sum(counts[chosen])
        batches = Batches(features[rows], labels[rows], chosen, weights)
        after, transcript = protocol.step(keys[2], state, batches)
        if not is_watched:
            return after, None
        shapes = batch_size, features.shape[1:]
        return after, protocol.view(state, transcript, *shapes)

    return jax.lax.scan(one_round, state, rounds)

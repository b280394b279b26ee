"""Training a horizontal protocol: one scan over rounds on data on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from vfljax._checks import require
from vfljax.data import Partition, draw_own_rows
from vfljax.protocol.rounds import Batches, FederatedProtocol, FederatedState
from vfljax.protocol.updates import UpdateView

Draw = Callable[..., Int[Array, "chosen steps batch"]]
Watch = Callable[[Int[Array, ""], UpdateView, Batches], Any]


def keep_view(step: Int[Array, ""], view: UpdateView, batches: Batches) -> UpdateView:
    """Keeps all that the observer sees of a round."""
    return view


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
    properties: Int[Array, " samples"] | None = None,
    draw: Draw | None = None,
    shares: Callable[..., Float[Array, " chosen"]] | None = None,
    watch: Watch | None = None,
    watch_every: int = 1,
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
        properties: A property of each training sample, which a participant that cheats
            may use of its own; None for none.
        draw: `draw(key, t, chosen, shape)` to the rows of a round, in place of uniform
            ones of each participant's own.
        shares: `shares(t, weights)` to the shares of a round, given those of the data.
        watch: `watch(t, view, batches)` to what is kept of a round: such as
            `keep_view`, or something smaller. None to keep nothing. It is called where
            the program is made, and may not change the training.
        watch_every: Of so many consecutive rounds the last one is watched.

    Returns:
        The state after the last round; and what was kept of the watched rounds,
        stacked along a leading axis, or None.

    Raises:
        ValueError: If there are not so many participants, or the number of rounds is
            not a multiple of `watch_every`.
    """
    total = protocol.num_participants
    number = total if num_in_round is None else num_in_round
    require(1 <= number <= total, "num_in_round", number, f"in [1, {total}]")
    counts, shape = jnp.asarray(partition.counts), (protocol.num_steps, batch_size)

    def one_round(state, step, watch=None):
        keys = jax.random.split(jax.random.fold_in(key, step), 3)
        chosen = jnp.arange(total)
        if number < total:
            chosen = jax.random.choice(keys[0], total, (number,), replace=False)
        if draw is None:
            rows = draw_own_rows(keys[1], partition, chosen, shape)
        else:
            rows = draw(keys[1], step, chosen, shape)
        weights = counts[chosen] / jnp.sum(counts[chosen])
        weights = weights if shares is None else shares(step, weights)
        own = None if properties is None else properties[rows]
        batches = Batches(features[rows], labels[rows], chosen, weights, own)
        after, transcript = protocol.step(keys[2], state, batches)
        if watch is None:
            return after, None
        view = protocol.view(state, transcript, batch_size, features.shape[1:])
        return after, watch(step, view, batches)

    if watch is None or watch_every == 1:
        return jax.lax.scan(lambda s, t: one_round(s, t, watch), state, rounds)
    allowed = f"a multiple of watch_every={watch_every}"
    require(len(rounds) % watch_every == 0, "number of rounds", len(rounds), allowed)

    def some_rounds(state, steps):
        state, _ = jax.lax.scan(one_round, state, steps[:-1])
        return one_round(state, steps[-1], watch)

    return jax.lax.scan(some_rounds, state, rounds.reshape(-1, watch_every))

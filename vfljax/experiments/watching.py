"""A training that is watched: the target's batches, what is kept, what is true."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key

from vfljax import data
from vfljax.attacks import Attack, Reader
from vfljax.experiments.horizontal import TargetProperty
from vfljax.experiments.participants import WatchedArrays
from vfljax.experiments.world import Observation
from vfljax.known import NOTHING, Known
from vfljax.protocol import FederatedProtocol, FederatedState, UpdateView


def readers_of(attacks: Sequence[Attack]) -> tuple[Reader, ...]:
    """The readers of attacks that watch, each once."""
    return tuple(dict.fromkeys(a.reader for a in attacks if a.reader is not None))


def name_of(attack: Attack) -> str:
    """What the observation of an attack that watches is called."""
    return f"{attack.goal.name} by {attack.reader!r}"


def draw_for(target: TargetProperty, arrays: WatchedArrays, partition: data.Partition):
    """Returns `draw(key, t, chosen, shape)`: the rows of a round, as the target has it.

    The target is the first participant; all others draw uniformly of their own, but the
    last one, where a share of the property is given for its batches.
    """

    def draw(key, step, chosen, shape):
        keys = jax.random.split(key, 4)
        rows = data.draw_own_rows(keys[0], partition, chosen, shape)
        code = _code_at(keys[1], step, target, arrays.window_codes)
        number = round(target.fraction * shape[1])
        of_target = data.draw_batches_with(
            keys[2], arrays.rows.of_target, code, number, shape
        )
        rows = rows.at[0].set(of_target)
        if target.adversary_fraction is None:
            return rows
        number = round(target.adversary_fraction * shape[1])
        own = arrays.rows.of_adversary, jnp.array(1), number, shape
        return rows.at[-1].set(data.draw_batches_with(keys[3], *own))

    return draw


def _code_at(key, step, target: TargetProperty, window_codes) -> Int[Array, ""]:
    """Which value the target's batch has in a round, as a code; 0 for none."""
    if not target.windows:
        has_it = jax.random.bernoulli(key, 1 / target.one_in)
        return has_it.astype(jnp.int32)
    code = jnp.array(0, jnp.int32)
    for number, (first, end, _) in enumerate(target.windows):
        is_inside = (step >= first) & (step < end)
        code = jnp.where(is_inside, window_codes[number], code)
    return code


def shares_for(
    target: TargetProperty, num_steps: int
) -> Callable[..., Float[Array, " chosen"]]:
    """Returns `shares(t, weights)`: the participants' shares of a round.

    Gradients of single batches are summed up as they are, so that all participants have
    the same share; models after several local steps are averaged by the numbers of
    samples, the `weights`. A target that has not joined has no share.
    """

    def shares(step, weights):
        if num_steps == 1:
            weights = jnp.full_like(weights, 1.0 / len(weights))
        there = jnp.where(step < target.joins_at, 0.0, weights[0])
        weights = weights.at[0].set(there)
        return weights / jnp.sum(weights)

    return shares


def simulate_for(run: FederatedProtocol, view: UpdateView) -> Any:
    """Returns `simulate(key, features, labels)`: what would be seen of these samples.

    What is simulated starts with nothing remembered: of what a participant's defense
    kept back in earlier rounds an adversary knows nothing. Participants have the shares
    that they have in the round; where the target has none yet, equal ones, as it is to
    be told from others when it comes.
    """
    number = view.num_participants
    equal = jnp.full(number, 1.0 / number)
    shares = equal if view.shares is None else view.shares
    shares = jnp.where(shares[0] > 0, shares, equal)

    def simulate(key, features, labels):
        state = FederatedState(view.params, view.forward.statistics, (), ())
        size = view.batch_size // number
        features, labels = (
            jnp.moveaxis(x.reshape(-1, number, size, *x.shape[2:]), 1, 0)
            for x in (features, labels)
        )
        keys = jax.random.split(key, number)
        updates, _ = jax.vmap(run.send, in_axes=(0, None, None, 0, 0))(
            keys, state, run.defense.init_update(view.params), features, labels
        )
        return jax.tree.map(lambda leaf: jnp.tensordot(shares, leaf, axes=1), updates)

    return Partial(simulate)


def watch_for(
    key: Key[Array, ""],
    run: FederatedProtocol,
    readers: Sequence[Reader],
    own: dict[str, Any],
):
    """Returns `watch(t, view, batches)`: what each reader keeps, and the truth.

    `own` are the fields of `Known` that an adversary has in every round. The truth is
    the number of the target's samples with the property, 0 where there is none and
    before the target takes part.
    """

    def watch(step, view, batches):
        of_round = jax.random.fold_in(key, step)
        known = Known(**own, simulate=simulate_for(run, view))
        kept = tuple(
            reader(jax.random.fold_in(of_round, number), view, known.only(reader.uses))
            for number, reader in enumerate(readers)
        )
        counts = jnp.array(0, jnp.int32)
        if batches.properties is not None:
            takes_part = batches.weights[0] > 0
            has_it = (batches.properties[0] == 1) & takes_part
            counts = jnp.sum(has_it).astype(jnp.int32)
        return kept, counts

    return watch


def observations(
    attacks: Sequence[Attack],
    readers: Sequence[Reader],
    kept: Sequence[tuple[Any, Int[Array, " rounds"]]],
    arrays: WatchedArrays,
    batch_size: int,
    setting: Any,
) -> dict[str, Observation]:
    """What attacks that watch are given, and what judges them, by `name_of`.

    `kept` are results of the training's parts in order.
    """
    joined = jax.tree.map(lambda *parts: jnp.concatenate(parts), *kept)
    readings, counts = joined
    found = {}
    for attack in attacks:
        if attack.reader is None:
            continue
        about_records = "members" in attack.goal.wants
        found[name_of(attack)] = Observation(
            views={attack.sees.name: readings[readers.index(attack.reader)]},
            rows=(),
            truth=arrays.is_member if about_records else counts,
            public=NOTHING,
            is_unprotected=jnp.array(False),
            facts={"batch_size": jnp.array(batch_size)},
            setting=setting,
        )
    return found

"""A horizontal protocol: who takes part, and one round of it in pure functions."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import models as networks
from vfljax._checks import require
from vfljax.defenses import Defense, check_for_updates
from vfljax.models import Forward, Params, PartyModel, Statistics
from vfljax.protocol.interference import Upload
from vfljax.protocol.updates import UpdateView, local_update

Observer = Literal["server", "participant"]
Announcement = Literal["mean", "parameters"]
RandomKey = Key[Array, ""]


class FederatedState(NamedTuple):
    """What the next round needs.

    Attributes:
        params: Of the shared network.
        statistics: Its running statistics, the mean of the participants'; () if none.
        optimizer_state: The server's.
        defense_states: What each participant's defense remembers, stacked.
        adversary: What a participant that cheats keeps for itself; () if none does.
    """

    params: Params
    statistics: Statistics
    optimizer_state: optax.OptState
    defense_states: PyTree[Any]
    adversary: PyTree[Any] = ()


class Batches(NamedTuple):
    """The samples of a round: K batches of each participant that takes part.

    Attributes:
        features: Of all samples.
        labels: Their classes, in [0, C).
        participants: Which participants take part.
        weights: The participants' shares of the aggregate, which sum to 1.
        properties: A property of all samples, which a participant that cheats may use
            of its own; None for none.
    """

    features: Float[Array, "chosen steps batch ..."]
    labels: Int[Array, "chosen steps batch"]
    participants: Int[Array, " chosen"]
    weights: Float[Array, " chosen"]
    properties: Int[Array, "chosen steps batch"] | None = None


class FederatedTranscript(NamedTuple):
    """Everything that crossed a boundary in one round.

    Attributes:
        updates: Each participant's update as sent, after its defense, in gradient
            units, stacked.
        aggregate: Their weighted mean, which the server announces with the network, or
            what participants make of how its parameters moved.
        weights: The participants' shares of it.
    """

    updates: Params
    aggregate: Params
    weights: Float[Array, " chosen"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FederatedProtocol:
    """A protocol of M >= 1 participants and a server, and its pure functions.

    `FederatedSGD` and `FederatedAveraging` make it.

    Raises:
        ValueError: Without participants, classes, samples or steps.
    """

    model: PartyModel
    """The shared network, with an output per class."""
    server_optimizer: optax.GradientTransformation
    """What moves the network, given the aggregate as its gradient."""
    learning_rate: Any
    """Rate of the participants' local steps."""
    local_optimizer: optax.GradientTransformation | None
    """What participants train with; None for plain SGD steps."""
    num_classes: int
    """C >= 2."""
    num_participants: int
    """M."""
    num_steps: int
    """K, local steps of a round."""
    defense: Defense
    """What every participant does to its update."""
    secure_aggregation: bool
    """Whether nobody sees a single update, but only the aggregate."""
    observer: Observer
    """Who looks: the server, or a participant, which knows its own update."""
    upload: Upload | None = None
    """What the last participant sends in place of its update; None if it is honest."""
    announced_rate: Any = None
    """The server's learning rate, by which participants divide how the parameters moved
    where they are told nothing else; None where they are told the aggregate."""

    def __post_init__(self):
        """Checks the ranges."""
        for name, low in (
            ("num_classes", 2),
            ("num_participants", 1),
            ("num_steps", 1),
        ):
            value = getattr(self, name)
            require(value >= low, name, value, f">= {low}")
        check_for_updates("defense", self.defense)

    def init(self, key: RandomKey, features: Any) -> FederatedState:
        """The state before training; `features` (batch, ...) are there for shapes."""
        own_key = jax.random.fold_in(key, 1)
        params = self.model.init(key, features)
        statistics = networks.init_statistics(self.model, features)
        state = self.restart(FederatedState(params, statistics, (), ()))
        if self.upload is None:
            return state
        return state._replace(adversary=self.upload.init(own_key, params))

    def restart(self, state: FederatedState) -> FederatedState:
        """The same network, with what optimizer and defenses remember as at first."""
        of_one = self.defense.init_update(state.params)
        number = self.num_participants
        return state._replace(
            optimizer_state=self.server_optimizer.init(state.params),
            defense_states=jax.tree.map(lambda x: jnp.stack([x] * number), of_one),
        )

    def forward(self, state: FederatedState) -> Forward:
        """How participants run the network in a round, apart from dropout's masks.

        These each participant draws in each of its steps.
        """
        has_modes = self.model.init_statistics is not None or self.model.drops
        return Forward(state.statistics, None, has_modes)

    def send(
        self,
        key: RandomKey,
        state: FederatedState,
        defense_state: PyTree[Any],
        features: Float[Array, "steps batch ..."],
        labels: Int[Array, "steps batch"],
    ) -> tuple[Params, PyTree[Any]]:
        """One participant's update as sent, and what its defense remembers."""
        key_steps, key_update = jax.random.split(key)
        update = local_update(
            self.model,
            state.params,
            features,
            labels,
            learning_rate=self.learning_rate,
            num_classes=self.num_classes,
            forward=self.forward(state),
            optimizer=self.local_optimizer,
            defense=self.defense,
            key=key_steps,
        )
        return self.defense.perturb_update(key_update, defense_state, update)

    def exchange(
        self, key: RandomKey, state: FederatedState, batches: Batches
    ) -> tuple[FederatedTranscript, FederatedState]:
        """The updates of one round, and the state with what defenses remember."""
        chosen = batches.participants
        before = jax.tree.map(lambda leaf: leaf[chosen], state.defense_states)
        keys = jax.random.split(key, len(chosen))
        updates, after = jax.vmap(self.send, in_axes=(0, None, 0, 0, 0))(
            keys, state, before, batches.features, batches.labels
        )
        updates, adversary = self._uploaded(state, updates, batches)
        aggregate = jax.tree.map(
            lambda leaf: jnp.tensordot(batches.weights, leaf, axes=1), updates
        )
        remembered = jax.tree.map(
            lambda all_, new: all_.at[chosen].set(new), state.defense_states, after
        )
        transcript = FederatedTranscript(updates, aggregate, batches.weights)
        return transcript, state._replace(
            defense_states=remembered, adversary=adversary
        )

    def step(
        self, key: RandomKey, state: FederatedState, batches: Batches
    ) -> tuple[FederatedState, FederatedTranscript]:
        """One round: the exchange, then the server's optimizer."""
        transcript, after = self.exchange(key, state, batches)
        moves, optimizer_state = self.server_optimizer.update(
            transcript.aggregate, state.optimizer_state, state.params
        )
        if self.announced_rate is not None:
            told = jax.tree.map(lambda move: -move / self.announced_rate, moves)
            transcript = transcript._replace(aggregate=told)
        return after._replace(
            params=optax.apply_updates(state.params, moves),
            statistics=self._statistics(state, batches),
            optimizer_state=optimizer_state,
        ), transcript

    def predict(
        self, state: FederatedState, features: Float[Array, "batch ..."]
    ) -> Float[Array, "batch classes"]:
        """Logits in evaluation mode, of a few hundred samples at a time."""
        forward = Forward(state.statistics)
        return networks.embed_in_parts(self.model, state.params, features, forward)

    def view(
        self,
        state: FederatedState,
        transcript: FederatedTranscript,
        batch_size: int,
        sample_shape: tuple[int, ...],
    ) -> UpdateView:
        """What the observer has of a round, about participants other than itself.

        `state` is that before the round and `batch_size` that of each local step. The
        server sees the first participant's update, or with secure aggregation the
        aggregate; a participant, the last one, sees the aggregate without its own part.

        Raises:
            ValueError: If nobody is left to look at.
        """
        number, update = len(transcript.weights), transcript.aggregate
        shares = transcript.weights
        if self.observer == "participant":
            allowed = "2 or more where one of them looks"
            require(number >= 2, "participants_per_round", number, allowed)
            share = transcript.weights[-1]
            shares = shares[:-1] / (1.0 - share)
            update = jax.tree.map(
                lambda total, all_: (total - share * all_[-1]) / (1.0 - share),
                update,
                transcript.updates,
            )
            number -= 1
        elif not self.secure_aggregation:
            update = jax.tree.map(lambda leaf: leaf[0], transcript.updates)
            number, shares = 1, jnp.ones(1)
        return UpdateView(
            model=self.model,
            params=state.params,
            update=update,
            learning_rate=self.learning_rate,
            num_classes=self.num_classes,
            batch_size=number * batch_size,
            sample_shape=sample_shape,
            num_steps=self.num_steps,
            forward=self.forward(state),
            num_participants=number,
            shares=shares,
        )

    def _uploaded(self, state, updates, batches):
        """The updates with what a cheating participant puts in place of its own."""
        if self.upload is None:
            return updates, state.adversary
        own = jax.tree.map(lambda leaf: leaf[-1], updates)
        update, kept = self.upload.send(
            state.adversary,
            own,
            self.model,
            state.params,
            self.forward(state),
            batches.features[-1],
            batches.labels[-1],
            None if batches.properties is None else batches.properties[-1],
        )
        replaced = jax.tree.map(lambda all_, new: all_.at[-1].set(new), updates, update)
        return replaced, kept

    def _statistics(self, state, batches):
        """The mean of the participants' running statistics after their last batch."""
        if self.model.init_statistics is None:
            return state.statistics

        def of_one(features):
            given = self.model, state.params, features[-1], self.forward(state)
            return networks.run(*given)[1]

        return jax.tree.map(
            lambda leaf: jnp.tensordot(batches.weights, leaf, axes=1),
            jax.vmap(of_one)(batches.features),
        )

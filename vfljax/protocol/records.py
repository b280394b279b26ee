"""What a step is given and what it gives: states, transcripts, protocols."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Float, PyTree

from vfljax.models import Forward, Params, PartyModel, Statistics
from vfljax.protocol.label_side import TopState


class ProtocolState(NamedTuple):
    """What the next step needs; tuples have one entry per party.

    `targets` (samples, classes) are what the model is trained on, if the defense
    prepares them once per training; else ().
    """

    params: tuple[Params, ...]
    statistics: tuple[Statistics, ...]
    optimizer_states: tuple[optax.OptState, ...]
    top: TopState
    defense_state: PyTree[Any]
    targets: Any = ()


class Transcript(NamedTuple):
    """Everything that crossed a party boundary in one step; one entry per party.

    Attributes:
        embeddings: H^k (batch, embed of the party), sent to the label party.
        gradients: dL/dH^k (batch, embed of the party) as sent, after the defense. The
            label party's entry is what its own bottom model was trained on.
        batch_gradients: The gradient of each party's parameters that follows; of a
            party that cheats, after its manipulation.
        forwards: How each party ran its network; known to that party alone.
        loss: Mean cross-entropy before the step, in nats.
    """

    embeddings: tuple[Float[Array, "batch _"], ...]
    gradients: tuple[Float[Array, "batch _"], ...]
    batch_gradients: tuple[Params, ...]
    forwards: tuple[Forward, ...]
    loss: Float[Array, ""]


class VerticalProtocol(NamedTuple):
    """A protocol as pure functions.

    Attributes:
        init: `init(key, features) -> state`; `features` holds one array per party.
        exchange: `exchange(key, state, features, labels, sample_ids)` to
            `(transcript, state)`: the messages of one batch. No parameter is updated;
            the state has the new running statistics and defense state. Computed in
            full float32 on any device, as is whatever attacks compare it with.
        step: Same arguments, to `(state, transcript)`: the exchange, then every
            party's own optimizer.
        predict: `predict(state, features) -> logits` (batch, classes), decoded, in
            evaluation mode; networks see a few hundred samples at a time.
        prepare: `prepare(key, state, labels) -> state`, once before training, with the
            labels of all training samples: what the defense prepares of them.
        restart: `restart(state) -> state`: the same networks, with what the parties'
            optimizers and the defense remember as it is before the first step.
        models: The parties' networks.
        num_classes: C.
        label_party: Position of the party that holds the labels.
        sums_logits: Whether embeddings are summed, rather than given to a top model.
        sends_one_message: Whether all parties get the same message, so that the defense
            has one state for all instead of one per party.
    """

    init: Callable[..., ProtocolState]
    exchange: Callable[..., tuple[Transcript, ProtocolState]]
    step: Callable[..., tuple[ProtocolState, Transcript]]
    predict: Callable[..., Float[Array, "batch classes"]]
    prepare: Callable[..., ProtocolState]
    restart: Callable[[ProtocolState], ProtocolState]
    models: tuple[PartyModel, ...]
    num_classes: int
    label_party: int
    sums_logits: bool
    sends_one_message: bool

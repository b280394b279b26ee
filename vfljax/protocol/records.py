"""What a step is given and what it gives: states and transcripts."""

from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Float, PyTree

from vfljax.models import Forward, Params, Statistics

Embeddings = tuple[Float[Array, "batch _"], ...]


class TopState(NamedTuple):
    """The label party's top model; all empty where logits are summed."""

    params: Params = ()
    statistics: Statistics = ()
    optimizer_state: optax.OptState = ()


class Answer(NamedTuple):
    """What comes of a batch of embeddings.

    Attributes:
        loss: Mean cross-entropy in nats.
        gradients: dL/dH^k of each party (batch, embed), before any defense.
        top_gradient: Of the top model's parameters.
        top_statistics: Of the top model, updated.
    """

    loss: Float[Array, ""]
    gradients: Embeddings
    top_gradient: Params
    top_statistics: Statistics


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

    embeddings: Embeddings
    gradients: Embeddings
    batch_gradients: tuple[Params, ...]
    forwards: tuple[Forward, ...]
    loss: Float[Array, ""]

"""Vertical federated learning without model splitting: the parties' logits are summed.

K parties hold different features of the same samples; one of them, the label party,
adds up the embeddings H^k (batch, classes), takes the softmax cross-entropy and returns
the gradient of the mean loss, U = (softmax(Σ_k H^k) − Y)/B, which is the same for all
parties. Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 1-8.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import losses
from vfljax.defenses import Defense
from vfljax.models import Params, PartyModel


class ProtocolState(NamedTuple):
    """What the next step needs; tuples have one entry per party."""

    params: tuple[Params, ...]
    optimizer_states: tuple[optax.OptState, ...]
    defense_state: PyTree[Any]


class Transcript(NamedTuple):
    """Everything that crossed a party boundary in one step; one entry per party.

    Attributes:
        embeddings: H^k (batch, classes), sent to the label party.
        gradients: dL/dH^k (batch, classes) as sent, after the defense. The label
            party's entry is what its own bottom model was trained on.
        batch_gradients: The gradient of each party's parameters that follows.
        loss: Mean cross-entropy before the step, in nats.
    """

    embeddings: tuple[Float[Array, "batch classes"], ...]
    gradients: tuple[Float[Array, "batch classes"], ...]
    batch_gradients: tuple[Params, ...]
    loss: Float[Array, ""]


class VerticalProtocol(NamedTuple):
    """A protocol as pure functions.

    Attributes:
        init: `init(key, features) -> state`; `features` holds one array per party.
        exchange: `exchange(key, state, features, labels, sample_ids)` to
            `(transcript, defense_state)`: the messages of one batch, nothing updated.
        step: Same arguments, to `(state, transcript)`: the exchange, then every
            party's own optimizer.
        predict: `predict(params, features) -> logits` (batch, classes), decoded.
        models: The parties' networks.
        num_classes: C.
        label_party: Position of the party that holds the labels.
    """

    init: Callable[..., ProtocolState]
    exchange: Callable[..., tuple[Transcript, PyTree[Any]]]
    step: Callable[..., tuple[ProtocolState, Transcript]]
    predict: Callable[..., Float[Array, "batch classes"]]
    models: tuple[PartyModel, ...]
    num_classes: int
    label_party: int


def sum_of_logits(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    *,
    num_classes: int,
    defense: Defense | None = None,
    label_party: int = -1,
) -> VerticalProtocol:
    """Returns the protocol without model splitting for K >= 2 parties.

    The label party perturbs the message once and sends the same one to everybody:
    independent noise per party would be averaged out by parties who compare.

    Args:
        models: One network per party, each with an embedding of `num_classes` logits.
        optimizers: One optax optimizer per party, of any kind.
        num_classes: C >= 2.
        defense: What the label party does; `None` for nothing.
        label_party: Position of the party that holds the labels, the last by default.

    Raises:
        ValueError: For fewer than two parties, a number of optimizers other than that
            of models, fewer than two classes, or a label party that isn't one.
    """
    models, optimizers = tuple(models), tuple(optimizers)
    num_parties, defense = len(models), defense or Defense()
    if num_parties < 2:
        raise ValueError(f"models: {num_parties} given, a protocol needs 2 or more")
    if len(optimizers) != num_parties:
        raise ValueError(
            f"optimizers: {len(optimizers)} given for {num_parties} models, "
            "one per party is needed"
        )
    if num_classes < 2:
        raise ValueError(f"num_classes={num_classes}: must be >= 2")
    if not -num_parties <= label_party < num_parties:
        raise ValueError(
            f"label_party={label_party}: must be in [0, {num_parties - 1}], or "
            "negative to count from the last"
        )
    label_party %= num_parties

    def init(key: Key[Array, ""], features: Sequence[Float[Array, "batch ..."]]):
        keys = jax.random.split(key, num_parties)
        params = tuple(
            model.init(party_key, party_features)
            for model, party_key, party_features in zip(
                models, keys, features, strict=True
            )
        )
        optimizer_states = tuple(
            optimizer.init(party_params)
            for optimizer, party_params in zip(optimizers, params, strict=True)
        )
        return ProtocolState(params, optimizer_states, defense.init())

    def exchange(
        key: Key[Array, ""],
        state: ProtocolState,
        features: Sequence[Float[Array, "batch ..."]],
        labels: Int[Array, " batch"],
        sample_ids: Int[Array, " batch"],
    ):
        check_labels(labels, num_classes)
        embeddings, pullbacks = zip(
            *(
                jax.vjp(lambda p, m=model, x=party_features: m.apply(p, x), party)
                for model, party, party_features in zip(
                    models, state.params, features, strict=True
                )
            ),
            strict=True,
        )
        logits = jnp.sum(jnp.stack(embeddings), axis=0)
        targets = defense.encode_labels(jax.nn.one_hot(labels, num_classes))
        clean = losses.logit_gradient(logits, targets)
        sent, defense_state = defense.perturb(
            key, state.defense_state, clean, labels, sample_ids
        )
        own = sent if defense.covers_label_party else clean
        gradients = tuple(
            own if party == label_party else sent for party in range(num_parties)
        )
        transcript = Transcript(
            embeddings=tuple(embeddings),
            gradients=gradients,
            batch_gradients=tuple(
                pullback(gradient)[0]
                for pullback, gradient in zip(pullbacks, gradients, strict=True)
            ),
            loss=losses.cross_entropy(logits, targets),
        )
        return transcript, defense_state

    def step(key, state, features, labels, sample_ids):
        transcript, defense_state = exchange(key, state, features, labels, sample_ids)
        params, optimizer_states = [], []
        for optimizer, party, optimizer_state, gradient in zip(
            optimizers,
            state.params,
            state.optimizer_states,
            transcript.batch_gradients,
            strict=True,
        ):
            updates, optimizer_state = optimizer.update(
                gradient, optimizer_state, party
            )
            params.append(optax.apply_updates(party, updates))
            optimizer_states.append(optimizer_state)
        state = ProtocolState(tuple(params), tuple(optimizer_states), defense_state)
        return state, transcript

    def predict(params, features):
        embeddings = [
            model.apply(party, party_features)
            for model, party, party_features in zip(
                models, params, features, strict=True
            )
        ]
        return defense.decode_logits(jnp.sum(jnp.stack(embeddings), axis=0))

    return VerticalProtocol(
        init, exchange, step, predict, models, num_classes, label_party
    )


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
        protocol: What happens in a step.
        key: For the defense; step t uses `fold_in(key, t)`.
        state: From `protocol.init` or an earlier call.
        features: One array per party, all samples.
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
        state, transcript = protocol.step(
            jax.random.fold_in(key, number),
            state,
            [party[rows] for party in features],
            labels[rows],
            rows,
        )
        return state, transcript.loss

    check_labels(labels, protocol.num_classes)
    numbers = first_step + jnp.arange(len(batches))
    return jax.lax.scan(one_step, state, (numbers, batches))


def check_labels(labels: Int[Array, " samples"], num_classes: int) -> None:
    """Raises a `ValueError` for labels outside of [0, C); traced ones pass."""
    if isinstance(labels, Tracer):
        return
    concrete = np.asarray(labels)  # in NumPy: concrete inside a caller's jit too
    wrong = concrete[(concrete < 0) | (concrete >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"labels: contains {wrong[0]}, must be in [0, {num_classes - 1}]"
        )


def epoch_batches(
    key: Key[Array, ""], num_samples: int, batch_size: int, num_steps: int
) -> Int[Array, "steps batch"]:
    """Sample numbers for `num_steps` steps: every epoch a new permutation.

    The samples left over at the end of an epoch, fewer than a batch, are not used in
    that epoch.

    Raises:
        ValueError: If a batch is empty or larger than the data set.
    """
    if not 1 <= batch_size <= num_samples:
        raise ValueError(
            f"batch_size={batch_size}: must be in [1, {num_samples}], "
            "the number of training samples"
        )
    steps_per_epoch = num_samples // batch_size
    num_epochs = -(-num_steps // steps_per_epoch)

    def one_epoch(number):
        order = jax.random.permutation(jax.random.fold_in(key, number), num_samples)
        return order[: steps_per_epoch * batch_size]

    epochs = jax.lax.map(one_epoch, jnp.arange(num_epochs))
    return epochs.reshape(-1, batch_size)[:num_steps]

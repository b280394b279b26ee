"""Vertical federated learning: one step of K parties, with and without model splitting.

K parties hold different features of the same samples; one of them, the label party,
receives the embeddings H^k (batch, embed) and returns dL/dH^k of the mean loss. Without
model splitting it adds them up as logits, and U = (softmax(Σ_k H^k) − Y)/B is the same
for all parties: Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 1-8. With
model splitting it trains a top model on them: Fu et al. (USENIX Security 2022).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import models as networks
from vfljax.defenses import Defense
from vfljax.models import EVALUATION, Forward, Params, PartyModel, Statistics
from vfljax.protocol.label_side import LabelSide, TopState, summed, with_top
from vfljax.protocol.interference import Manipulation

Mode = Literal["training", "evaluation"]


class ProtocolState(NamedTuple):
    """What the next step needs; tuples have one entry per party."""

    params: tuple[Params, ...]
    statistics: tuple[Statistics, ...]
    optimizer_states: tuple[optax.OptState, ...]
    top: TopState
    defense_state: PyTree[Any]


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
        models: The parties' networks.
        num_classes: C.
        label_party: Position of the party that holds the labels.
        sums_logits: Whether embeddings are summed, rather than given to a top model.
    """

    init: Callable[..., ProtocolState]
    exchange: Callable[..., tuple[Transcript, ProtocolState]]
    step: Callable[..., tuple[ProtocolState, Transcript]]
    predict: Callable[..., Float[Array, "batch classes"]]
    models: tuple[PartyModel, ...]
    num_classes: int
    label_party: int
    sums_logits: bool


def sum_of_logits(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    *,
    num_classes: int,
    defense: Defense | None = None,
    label_party: int = -1,
    mode: Mode = "training",
    manipulations: Mapping[int, Manipulation] | None = None,
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
        mode: In which networks with batch normalization or dropout run in a step.
        manipulations: What passive parties that cheat do, by position.

    Raises:
        ValueError: For fewer than two parties, a number of optimizers other than that
            of models, fewer than two classes, a label party that isn't one, an unknown
            mode, or a manipulation of another than a passive party.
    """
    return _make(
        models,
        optimizers,
        summed(),
        num_classes,
        defense,
        label_party,
        mode,
        manipulations,
    )


def model_splitting(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    top: PartyModel,
    top_optimizer: optax.GradientTransformation,
    *,
    num_classes: int,
    defense: Defense | None = None,
    label_party: int = -1,
    class_weights: Sequence[float] | None = None,
    mode: Mode = "training",
    manipulations: Mapping[int, Manipulation] | None = None,
) -> VerticalProtocol:
    """Returns the protocol with model splitting for K >= 2 parties.

    Fu et al. (USENIX Security 2022). The top model takes the embeddings side by side,
    in the order of the parties. Messages belong to the top model *before* its own
    step, as in the released code, and differ between parties: each is perturbed with
    a key of its own. An adversary may bring any optimizer, such as
    `optimizers.malicious_sgd`.

    Args:
        models: One bottom model per party, the label party's included.
        optimizers: One optax optimizer per party.
        top: The label party's top model, from (batch, Σ_k embed) to (batch, classes).
        top_optimizer: Of the top model.
        num_classes: C >= 2.
        defense: What the label party does to each message; `None` for nothing.
        label_party: Position of the party that holds the labels, the last by default.
        class_weights: Of the loss, one per class; a batch's mean is weighted by them.
        mode: In which networks with batch normalization or dropout run in a step.
        manipulations: What passive parties that cheat do, by position.

    Raises:
        ValueError: As for `sum_of_logits`, or for a number of class weights other than
            `num_classes`.
    """
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(
            f"class_weights={tuple(class_weights)}: must have num_classes = "
            f"{num_classes} entries"
        )
    weights = None if class_weights is None else jnp.asarray(class_weights, float)
    label_side = with_top(top, top_optimizer, weights)
    return _make(
        models,
        optimizers,
        label_side,
        num_classes,
        defense,
        label_party,
        mode,
        manipulations,
    )


def _make(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    label_side: LabelSide,
    num_classes: int,
    defense: Defense | None,
    label_party: int,
    mode: Mode,
    manipulations: Mapping[int, Manipulation] | None,
) -> VerticalProtocol:
    """A protocol around what the label party does with embeddings."""
    models, optimizers, defense = tuple(models), tuple(optimizers), defense or Defense()
    num_parties = len(models)
    label_party = _check(num_parties, optimizers, num_classes, label_party, mode)
    manipulations = manipulations or {}
    _check_manipulations(manipulations, num_parties, label_party)
    is_training = mode == "training"

    def init(key: Key[Array, ""], features: Sequence[Float[Array, "batch ..."]]):
        *keys, top_key = jax.random.split(key, num_parties + 1)
        params = tuple(
            model.init(party_key, of_party)
            for model, party_key, of_party in zip(models, keys, features, strict=True)
        )
        statistics = tuple(map(networks.init_statistics, models, features))
        return ProtocolState(
            params=params,
            statistics=statistics,
            optimizer_states=tuple(
                optimizer.init(of_party)
                for optimizer, of_party in zip(optimizers, params, strict=True)
            ),
            top=label_side.init(top_key, _embed_all(params, statistics, features)),
            defense_state=defense.init()
            if label_side.is_sum
            else tuple(defense.init() for _ in models),
        )

    def exchange(
        key: Key[Array, ""],
        state: ProtocolState,
        features: Sequence[Float[Array, "batch ..."]],
        labels: Int[Array, " batch"],
        sample_ids: Int[Array, " batch"],
    ):
        with jax.default_matmul_precision("highest"):
            transcript, state, _ = answered(key, state, features, labels, sample_ids)
        return transcript, state

    def answered(key, state, features, labels, sample_ids):
        check_labels(labels, num_classes)
        key_defense, forwards, key_top = _ways_to_run(key, state)
        features = list(features)
        for party, cheat in manipulations.items():
            features[party] = cheat.alter(features[party], sample_ids)
        own, pullbacks, statistics = zip(
            *map(_run_and_pull_back, models, state.params, features, forwards),
            strict=True,
        )
        embeddings = _sent(key, own, sample_ids)
        targets = defense.encode_labels(jax.nn.one_hot(labels, num_classes))
        answer = label_side.answer(state.top, embeddings, targets, key_top, is_training)
        sent, defense_state = _perturbed(
            key_defense, state.defense_state, answer.gradients, labels, sample_ids
        )
        gradients = tuple(
            clean if party == label_party and not defense.covers_label_party else out
            for party, (clean, out) in enumerate(
                zip(answer.gradients, sent, strict=True)
            )
        )
        transcript = Transcript(
            embeddings=embeddings,
            gradients=gradients,
            batch_gradients=tuple(
                pullback(_used(party, gradient, sample_ids))[0]
                for party, (pullback, gradient) in enumerate(
                    zip(pullbacks, gradients, strict=True)
                )
            ),
            forwards=forwards,
            loss=answer.loss,
        )
        state = state._replace(
            statistics=statistics,
            top=state.top._replace(statistics=answer.top_statistics),
            defense_state=defense_state,
        )
        return transcript, state, answer

    def step(key, state, features, labels, sample_ids):
        transcript, state, answer = answered(key, state, features, labels, sample_ids)
        params, optimizer_states = [], []
        for optimizer, of_party, optimizer_state, gradient in zip(
            optimizers,
            state.params,
            state.optimizer_states,
            transcript.batch_gradients,
            strict=True,
        ):
            updates, optimizer_state = optimizer.update(
                gradient, optimizer_state, of_party
            )
            params.append(optax.apply_updates(of_party, updates))
            optimizer_states.append(optimizer_state)
        state = state._replace(
            params=tuple(params),
            optimizer_states=tuple(optimizer_states),
            top=label_side.update(state.top, answer),
        )
        return state, transcript

    def predict(state: ProtocolState, features: Sequence[Float[Array, "batch ..."]]):
        embeddings = _embed_all(state.params, state.statistics, features)
        return defense.decode_logits(label_side.logits(state.top, embeddings))

    def _embed_all(params, statistics, features):
        forwards = map(Forward, statistics)
        return tuple(map(networks.embed_in_parts, models, params, features, forwards))

    def _sent(key, embeddings, sample_ids):
        """The embeddings as they are sent, by parties that cheat with a key each."""
        sent = list(embeddings)
        for party, cheat in manipulations.items():
            key_party = jax.random.fold_in(key, party + 1)
            sent[party] = cheat.send(key_party, sent[party], sample_ids)
        return tuple(sent)

    def _used(party, gradient, sample_ids):
        """The message that a party's network is trained on."""
        cheat = manipulations.get(party)
        return gradient if cheat is None else cheat.receive(gradient, sample_ids)

    def _ways_to_run(key, state):
        """The defense's key, each party's `Forward`, the top's dropout key."""
        if all(model.run is None for model in models) and label_side.is_sum:
            return key, (EVALUATION,) * num_parties, None
        key, key_top, *keys = jax.random.split(key, num_parties + 2)
        forwards = tuple(
            Forward(of_party, dropout_key if is_training else None, is_training)
            for of_party, dropout_key in zip(state.statistics, keys, strict=True)
        )
        return key, forwards, key_top if is_training else None

    def _perturbed(key, defense_state, gradients, labels, sample_ids):
        """The messages as sent: one for all if they are the same, else one by one."""
        if label_side.is_sum:
            sent, defense_state = defense.perturb(
                key, defense_state, gradients[0], labels, sample_ids
            )
            return (sent,) * num_parties, defense_state
        sent, states = zip(
            *(
                defense.perturb(party_key, of_party, gradient, labels, sample_ids)
                for party_key, of_party, gradient in zip(
                    jax.random.split(key, num_parties),
                    defense_state,
                    gradients,
                    strict=True,
                )
            ),
            strict=True,
        )
        return sent, states

    return VerticalProtocol(
        init=init,
        exchange=exchange,
        step=step,
        predict=predict,
        models=models,
        num_classes=num_classes,
        label_party=label_party,
        sums_logits=label_side.is_sum,
    )


def _run_and_pull_back(model, params, features, forward):
    """Embedding, its pullback to the parameters, and the new running statistics."""
    return jax.vjp(
        lambda of_party: networks.run(model, of_party, features, forward),
        params,
        has_aux=True,
    )


def _check(num_parties, optimizers, num_classes, label_party, mode):
    """Refuses arguments out of range; returns the label party's position from 0."""
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
    if mode not in get_args(Mode):
        raise ValueError(f"mode={mode!r}: must be one of {', '.join(get_args(Mode))}")
    return label_party % num_parties


def _check_manipulations(manipulations, num_parties, label_party):
    for party in manipulations:
        if party == label_party or not 0 <= party < num_parties:
            raise ValueError(
                f"manipulations: has party {party}, must be passive parties, from 0 to "
                f"{num_parties - 1} but {label_party}"
            )


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

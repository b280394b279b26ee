"""One step of a vertical protocol, in pure functions of what the parties agreed on."""

import functools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import jax
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from vfljax import models as networks
from vfljax._checks import check_choice
from vfljax.defenses import Defense
from vfljax.models import EVALUATION, Forward, PartyModel
from vfljax.protocol.interference import Manipulation
from vfljax.protocol.label_side import LabelSide
from vfljax.protocol.records import ProtocolState, Transcript, VerticalProtocol

Mode = Literal["training", "evaluation"]


class _Setup(NamedTuple):
    """Who takes part, and how: what `make_protocol` checked."""

    models: tuple[PartyModel, ...]
    optimizers: tuple[optax.GradientTransformation, ...]
    label_side: LabelSide
    num_classes: int
    defense: Defense
    label_party: int
    is_training: bool
    manipulations: Mapping[int, Manipulation]

    @property
    def sends_one_message(self) -> bool:
        """Whether everybody gets the same gradient of the loss."""
        return self.label_side.is_sum and not self.defense.overrides("penalty")


def make_protocol(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    label_side: LabelSide,
    *,
    num_classes: int,
    defense: Defense | None,
    label_party: int,
    mode: Mode,
    manipulations: Mapping[int, Manipulation] | None,
) -> VerticalProtocol:
    """A protocol around what the label party does with embeddings.

    Arguments and errors as for `sum_of_logits` and `model_splitting`.
    """
    num_parties, manipulations = len(models), manipulations or {}
    label_party = _check(num_parties, optimizers, num_classes, label_party, mode)
    _check_manipulations(manipulations, num_parties, label_party)
    setup = _Setup(
        models=tuple(models),
        optimizers=tuple(optimizers),
        label_side=label_side,
        num_classes=num_classes,
        defense=defense or Defense(),
        label_party=label_party,
        is_training=mode == "training",
        manipulations=manipulations,
    )
    return VerticalProtocol(
        init=functools.partial(_init, setup),
        exchange=functools.partial(_exchange, setup),
        step=functools.partial(_step, setup),
        predict=functools.partial(_predict, setup),
        prepare=functools.partial(_prepare, setup),
        restart=functools.partial(_restart, setup),
        models=setup.models,
        num_classes=num_classes,
        label_party=label_party,
        sums_logits=label_side.is_sum,
        sends_one_message=setup.sends_one_message,
    )


def _init(
    setup: _Setup, key: Key[Array, ""], features: Sequence[Float[Array, "batch ..."]]
) -> ProtocolState:
    *keys, top_key = jax.random.split(key, len(setup.models) + 1)
    params = tuple(
        model.init(party_key, of_party)
        for model, party_key, of_party in zip(setup.models, keys, features, strict=True)
    )
    statistics = tuple(map(networks.init_statistics, setup.models, features))
    embeddings = _embed_all(setup, params, statistics, features)
    state = ProtocolState(
        params=params,
        statistics=statistics,
        optimizer_states=(),
        top=setup.label_side.init(top_key, embeddings),
        defense_state=(),
    )
    return _restart(setup, state)


def _restart(setup: _Setup, state: ProtocolState) -> ProtocolState:
    defense = setup.defense
    return state._replace(
        optimizer_states=tuple(
            optimizer.init(of_party)
            for optimizer, of_party in zip(setup.optimizers, state.params, strict=True)
        ),
        defense_state=defense.init()
        if setup.sends_one_message
        else tuple(defense.init() for _ in setup.models),
    )


def _prepare(setup: _Setup, key: Key[Array, ""], state, labels: Int[Array, " samples"]):
    if not setup.defense.overrides("prepare_targets"):
        return state
    one_hot = jax.nn.one_hot(labels, setup.num_classes)
    return state._replace(targets=setup.defense.prepare_targets(key, one_hot))


def _exchange(
    setup: _Setup,
    key: Key[Array, ""],
    state: ProtocolState,
    features: Sequence[Float[Array, "batch ..."]],
    labels: Int[Array, " batch"],
    sample_ids: Int[Array, " batch"],
):
    with jax.default_matmul_precision("highest"):
        transcript, state, _ = _answered(
            setup, key, state, features, labels, sample_ids
        )
    return transcript, state


def _step(setup: _Setup, key, state: ProtocolState, features, labels, sample_ids):
    transcript, state, answer = _answered(
        setup, key, state, features, labels, sample_ids
    )
    params, optimizer_states = [], []
    for optimizer, of_party, optimizer_state, gradient in zip(
        setup.optimizers,
        state.params,
        state.optimizer_states,
        transcript.batch_gradients,
        strict=True,
    ):
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, of_party)
        params.append(optax.apply_updates(of_party, updates))
        optimizer_states.append(optimizer_state)
    state = state._replace(
        params=tuple(params),
        optimizer_states=tuple(optimizer_states),
        top=setup.label_side.update(state.top, answer),
    )
    return state, transcript


def _predict(
    setup: _Setup,
    state: ProtocolState,
    features: Sequence[Float[Array, "batch ..."]],
) -> Float[Array, "batch classes"]:
    embeddings = _embed_all(setup, state.params, state.statistics, features)
    logits = setup.label_side.logits(state.top, embeddings)
    return setup.defense.decode_logits(logits)


def _answered(setup: _Setup, key, state: ProtocolState, features, labels, sample_ids):
    """Everything of a step but the optimizers: forward, answer, backward."""
    check_labels(labels, setup.num_classes)
    key_defense, forwards, key_top = _ways_to_run(setup, key, state)
    features = list(features)
    for party, cheat in setup.manipulations.items():
        features[party] = cheat.alter(features[party], sample_ids)
    own, pullbacks, statistics = zip(
        *map(_run_and_pull_back, setup.models, state.params, features, forwards),
        strict=True,
    )
    embeddings = _sent(setup, key, own, sample_ids)
    targets = _targets(setup, state, labels, sample_ids)
    answer = setup.label_side.answer(
        state.top, embeddings, targets, key_top, setup.is_training
    )
    if setup.defense.overrides("penalty"):
        answer = _penalized(setup, answer, embeddings, targets)
    gradients, defense_state = _messages(
        setup, key_defense, state.defense_state, answer.gradients, labels, sample_ids
    )
    transcript = Transcript(
        embeddings=embeddings,
        gradients=gradients,
        batch_gradients=tuple(
            pullback(_used(setup, party, gradient, sample_ids))[0]
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


def _targets(setup: _Setup, state, labels, sample_ids):
    """What the batch is trained on: prepared by sample, or the encoded labels."""
    if setup.defense.overrides("prepare_targets") and not isinstance(
        state.targets, tuple
    ):
        return state.targets[sample_ids]
    return setup.defense.encode_labels(jax.nn.one_hot(labels, setup.num_classes))


def _penalized(setup: _Setup, answer, embeddings, targets):
    """The loss with the defense's penalty, and its gradient for each party."""
    penalty, gradients = jax.value_and_grad(setup.defense.penalty)(
        tuple(embeddings), targets
    )
    return answer._replace(
        loss=answer.loss + penalty,
        gradients=jax.tree.map(lambda a, b: a + b, tuple(answer.gradients), gradients),
    )


def _messages(setup: _Setup, key, defense_state, gradients, labels, sample_ids):
    """The messages as sent; the label party uses its own clean, unless covered."""
    sent, defense_state = _perturbed(
        setup, key, defense_state, gradients, labels, sample_ids
    )
    keeps_clean = None if setup.defense.covers_label_party else setup.label_party
    messages = tuple(
        clean if party == keeps_clean else out
        for party, (clean, out) in enumerate(zip(gradients, sent, strict=True))
    )
    return messages, defense_state


def _perturbed(setup: _Setup, key, defense_state, gradients, labels, sample_ids):
    """What the defense makes of them: one for all if they are the same, else each."""
    num_parties, perturb = len(setup.models), setup.defense.perturb
    if setup.sends_one_message:
        sent, defense_state = perturb(
            key, defense_state, gradients[0], labels, sample_ids
        )
        return (sent,) * num_parties, defense_state
    keys = jax.random.split(key, num_parties)
    sent, states = zip(
        *(
            perturb(party_key, of_party, gradient, labels, sample_ids)
            for party_key, of_party, gradient in zip(
                keys, defense_state, gradients, strict=True
            )
        ),
        strict=True,
    )
    return sent, states


def _embed_all(setup: _Setup, params, statistics, features):
    forwards = map(Forward, statistics)
    return tuple(map(networks.embed_in_parts, setup.models, params, features, forwards))


def _sent(setup: _Setup, key, embeddings, sample_ids):
    """The embeddings as they are sent, by parties that cheat with a key each."""
    sent = list(embeddings)
    for party, cheat in setup.manipulations.items():
        key_party = jax.random.fold_in(key, party + 1)
        sent[party] = cheat.send(key_party, sent[party], sample_ids)
    return tuple(sent)


def _used(setup: _Setup, party, gradient, sample_ids):
    """The message that a party's network is trained on."""
    cheat = setup.manipulations.get(party)
    return gradient if cheat is None else cheat.receive(gradient, sample_ids)


def _ways_to_run(setup: _Setup, key, state):
    """The defense's key, each party's `Forward`, the top's dropout key."""
    num_parties, is_training = len(setup.models), setup.is_training
    if all(model.run is None for model in setup.models) and setup.label_side.is_sum:
        return key, (EVALUATION,) * num_parties, None
    key, key_top, *keys = jax.random.split(key, num_parties + 2)
    forwards = tuple(
        Forward(of_party, dropout_key if is_training else None, is_training)
        for of_party, dropout_key in zip(state.statistics, keys, strict=True)
    )
    return key, forwards, key_top if is_training else None


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
    check_choice("mode", mode, get_args(Mode))
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

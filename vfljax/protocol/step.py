"""A vertical protocol: who takes part, and one step of it in pure functions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from vfljax import losses
from vfljax import models as networks
from vfljax._checks import check_choice, require
from vfljax.defenses import Defense, check_for_messages
from vfljax.models import EVALUATION, Forward, PartyModel
from vfljax.protocol.interference import Manipulation
from vfljax.protocol.records import Answer, ProtocolState, TopState, Transcript

Mode = Literal["training", "evaluation"]
RandomKey = Key[Array, ""]
Features = Sequence[Float[Array, "batch ..."]]
Integers = Int[Array, " batch"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class VerticalProtocol:
    """A protocol of K >= 2 parties: what they agreed on, and its pure functions.

    `sum_of_logits` and `model_splitting` return it.

    Raises:
        ValueError: For fewer than two parties, a number of optimizers other than that
            of models, fewer than two classes, a label party that isn't one, an unknown
            mode, or a manipulation of another than a passive party.
    """

    models: tuple[PartyModel, ...]
    """One network per party, the label party's included."""
    optimizers: tuple[optax.GradientTransformation, ...]
    """One optax optimizer per party, of any kind."""
    num_classes: int
    """C >= 2."""
    defense: Defense
    """What the label party does to messages and labels; `None` for nothing."""
    label_party: int = -1
    """Position of the party that holds the labels, the last by default; counted from
    the first in the record that is made."""
    mode: Mode = "training"
    """In which mode batch normalization and dropout run in a step."""
    manipulations: Mapping[int, Manipulation]
    """What passive parties that cheat do, by position."""
    sums_logits: ClassVar[bool] = True
    """Whether embeddings are summed, rather than given to a top model."""

    def __post_init__(self):
        """Checks the ranges and counts the label party from the first."""
        num_parties, party = len(self.models), self.label_party
        if num_parties < 2:
            raise ValueError(f"models: {num_parties} given, a protocol needs 2 or more")
        if len(self.optimizers) != num_parties:
            raise ValueError(
                f"optimizers: {len(self.optimizers)} given for {num_parties} models, "
                "one per party is needed"
            )
        require(self.num_classes >= 2, "num_classes", self.num_classes, ">= 2")
        allowed = f"in [0, {num_parties - 1}], or negative to count from the last"
        require(-num_parties <= party < num_parties, "label_party", party, allowed)
        check_choice("mode", self.mode, get_args(Mode))
        check_for_messages("defense", self.defense)
        party %= num_parties
        object.__setattr__(self, "label_party", party)
        for passive in self.manipulations:
            if passive == party or not 0 <= passive < num_parties:
                raise ValueError(
                    f"manipulations: has party {passive}, must be passive parties, "
                    f"from 0 to {num_parties - 1} but {party}"
                )

    @property
    def sends_one_message(self) -> bool:
        """Whether all parties get the same message, and the defense has one state."""
        return self.sums_logits and not self.defense.overrides("penalty")

    def init(self, key: RandomKey, features: Features) -> ProtocolState:
        """The state before training; `features` holds one array per party."""
        *keys, top_key = jax.random.split(key, len(self.models) + 1)
        params = tuple(
            model.init(*of_party)
            for model, *of_party in zip(self.models, keys, features, strict=True)
        )
        statistics = tuple(map(networks.init_statistics, self.models, features))
        embeddings = self._embed_all(params, statistics, features)
        top = self._start_top(top_key, embeddings)
        return self.restart(ProtocolState(params, statistics, (), top, ()))

    def restart(self, state: ProtocolState) -> ProtocolState:
        """The same networks, with what optimizers and defense remember as at first."""
        optimizer_states = tuple(
            optimizer.init(params)
            for optimizer, params in zip(self.optimizers, state.params, strict=True)
        )
        if self.sends_one_message:
            defense_state = self.defense.init()
        else:
            defense_state = tuple(self.defense.init() for _ in self.models)
        return state._replace(
            optimizer_states=optimizer_states, defense_state=defense_state
        )

    def prepare(
        self, key: RandomKey, state: ProtocolState, labels: Int[Array, " samples"]
    ) -> ProtocolState:
        """Once before training, what the defense prepares of all training labels."""
        if not self.defense.overrides("prepare_targets"):
            return state
        one_hot = jax.nn.one_hot(labels, self.num_classes)
        return state._replace(targets=self.defense.prepare_targets(key, one_hot))

    def exchange(
        self,
        key: RandomKey,
        state: ProtocolState,
        features: Features,
        labels: Integers,
        sample_ids: Integers,
    ) -> tuple[Transcript, ProtocolState]:
        """The messages of one batch, and the state after them.

        No parameter is updated; the state has the new running statistics and defense
        state. Computed in full float32 on any device, as is whatever attacks compare
        it with.
        """
        with jax.default_matmul_precision("highest"):
            return self._answered(key, state, features, labels, sample_ids)[:2]

    def step(
        self,
        key: RandomKey,
        state: ProtocolState,
        features: Features,
        labels: Integers,
        sample_ids: Integers,
    ) -> tuple[ProtocolState, Transcript]:
        """The exchange, then every party's own optimizer."""
        transcript, state, answer = self._answered(
            key, state, features, labels, sample_ids
        )
        gradients = transcript.batch_gradients
        of_parties = self.optimizers, gradients, state.optimizer_states, state.params
        params, optimizer_states = zip(*map(optimized, *of_parties), strict=True)
        state = state._replace(
            params=params,
            optimizer_states=optimizer_states,
            top=self._update_top(state.top, answer),
        )
        return state, transcript

    def predict(
        self,
        state: ProtocolState,
        features: Sequence[Float[Array | np.ndarray, "batch ..."]],
    ) -> Float[Array, "batch classes"]:
        """Logits, decoded, in evaluation mode, of a few hundred samples at a time."""
        embeddings = self._embed_all(state.params, state.statistics, features)
        logits = self._logits(state.top, embeddings)
        return self.defense.decode_logits(logits)

    # ---- what the label party does with embeddings: here it adds them up -----------
    def _start_top(self, key, embeddings) -> TopState:
        """The label party's top model before training."""
        return TopState()

    def _answer(self, top: TopState, embeddings, targets, dropout_key) -> Answer:
        """What comes of a batch."""
        total = self._logits(top, embeddings)
        gradient = losses.logit_gradient(total, targets)
        loss = losses.cross_entropy(total, targets)
        return Answer(loss, (gradient,) * len(embeddings), (), ())

    def _update_top(self, top: TopState, answer: Answer) -> TopState:
        """The top model's own optimizer step."""
        return top

    def _logits(self, top: TopState, embeddings):
        """From embeddings to predictions (batch, classes), in evaluation mode."""
        return jnp.sum(jnp.stack(embeddings), axis=0)

    # ---- the parts of a step --------------------------------------------------------
    def _embed_all(self, params, statistics, features):
        """Every party's embedding, in evaluation mode."""
        forwards = map(Forward, statistics)
        parts = map(networks.embed_in_parts, self.models, params, features, forwards)
        return tuple(parts)

    def _answered(self, key, state: ProtocolState, features, labels, sample_ids):
        """Everything of a step but the optimizers: forward, answer, backward."""
        check_labels(labels, self.num_classes)
        key_defense, forwards, key_top = self._ways_to_run(key, state)
        features = list(features)
        for party, cheat in self.manipulations.items():
            features[party] = cheat.alter(features[party], sample_ids)
        of_parties = self.models, state.params, features, forwards
        own, pullbacks, statistics = zip(
            *map(_run_and_pull_back, *of_parties), strict=True
        )
        embeddings = list(own)
        for party, cheat in self.manipulations.items():
            key_party = jax.random.fold_in(key, party + 1)
            embeddings[party] = cheat.send(key_party, embeddings[party], sample_ids)
        embeddings = tuple(embeddings)
        targets = self._targets(state, labels, sample_ids)
        answer = self._answer(state.top, embeddings, targets, key_top)
        if self.defense.overrides("penalty"):
            answer = self._penalized(answer, embeddings, targets)
        gradients, defense_state = self._messages(
            key_defense, state.defense_state, answer.gradients, labels, sample_ids
        )
        used = list(gradients)
        for party, cheat in self.manipulations.items():
            used[party] = cheat.receive(gradients[party], sample_ids)
        batch_gradients = (
            pull(gradient)[0] for pull, gradient in zip(pullbacks, used, strict=True)
        )
        transcript = Transcript(
            embeddings=embeddings,
            gradients=gradients,
            batch_gradients=tuple(batch_gradients),
            forwards=forwards,
            loss=answer.loss,
        )
        state = state._replace(
            statistics=statistics,
            top=state.top._replace(statistics=answer.top_statistics),
            defense_state=defense_state,
        )
        return transcript, state, answer

    def _ways_to_run(self, key, state: ProtocolState):
        """The defense's key, each party's `Forward`, the top's dropout key."""
        num_parties, is_training = len(self.models), self.mode == "training"
        if self.sums_logits and all(model.run is None for model in self.models):
            return key, (EVALUATION,) * num_parties, None
        key, key_top, *keys = jax.random.split(key, num_parties + 2)
        forwards = tuple(
            Forward(of_party, dropout_key if is_training else None, is_training)
            for of_party, dropout_key in zip(state.statistics, keys, strict=True)
        )
        return key, forwards, key_top if is_training else None

    def _targets(self, state: ProtocolState, labels, sample_ids):
        """What the batch is trained on: prepared by sample, or the encoded labels."""
        if self.defense.overrides("prepare_targets") and not isinstance(
            state.targets, tuple
        ):
            return state.targets[sample_ids]
        return self.defense.encode_labels(jax.nn.one_hot(labels, self.num_classes))

    def _penalized(self, answer: Answer, embeddings, targets):
        """The loss with the defense's penalty, and its gradient for each party."""
        differentiated = jax.value_and_grad(self.defense.penalty)
        penalty, gradients = differentiated(embeddings, targets)
        return answer._replace(
            loss=answer.loss + penalty,
            gradients=jax.tree.map(jnp.add, answer.gradients, gradients),
        )

    def _messages(self, key, defense_state, gradients, labels, sample_ids):
        """The messages as sent; the label party uses its own clean, unless covered."""
        num_parties, perturb = len(self.models), self._perturb
        if self.sends_one_message:
            message, defense_state = perturb(
                key, defense_state, gradients[0], labels, sample_ids
            )
            sent = [message] * num_parties
        else:
            keys = jax.random.split(key, num_parties)
            of_parties = zip(keys, defense_state, gradients, strict=True)
            perturbed = (perturb(*own, labels, sample_ids) for own in of_parties)
            sent, defense_state = zip(*perturbed, strict=True)
            sent = list(sent)
        if not self.defense.covers_label_party:
            sent[self.label_party] = gradients[self.label_party]
        return tuple(sent), defense_state

    def _perturb(self, key, state, gradient, labels, sample_ids):
        """One message and the defense's state, after a check of a user's own."""
        answer = self.defense.perturb(key, state, gradient, labels, sample_ids)
        is_pair = isinstance(answer, tuple) and len(answer) == 2
        shape = jnp.shape(answer[0]) if is_pair else type(answer).__name__
        allowed = f"{gradient.shape}: a message like the gradient, and the state"
        called = f"what {type(self.defense).__name__}.perturb returned"
        require(shape == gradient.shape, called, shape, allowed)
        return answer


def make_protocol(
    kind: type[VerticalProtocol],
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    *,
    defense: Defense | None = None,
    manipulations: Mapping[int, Manipulation] | None = None,
    **options: Any,
) -> VerticalProtocol:
    """A protocol of a kind; options are its further fields."""
    return kind(
        models=tuple(models),
        optimizers=tuple(optimizers),
        defense=defense or Defense(),
        manipulations=manipulations or {},
        **options,
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


def optimized(optimizer: optax.GradientTransformation, gradient, state, params):
    """Parameters and the optimizer's state after one step."""
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state


def _run_and_pull_back(model, params, features, forward):
    """Embedding, its pullback to the parameters, and the new running statistics."""
    return jax.vjp(
        lambda of_party: networks.run(model, of_party, features, forward),
        params,
        has_aux=True,
    )

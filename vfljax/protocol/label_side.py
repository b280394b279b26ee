"""What the label party does with the embeddings it receives: add them up, or a top.

Without model splitting the embeddings are logits and are summed (Zou et al., 2022,
Eqs. 1-5). With it, a trainable top model takes them side by side (Fu et al., 2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from vfljax import losses, models
from vfljax.models import Forward, Params, PartyModel, Statistics


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
    gradients: tuple[Float[Array, "batch _"], ...]
    top_gradient: Params
    top_statistics: Statistics


class LabelSide(NamedTuple):
    """How embeddings become a loss, messages and predictions.

    Attributes:
        init: `init(key, embeddings) -> TopState`.
        answer: `answer(top, embeddings, targets, dropout_key, is_training) -> Answer`.
        update: `update(top, answer) -> TopState`, the top model's own optimizer step.
        logits: `logits(top, embeddings)` (batch, classes), in evaluation mode.
        is_sum: Whether all parties get the same message.
    """

    init: Callable[..., TopState]
    answer: Callable[..., Answer]
    update: Callable[[TopState, Answer], TopState]
    logits: Callable[..., Float[Array, "batch classes"]]
    is_sum: bool


def summed() -> LabelSide:
    """Logits are summed; nothing is trained at the label party but its bottom model."""

    def logits(top: TopState, embeddings: Sequence[Any]):
        return jnp.sum(jnp.stack(embeddings), axis=0)

    def answer(top, embeddings, targets, dropout_key, is_training):
        total = logits(top, embeddings)
        gradient = losses.logit_gradient(total, targets)
        loss = losses.cross_entropy(total, targets)
        return Answer(loss, (gradient,) * len(embeddings), (), ())

    return LabelSide(
        init=lambda key, embeddings: TopState(),
        answer=answer,
        update=lambda top, answer: top,
        logits=logits,
        is_sum=True,
    )


def with_top(
    model: PartyModel,
    optimizer: optax.GradientTransformation,
    class_weights: Float[Array, " classes"] | None,
) -> LabelSide:
    """A top model on the concatenated embeddings, in the order of the parties."""

    def init(key, embeddings: Sequence[Any]):
        joined = jnp.concatenate(embeddings, axis=1)
        params = model.init(key, joined)
        statistics = models.init_statistics(model, joined)
        return TopState(params, statistics, optimizer.init(params))

    def answer(top: TopState, embeddings, targets, dropout_key, is_training):
        forward = Forward(top.statistics, dropout_key, is_training)

        def loss_and_statistics(params, embeddings):
            joined = jnp.concatenate(embeddings, axis=1)
            logits, statistics = models.run(model, params, joined, forward)
            return losses.cross_entropy(logits, targets, class_weights), statistics

        (loss, statistics), (top_gradient, gradients) = jax.value_and_grad(
            loss_and_statistics, argnums=(0, 1), has_aux=True
        )(top.params, tuple(embeddings))
        return Answer(loss, gradients, top_gradient, statistics)

    def update(top: TopState, answer: Answer):
        updates, optimizer_state = optimizer.update(
            answer.top_gradient, top.optimizer_state, top.params
        )
        params = optax.apply_updates(top.params, updates)
        return TopState(params, answer.top_statistics, optimizer_state)

    def logits(top: TopState, embeddings):
        joined = jnp.concatenate(embeddings, axis=1)
        return models.embed(model, top.params, joined, Forward(top.statistics))

    return LabelSide(init, answer, update, logits, is_sum=False)

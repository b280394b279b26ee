"""Vertical federated learning: K parties, with and without model splitting.

K parties hold different features of the same samples; one of them, the label party,
receives the embeddings H^k (batch, embed) and returns dL/dH^k of the mean loss.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from vfljax import losses
from vfljax import models as networks
from vfljax._checks import check_choice
from vfljax.known import KNOWN_FIELDS, OF_UPDATES
from vfljax.models import Forward, PartyModel
from vfljax.protocol.records import Answer, TopState
from vfljax.protocol.step import Mode, VerticalProtocol, make_protocol, optimized
from vfljax.protocol.views import VERTICAL_VIEWS


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Vertical:
    """What both protocols have in common."""

    mode: Mode = VerticalProtocol.mode
    """In which mode batch normalization and dropout run while messages are exchanged:
    training or evaluation."""
    views: ClassVar[tuple[Any, ...]] = VERTICAL_VIEWS
    knowledge: ClassVar[tuple[str, ...]] = tuple(
        name for name in KNOWN_FIELDS if name not in OF_UPDATES
    )
    shares_rows: ClassVar[bool] = False

    def __post_init__(self):
        """Checks the mode."""
        check_choice("protocol.mode", self.mode, get_args(Mode))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SumOfLogits(_Vertical):
    """Embeddings are logits and are added up; nobody trains a top model (Zou et al.).

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 1-8: the message
    U = (softmax(Σ_k H^k) − Y)/B is the same for all parties. The label party perturbs
    it once and sends the same one to everybody: independent noise per party would be
    averaged out by parties who compare.
    """

    name: ClassVar[str] = "sum_of_logits"
    sums_logits: ClassVar[bool] = True

    def make(
        self,
        models: Sequence[PartyModel],
        optimizers: Sequence[optax.GradientTransformation],
        *,
        embed: int,
        top_optimizer: optax.GradientTransformation | None = None,
        **options: Any,
    ) -> VerticalProtocol:
        """Returns `sum_of_logits`; it needs neither a width nor a top optimizer."""
        return sum_of_logits(models, optimizers, mode=self.mode, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSplitting(_Vertical):
    """The label party trains a top model on all embeddings (Fu et al.).

    Fu et al. (USENIX Security 2022). The top model takes the embeddings side by side,
    in the order of the parties. Messages belong to the top model *before* its own
    step, as in the released code, and differ between parties: each is perturbed with
    a key of its own. An adversary may bring any optimizer, such as
    `optimizers.malicious_sgd`.
    """

    top: networks.Top = dataclasses.field(default_factory=networks.Top)
    """The top model that the label party trains on all embeddings side by side."""
    name: ClassVar[str] = "model_splitting"
    sums_logits: ClassVar[bool] = False

    def make(
        self,
        models: Sequence[PartyModel],
        optimizers: Sequence[optax.GradientTransformation],
        *,
        num_classes: int,
        embed: int,
        top_optimizer: optax.GradientTransformation,
        **options: Any,
    ) -> VerticalProtocol:
        """Returns `model_splitting` of parties with embeddings of the width `embed`."""
        return model_splitting(
            models,
            optimizers,
            self.top.make(embed * len(models), num_classes),
            top_optimizer,
            num_classes=num_classes,
            class_weights=self.top.class_weights,
            mode=self.mode,
            **options,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _WithTop(VerticalProtocol):
    """A top model on the concatenated embeddings, in the order of the parties."""

    top: PartyModel
    top_optimizer: optax.GradientTransformation
    class_weights: Float[Array, " classes"] | None
    sums_logits: ClassVar[bool] = False

    def _start_top(self, key, embeddings):
        joined = jnp.concatenate(embeddings, axis=1)
        params = self.top.init(key, joined)
        statistics = networks.init_statistics(self.top, joined)
        return TopState(params, statistics, self.top_optimizer.init(params))

    def _answer(self, top, embeddings, targets, dropout_key):
        forward = Forward(top.statistics, dropout_key, self.mode == "training")

        def loss_and_statistics(params, embeddings):
            joined = jnp.concatenate(embeddings, axis=1)
            logits, statistics = networks.run(self.top, params, joined, forward)
            return losses.cross_entropy(logits, targets, self.class_weights), statistics

        (loss, statistics), (top_gradient, gradients) = jax.value_and_grad(
            loss_and_statistics, argnums=(0, 1), has_aux=True
        )(top.params, embeddings)
        return Answer(loss, gradients, top_gradient, statistics)

    def _update_top(self, top, answer):
        params, optimizer_state = optimized(
            self.top_optimizer, answer.top_gradient, top.optimizer_state, top.params
        )
        return TopState(params, answer.top_statistics, optimizer_state)

    def _logits(self, top, embeddings):
        joined = jnp.concatenate(embeddings, axis=1)
        return networks.embed(self.top, top.params, joined, Forward(top.statistics))


def check_protocol(name: str, value: Any) -> None:
    """Raises a `ValueError`, with the field's name, unless a value is a protocol."""
    if isinstance(value, type) and hasattr(value, "sums_logits"):
        kind = value.__name__
        raise ValueError(f"{name}: is the class {kind}, must be an instance: {kind}()")
    if not hasattr(value, "sums_logits") or not hasattr(value, "make"):
        raise ValueError(
            f"{name}: is {value!r}, must be SumOfLogits(), ModelSplitting(top=...), "
            "FederatedSGD() or FederatedAveraging()"
        )


def sum_of_logits(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    **options: Any,
) -> VerticalProtocol:
    """Returns the protocol of `SumOfLogits` for K >= 2 parties.

    Args:
        models: One network per party, each with an embedding of `num_classes` logits.
        optimizers: One optax optimizer per party, of any kind.
        **options: `num_classes` and, where it is to be another, any further field of
            `VerticalProtocol`, whose errors are those of this function.
    """
    return make_protocol(VerticalProtocol, models, optimizers, **options)


def model_splitting(
    models: Sequence[PartyModel],
    optimizers: Sequence[optax.GradientTransformation],
    top: PartyModel,
    top_optimizer: optax.GradientTransformation,
    *,
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    **options: Any,
) -> VerticalProtocol:
    """Returns the protocol of `ModelSplitting` for K >= 2 parties.

    Args:
        models: One bottom model per party, the label party's included.
        optimizers: As for `sum_of_logits`, like the options.
        top: The label party's top model, from (batch, Σ_k embed) to (batch, classes).
        top_optimizer: Of the top model.
        num_classes: C >= 2.
        class_weights: Of the loss, one per class; a batch's mean is weighted by them.
        **options: Further fields of `VerticalProtocol`.

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
    return make_protocol(
        _WithTop,
        models,
        optimizers,
        top=top,
        top_optimizer=top_optimizer,
        class_weights=weights,
        num_classes=num_classes,
        **options,
    )

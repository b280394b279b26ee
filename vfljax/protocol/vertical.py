"""Vertical federated learning: K parties, with and without model splitting.

K parties hold different features of the same samples; one of them, the label party,
receives the embeddings H^k (batch, embed) and returns dL/dH^k of the mean loss. Without
model splitting it adds them up as logits, and U = (softmax(Σ_k H^k) − Y)/B is the same
for all parties: Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 1-8. With
model splitting it trains a top model on them: Fu et al. (USENIX Security 2022).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

import jax.numpy as jnp
import optax

from vfljax import models as networks
from vfljax._checks import check_choice
from vfljax.defenses import Defense
from vfljax.models import PartyModel
from vfljax.protocol.interference import Manipulation
from vfljax.protocol.label_side import summed, with_top
from vfljax.protocol.records import VerticalProtocol
from vfljax.protocol.step import Mode, make_protocol


@dataclasses.dataclass(frozen=True, kw_only=True)
class SumOfLogits:
    """Embeddings are logits and are added up; nobody trains a top model (Zou et al.).

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Eqs. 1-8. The label party
    perturbs the message once and sends the same one to everybody: independent noise per
    party would be averaged out by parties who compare.
    """

    mode: Mode = "training"
    """In which mode batch normalization and dropout run while messages are exchanged:
    training or evaluation."""
    name: ClassVar[str] = "sum_of_logits"
    sums_logits: ClassVar[bool] = True

    def __post_init__(self):
        """Checks the mode."""
        check_choice("protocol.mode", self.mode, get_args(Mode))

    def make(
        self,
        models: Sequence[PartyModel],
        optimizers: Sequence[optax.GradientTransformation],
        *,
        num_classes: int,
        embed: int,
        top_optimizer: optax.GradientTransformation | None = None,
        defense: Defense | None = None,
        label_party: int = -1,
        manipulations: Mapping[int, Manipulation] | None = None,
    ) -> VerticalProtocol:
        """Returns the protocol of some parties; see `sum_of_logits`.

        Args:
            models: One bottom model per party.
            optimizers: One per party.
            num_classes: C.
            embed: Width of an embedding, C here.
            top_optimizer: Not used, as there is no top model.
            defense: What the label party does; `None` for nothing.
            label_party: Position of the party with the labels.
            manipulations: What passive parties that cheat do, by position.
        """
        return sum_of_logits(
            models,
            optimizers,
            num_classes=num_classes,
            defense=defense,
            label_party=label_party,
            mode=self.mode,
            manipulations=manipulations,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSplitting:
    """The label party trains a top model on all embeddings (Fu et al.).

    Fu et al. (USENIX Security 2022). Messages differ between parties, and each is
    perturbed with a key of its own.
    """

    top: networks.Top = dataclasses.field(default_factory=networks.Top)
    """The top model that the label party trains on all embeddings side by side."""
    mode: Mode = "training"
    """In which mode batch normalization and dropout run while messages are exchanged:
    training or evaluation."""
    name: ClassVar[str] = "model_splitting"
    sums_logits: ClassVar[bool] = False

    def __post_init__(self):
        """Checks the mode."""
        check_choice("protocol.mode", self.mode, get_args(Mode))

    def make(
        self,
        models: Sequence[PartyModel],
        optimizers: Sequence[optax.GradientTransformation],
        *,
        num_classes: int,
        embed: int,
        top_optimizer: optax.GradientTransformation,
        defense: Defense | None = None,
        label_party: int = -1,
        manipulations: Mapping[int, Manipulation] | None = None,
    ) -> VerticalProtocol:
        """Returns the protocol of some parties; see `model_splitting`.

        Arguments as for `SumOfLogits.make`; `top_optimizer` is the top model's.
        """
        return model_splitting(
            models,
            optimizers,
            self.top.make(embed * len(models), num_classes),
            top_optimizer,
            num_classes=num_classes,
            defense=defense,
            label_party=label_party,
            class_weights=self.top.class_weights,
            mode=self.mode,
            manipulations=manipulations,
        )


def check_protocol(name: str, value: Any) -> None:
    """Raises a `ValueError`, with the field's name, unless a value is a protocol."""
    if isinstance(value, type) and hasattr(value, "sums_logits"):
        kind = value.__name__
        raise ValueError(f"{name}: is the class {kind}, must be an instance: {kind}()")
    if not hasattr(value, "sums_logits") or not hasattr(value, "make"):
        raise ValueError(
            f"{name}: is {value!r}, must be SumOfLogits() or ModelSplitting(top=...)"
        )


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
    return make_protocol(
        models,
        optimizers,
        summed(),
        num_classes=num_classes,
        defense=defense,
        label_party=label_party,
        mode=mode,
        manipulations=manipulations,
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
    return make_protocol(
        models,
        optimizers,
        label_side,
        num_classes=num_classes,
        defense=defense,
        label_party=label_party,
        mode=mode,
        manipulations=manipulations,
    )

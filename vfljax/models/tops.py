"""Top models: from the embeddings of all parties, side by side, to the classes."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from flax import linen as nn

from vfljax._checks import require
from vfljax.models.base import PartyModel
from vfljax.models.initializers import kaiming_normal, linear
from vfljax.models.stateful import batch_norm, from_linen, stateful_model


class _RectifiedLayers(nn.Module):
    """Layers of batch normalization, ReLU and linear map, in this order."""

    widths: tuple[int | None, ...]
    batch_norm: bool
    log_softmax: bool
    kernel_init: Callable

    @nn.compact
    def __call__(self, x, is_training=False):
        for number, width in enumerate(self.widths):
            if self.batch_norm:
                x = batch_norm(is_training, f"norm_{number}")(x)
            name, width = f"layer_{number}", width or x.shape[1]
            x = linear(nn.relu(x), width, self.kernel_init, name)
        return nn.log_softmax(x) if self.log_softmax else x


@functools.cache
def rectified(
    widths: tuple[int | None, ...],
    batch_norm: bool,
    log_softmax: bool,
    kernel_init: Callable = kaiming_normal,
) -> PartyModel:
    """The model of layers that rectify what comes in; None is the width of that."""
    network = _RectifiedLayers(widths, batch_norm, log_softmax, kernel_init)
    return stateful_model(network) if batch_norm else from_linen(network)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Top:
    """The label party's top model on all embeddings: that of `top_mlp`."""

    widths: tuple[int, ...] | None = None
    """Widths of the layers but the last, whose outputs are the classes; None for one as
    wide as all embeddings and two of the number of classes (Fu et al., CIFAR-10)."""
    batch_norm: bool = True
    """Whether batch normalization stands before each ReLU."""
    log_softmax: bool = True
    """Whether the output is log-softmax of the logits, as in the released code; the
    cross-entropy of these is that of the logits."""
    class_weights: tuple[int | float, ...] | None = None
    """Weights of the classes in the loss, each > 0; None for all alike."""

    def __post_init__(self):
        """Checks the ranges."""
        for width in self.widths or ():
            require(width >= 1, "widths", width, ">= 1")
        for weight in self.class_weights or ():
            require(weight > 0, "class_weights", weight, "> 0")

    def make(self, num_inputs: int, num_classes: int) -> PartyModel:
        """Returns the model for embeddings of a width in all; one object if equal."""
        widths = self.widths
        if widths is None:
            widths = (num_inputs, num_classes, num_classes)
        return rectified((*widths, num_classes), self.batch_norm, self.log_softmax)


def top_mlp(
    widths: Sequence[int],
    *,
    batch_norm: bool = Top.batch_norm,
    log_softmax: bool = Top.log_softmax,
) -> PartyModel:
    """Returns the fully connected top model of Fu et al. (FCNN).

    Each layer is batch normalization, ReLU, linear, so that embeddings are rectified
    first. Kernels start Kaiming-normal. From the released code of Fu et al. (2022,
    https://www.usenix.org/conference/usenixsecurity22/presentation/fu-chong):
    `(20, 10, 10, 10)` for two parties on CIFAR-10 and ten classes,
    `(8, 4, 2), batch_norm=False, log_softmax=False` for Criteo.

    Features are embeddings (batch, sum of the parties' widths). With batch
    normalization the model is run by `models.embed` or `models.run`; without, also by
    `apply`. Equal arguments return the same object.

    `widths` are what each layer puts out, each >= 1; the last is the number of classes.
    The options are those of `Top`.

    Raises:
        ValueError: If there is no layer or a width is below 1.
    """
    widths = tuple(widths)
    is_met = bool(widths) and all(width >= 1 for width in widths)
    require(is_met, "widths", widths, "one or more, each >= 1")
    return rectified(widths, batch_norm, log_softmax)

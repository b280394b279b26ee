"""What one adversary sees of a step under one threat model, and nothing else.

An attack takes a view, never the transcript: that it can't look at labels or at other
parties' features is visible in its signature.
"""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from vfljax import models
from vfljax._checks import require
from vfljax.models import EVALUATION, Forward, Params, PartyModel
from vfljax.protocol.records import ProtocolState, Transcript
from vfljax.protocol.step import VerticalProtocol

_STATIC = {"static": True}  # of a field that shapes the program, for JAX


@dataclasses.dataclass(frozen=True)
class _OwnPart:
    """What every adversary has.

    Attributes:
        model: Its own network.
        params: The network's parameters at the time of the view.
        features: Its features of the samples that the view is about (batch, ...).
    """

    model: PartyModel = dataclasses.field(metadata=_STATIC)
    params: Params
    features: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SampleGradientView(_OwnPart):
    """Plaintext protocol: the adversary gets dL/dH for every sample of the batch.

    Attributes:
        gradients: dL/dH as received (batch, embed), of the mean loss.
        num_classes: C >= 2.
        forward: How it ran its network on the batch.
        sums_logits: Whether embeddings are summed as logits, so that embed is C and a
            negative entry gives the label away; else a top model takes them.
    """

    gradients: Any
    num_classes: int = dataclasses.field(metadata=_STATIC)
    forward: Forward = EVALUATION
    sums_logits: bool = dataclasses.field(default=True, metadata=_STATIC)
    name: ClassVar[str] = "sample_gradient"
    is_final: ClassVar[bool] = False


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BatchGradientView(_OwnPart):
    """Encrypted protocol: the adversary decrypts only its own batch gradient.

    Zou et al. (2022), Algorithm 1. The batch size is that of `features`, which are in
    the order of the batch; the network's embedding has one entry per class.

    Attributes:
        gradient: Gradient of the mean loss, a tree like `params`.
        num_classes: C >= 2.
        forward: How it ran its network on the batch: the mode of batch normalization
            and the dropout masks are its own, so it knows them.
    """

    gradient: Params
    num_classes: int = dataclasses.field(metadata=_STATIC)
    forward: Forward = EVALUATION
    name: ClassVar[str] = "batch_gradient"
    is_final: ClassVar[bool] = False


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainedModelView(_OwnPart):
    """Any protocol, when training is over: the adversary's own bottom model and data.

    Fu et al. (USENIX Security 2022). Nothing that crossed a boundary is in it: what
    leaks is what the bottom model learned. It is about all training samples.

    Attributes:
        num_classes: C >= 2.
        forward: Its running statistics after training, for evaluation.
    """

    num_classes: int = dataclasses.field(metadata=_STATIC)
    forward: Forward = EVALUATION
    name: ClassVar[str] = "trained_model"
    is_final: ClassVar[bool] = True


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PredictionView:
    """Any protocol, when training is over: what the trained model answers.

    A party that takes part in prediction may ask about samples of its choice, such as
    some that carry a trigger, and is told the logits.

    Attributes:
        logits: Of the samples asked about (asked, classes); NaN or infinite where the
            training diverged.
        num_classes: C >= 2.
    """

    logits: Any
    num_classes: int = dataclasses.field(metadata=_STATIC)
    name: ClassVar[str] = "predictions"
    is_final: ClassVar[bool] = True


View = SampleGradientView | BatchGradientView | TrainedModelView | PredictionView
"""Every view has a `name`, that of it in rows, and says whether it `is_final`: of the
trained model, rather than of one training step."""


VERTICAL_VIEWS = (
    SampleGradientView,
    BatchGradientView,
    TrainedModelView,
    PredictionView,
)
"""What there is to see in a vertical protocol."""


def make_view(
    kind: type,
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "batch ..."],
    transcript: Transcript,
    party: int = 0,
) -> Any:
    """What passive party `party` sees of `transcript`.

    Args:
        kind: The view's class: `SampleGradientView` in the plaintext protocol,
            `BatchGradientView` in the encrypted one.
        protocol: The protocol that was run.
        state: Its state *before* the step, when the messages were sent.
        features: That party's features of the batch.
        transcript: Of the batch.
        party: The adversary; any but the label party.

    Raises:
        ValueError: If `party` is the label party or not a party, or for another `kind`.
    """
    own = _own_part(protocol, state, features, party)
    forward = transcript.forwards[party]
    if kind is BatchGradientView:
        gradient = transcript.batch_gradients[party]
        return BatchGradientView(**own, gradient=gradient, forward=forward)
    is_kind = kind is SampleGradientView
    require(is_kind, "kind", kind, "SampleGradientView or BatchGradientView")
    return SampleGradientView(
        **own,
        gradients=transcript.gradients[party],
        forward=forward,
        sums_logits=protocol.sums_logits,
    )


sample_gradient_view = functools.partial(make_view, SampleGradientView)
batch_gradient_view = functools.partial(make_view, BatchGradientView)


def trained_model_view(
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "samples ..."],
    party: int = 0,
) -> TrainedModelView:
    """What passive party `party` has when training is over, in any protocol.

    As `make_view`, with the state after training and all training samples' features.
    """
    return TrainedModelView(
        **_own_part(protocol, state, features, party),
        forward=Forward(state.statistics[party]),
    )


def own_embedding(
    view: SampleGradientView | BatchGradientView | TrainedModelView,
) -> Float[Array, "batch embed"]:
    """H^p: the adversary's own embedding of its features, in the view's mode."""
    return models.embed(view.model, view.params, view.features, view.forward)


def check_view(view: SampleGradientView | BatchGradientView) -> None:
    """Raises a `ValueError` for a view that no sum of logits could have produced.

    Every attack on messages of one entry per class calls it. Shapes are always checked;
    values (NaN, infinity) only outside of `jit` and `vmap`, where they are known. A
    gradient with such values is not an error but what a diverged training sends.
    """
    require(view.num_classes >= 2, "num_classes", view.num_classes, ">= 2")
    if np.ndim(view.features) < 2 or 0 in np.shape(view.features):
        raise ValueError(
            f"features: shape {np.shape(view.features)}, must be (batch, ...) with at "
            "least one sample and one feature"
        )
    if not isinstance(view.features, Tracer) and not np.all(np.isfinite(view.features)):
        raise ValueError("features: contains NaN or infinity, must be finite")
    if isinstance(view, SampleGradientView) and not view.sums_logits:
        raise ValueError(
            "sums_logits=False: with model splitting no entry of a message belongs to "
            "a class; allowed is a view on the protocol that sums logits"
        )
    embedding = jax.eval_shape(own_embedding, view)
    expected = (np.shape(view.features)[0], view.num_classes)
    _check_shape("model: its embedding has", embedding, expected)
    if isinstance(view, SampleGradientView):
        _check_shape("gradients:", view.gradients, expected)
    else:
        _check_same_tree(view.gradient, view.params)


def _check_shape(what, array, expected):
    found = np.shape(array)
    if found != expected:
        raise ValueError(
            f"{what} shape {found}, must be (batch, num_classes) = {expected}"
        )


def _check_same_tree(gradient, params):
    found, expected = jax.tree.structure(gradient), jax.tree.structure(params)
    if found != expected:
        raise ValueError(
            f"gradient: its tree {found} must be that of the parameters, {expected}"
        )
    paths = jax.tree_util.tree_flatten_with_path(gradient)[0]
    for (path, leaf), parameter in zip(paths, jax.tree.leaves(params), strict=True):
        if jnp.shape(leaf) != jnp.shape(parameter):
            raise ValueError(
                f"gradient{jax.tree_util.keystr(path)}: shape {jnp.shape(leaf)}, must "
                f"be that of the parameter, {jnp.shape(parameter)}"
            )


def _own_part(protocol, state, features, party) -> dict[str, Any]:
    """What a passive party has in every view; refuses another."""
    allowed = range(len(protocol.models))
    require(party in allowed, "party", party, f"in [0, {allowed[-1]}]")
    if party == protocol.label_party:
        raise ValueError(f"party={party}: is the label party, which has the labels")
    return {
        "model": protocol.models[party],
        "params": state.params[party],
        "features": features,
        "num_classes": protocol.num_classes,
    }

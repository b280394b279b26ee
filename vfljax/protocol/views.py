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
from vfljax.models import EVALUATION, Forward, Params, PartyModel
from vfljax.protocol.records import ProtocolState, Transcript, VerticalProtocol


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "features", "gradients", "forward"],
    meta_fields=["model", "num_classes", "sums_logits"],
)
@dataclasses.dataclass(frozen=True)
class SampleGradientView:
    """Plaintext protocol: the adversary gets dL/dH for every sample of the batch.

    Attributes:
        model: The adversary's own network.
        params: Its parameters at the time of the batch.
        features: Its features of the batch (batch, ...).
        gradients: dL/dH as received (batch, embed), of the mean loss.
        num_classes: C >= 2.
        forward: How it ran its network on the batch.
        sums_logits: Whether embeddings are summed as logits, so that embed is C and a
            negative entry gives the label away; else a top model takes them.
    """

    model: PartyModel
    params: Params
    features: Any
    gradients: Any
    num_classes: int
    forward: Forward = EVALUATION
    sums_logits: bool = True
    name: ClassVar[str] = "sample_gradient"
    is_final: ClassVar[bool] = False


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "features", "gradient", "forward"],
    meta_fields=["model", "num_classes"],
)
@dataclasses.dataclass(frozen=True)
class BatchGradientView:
    """Encrypted protocol: the adversary decrypts only its own batch gradient.

    Zou et al. (2022), Algorithm 1. The batch size is that of `features`.

    Attributes:
        model: The adversary's own network; its embedding has one entry per class.
        params: Its parameters at the time of the batch.
        features: Its features of the batch (batch, ...), in the order of the batch.
        gradient: Gradient of the mean loss, a tree like `params`.
        num_classes: C >= 2.
        forward: How it ran its network on the batch: the mode of batch normalization
            and the dropout masks are its own, so it knows them.
    """

    model: PartyModel
    params: Params
    features: Any
    gradient: Params
    num_classes: int
    forward: Forward = EVALUATION
    name: ClassVar[str] = "batch_gradient"
    is_final: ClassVar[bool] = False


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["params", "features", "forward"],
    meta_fields=["model", "num_classes"],
)
@dataclasses.dataclass(frozen=True)
class TrainedModelView:
    """Any protocol, when training is over: the adversary's own bottom model and data.

    Fu et al. (USENIX Security 2022). Nothing that crossed a boundary is in it: what
    leaks is what the bottom model learned.

    Attributes:
        model: The adversary's own network.
        params: Its parameters after training.
        features: Its features of all training samples (samples, ...).
        num_classes: C >= 2.
        forward: Its running statistics after training, for evaluation.
    """

    model: PartyModel
    params: Params
    features: Any
    num_classes: int
    forward: Forward = EVALUATION
    name: ClassVar[str] = "trained_model"
    is_final: ClassVar[bool] = True


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["logits"],
    meta_fields=["num_classes"],
)
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
    num_classes: int
    name: ClassVar[str] = "message_rows"
    is_final: ClassVar[bool] = True


View = SampleGradientView | BatchGradientView | TrainedModelView | PredictionView
"""Every view has a `name`, that of it in rows, and says whether it `is_final`: of the
trained model, rather than of one training step."""


def sample_gradient_view(
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "batch ..."],
    transcript: Transcript,
    party: int = 0,
) -> SampleGradientView:
    """What passive party `party` sees of `transcript` in the plaintext protocol.

    Args:
        protocol: The protocol that was run.
        state: Its state *before* the step, when the messages were sent.
        features: That party's features of the batch.
        transcript: Of the batch.
        party: The adversary; any but the label party.

    Raises:
        ValueError: If `party` is the label party or not a party.
    """
    party = _passive(protocol, party)
    return SampleGradientView(
        model=protocol.models[party],
        params=state.params[party],
        features=features,
        gradients=transcript.gradients[party],
        num_classes=protocol.num_classes,
        forward=transcript.forwards[party],
        sums_logits=protocol.sums_logits,
    )


def batch_gradient_view(
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "batch ..."],
    transcript: Transcript,
    party: int = 0,
) -> BatchGradientView:
    """What passive party `party` sees of `transcript` in the encrypted protocol.

    Arguments and errors as in `sample_gradient_view`.
    """
    party = _passive(protocol, party)
    return BatchGradientView(
        model=protocol.models[party],
        params=state.params[party],
        features=features,
        gradient=transcript.batch_gradients[party],
        num_classes=protocol.num_classes,
        forward=transcript.forwards[party],
    )


def trained_model_view(
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "samples ..."],
    party: int = 0,
) -> TrainedModelView:
    """What passive party `party` has when training is over, in any protocol.

    Args:
        protocol: The protocol that was run.
        state: Its state after training.
        features: That party's features of all training samples.
        party: The adversary; any but the label party.

    Raises:
        ValueError: If `party` is the label party or not a party.
    """
    party = _passive(protocol, party)
    return TrainedModelView(
        model=protocol.models[party],
        params=state.params[party],
        features=features,
        num_classes=protocol.num_classes,
        forward=Forward(state.statistics[party]),
    )


def make_view(
    kind: type,
    protocol: VerticalProtocol,
    state: ProtocolState,
    features: Float[Array, "batch ..."],
    transcript: Transcript,
    party: int = 0,
) -> Any:
    """What passive party `party` sees of `transcript`, as a view of the class `kind`.

    Other arguments and errors as in `sample_gradient_view`.
    """
    makers = {
        SampleGradientView: sample_gradient_view,
        BatchGradientView: batch_gradient_view,
    }
    return makers[kind](protocol, state, features, transcript, party)


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
    if view.num_classes < 2:
        raise ValueError(f"num_classes={view.num_classes}: must be >= 2")
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
    if embedding.shape != expected:
        raise ValueError(
            f"model: its embedding has shape {embedding.shape}, must be (batch, "
            f"num_classes) = {expected}"
        )
    if isinstance(view, SampleGradientView):
        if np.shape(view.gradients) != expected:
            raise ValueError(
                f"gradients: shape {np.shape(view.gradients)}, must be (batch, "
                f"num_classes) = {expected}"
            )
    else:
        _check_same_tree(view.gradient, view.params)


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


def _passive(protocol, party):
    num_parties = len(protocol.models)
    if not 0 <= party < num_parties:
        raise ValueError(f"party={party}: must be in [0, {num_parties - 1}]")
    if party == protocol.label_party:
        raise ValueError(f"party={party}: is the label party, which has the labels")
    return party

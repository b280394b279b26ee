"""What a participant of horizontal federated learning sends, and who sees it.

Participants hold different samples of the same features. An update stands in gradient
units, (w_before − w_after)/η: for one local step it is the gradient of the mean loss of
a batch, for K steps the sum of K such gradients.
"""

import dataclasses
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from vfljax import losses, models
from vfljax._checks import require
from vfljax.defenses import Defense
from vfljax.models import EVALUATION, Forward, Params, PartyModel
from vfljax.protocol.local_steps import defended_gradient

RandomKey = Key[Array, ""]
_STATIC = {"static": True}  # of a field that shapes the program, for JAX


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class UpdateView:
    """What a curious server, or a participant that knows an aggregate, has of a round.

    The mean of M participants' updates with as many samples each is as good as the
    update of one with M times the batch: its `batch_size` says so.

    Attributes:
        model: The shared network.
        params: Its parameters at the beginning of the round.
        update: (w_before − w_after)/η as it was sent, a tree like `params`.
        learning_rate: η of the local steps.
        num_classes: C >= 2.
        batch_size: B >= 1, samples of each local step, of all participants together.
        sample_shape: Shape of one sample's features.
        num_steps: K >= 1, local steps.
        forward: How participants run the network, without the key of their masks, which
            are theirs.
        num_participants: M >= 1, participants whose updates the mean is of, each with
            B/M samples in a local step.
        shares: Their shares of the mean, in order; None for equal ones.
    """

    model: PartyModel = dataclasses.field(metadata=_STATIC)
    params: Params
    update: Params
    learning_rate: Any
    num_classes: int = dataclasses.field(metadata=_STATIC)
    batch_size: int = dataclasses.field(metadata=_STATIC)
    sample_shape: tuple[int, ...] = dataclasses.field(metadata=_STATIC)
    num_steps: int = dataclasses.field(default=1, metadata=_STATIC)
    forward: Forward = EVALUATION
    num_participants: int = dataclasses.field(default=1, metadata=_STATIC)
    shares: Any = None
    name: ClassVar[str] = "update"
    is_final: ClassVar[bool] = False

    @property
    def num_labels(self) -> int:
        """K·B, the labels behind the update."""
        return self.num_steps * self.batch_size


def local_update(
    model: PartyModel,
    params: Params,
    features: Float[Array, "steps batch ..."],
    labels: Int[Array, "steps batch"],
    *,
    learning_rate: Any,
    num_classes: int,
    forward: Forward = EVALUATION,
    optimizer: optax.GradientTransformation | None = None,
    defense: Defense | None = None,
    key: Key[Array, ""] | None = None,
) -> Params:
    """The update of a participant after some local steps, in gradient units.

    Of its defense this is what acts in the steps; what acts on the update as it is
    sent, `defense.perturb_update`, is left to the caller.

    Args:
        model: The shared network.
        params: Its parameters before the first step.
        features: Of the samples of each of K steps.
        labels: Their classes.
        learning_rate: η of the steps; without meaning for one plain step.
        num_classes: C.
        forward: How the network is run.
        optimizer: Of the steps, begun anew; None for plain SGD.
        defense: The participant's, at one strength; None for none.
        key: Of what the defense draws in the steps; needed if it does
            (`defense.acts_in_steps`). A network that drops units in training draws its
            masks from it too, new ones in each step, unless `forward` has a key.

    Returns:
        (w_before − w_after)/η. With plain SGD it is the sum of the K batch gradients,
        each at the parameters after the steps before it.
    """

    def gradient(params, features, labels, key):
        batch = features, labels, num_classes, forward
        return batch_gradient(model, params, *batch, defense=defense, key=key)

    if len(features) == 1 and optimizer is None:
        return gradient(params, features[0], labels[0], key)
    # Moves are summed up, as a difference of weights would lose digits.
    steps = optax.identity() if optimizer is None else optimizer
    unit = -learning_rate if optimizer is None else 1.0

    def one_step(carry, numbered):
        (moved, state), (number, features, labels) = carry, numbered
        here = jax.tree.map(jnp.add, params, moved)
        step_key = None if key is None else jax.random.fold_in(key, number)
        found = gradient(here, features, labels, step_key)
        moves, state = steps.update(found, state, here)
        return (jax.tree.map(lambda a, b: a + unit * b, moved, moves), state), None

    start = jax.tree.map(jnp.zeros_like, params), steps.init(params)
    numbered = jnp.arange(len(features)), features, labels
    (moved, _), _ = jax.lax.scan(one_step, start, numbered)
    return jax.tree.map(lambda leaf: -leaf / learning_rate, moved)


def batch_gradient(
    model: PartyModel,
    params: Params,
    features: Float[Array, "batch ..."],
    labels: Int[Array, " batch"],
    num_classes: int,
    forward: Forward = EVALUATION,
    *,
    defense: Defense | None = None,
    key: Key[Array, ""] | None = None,
) -> Params:
    """Gradient of the mean cross-entropy of one batch.

    `defense` and `key` as for `local_update`: the gradient is then the one that a local
    step takes.
    """
    is_masked = model.drops and forward.is_training and forward.dropout_key is None
    if is_masked and key is not None:
        key_masks, key = jax.random.split(key)
        forward = dataclasses.replace(forward, dropout_key=key_masks)
    targets = jax.nn.one_hot(labels, num_classes)
    if defense is not None and defense.acts_in_steps:
        allowed = f"a key: {type(defense).__name__} acts in local steps"
        require(key is not None, "key", key, allowed)
        here = model, params, features, targets, forward
        return defended_gradient(*here, defense, cast(RandomKey, key))

    def loss(params):
        logits = models.embed(model, params, features, forward)
        return losses.cross_entropy(logits, targets)

    return jax.grad(loss)(params)


def head_of(tree: Params, layer: str) -> tuple[Float[Array, "n d"], Any]:
    """Kernel (n, d) and bias (n,) of the last dense layer in a tree like the params.

    The bias is None for a layer without one.

    Raises:
        ValueError: If the tree has no such layer.
    """
    is_there = hasattr(tree, "keys") and layer in tree and "kernel" in tree[layer]
    found = "parameters that are a dictionary of layers, each with its kernel"
    if hasattr(tree, "keys"):
        found = f"the name of the last dense layer, of {', '.join(map(str, tree))}"
    allowed = found
    require(is_there, "layer", layer, allowed)
    return tree[layer]["kernel"].T, tree[layer].get("bias")


def inputs_of_head(
    view: UpdateView, features: Float[Array, "batch ..."], layer: str
) -> Float[Array, "batch d"]:
    """What the last dense layer is given for each sample: h_b, the features before it.

    A logit is linear in that layer's kernel, and h_b is its derivative: exact for any
    network, and no backward pass goes through the rest of it.
    """
    kernel = view.params[layer]["kernel"]

    def first_logits(column):
        changed = view.params[layer] | {"kernel": kernel.at[:, 0].set(column)}
        params = dict(view.params) | {layer: changed}
        return models.embed(view.model, params, features, view.forward)[:, 0]

    _, pull_back = jax.vjp(first_logits, kernel[:, 0])
    return jax.vmap(pull_back)(jnp.eye(len(features), dtype=kernel.dtype))[0]


def check_update(view: UpdateView, layer: str) -> None:
    """Raises a `ValueError` for a view from which no labels can be counted."""
    require(view.num_classes >= 2, "num_classes", view.num_classes, ">= 2")
    require(view.batch_size >= 1, "batch_size", view.batch_size, ">= 1")
    require(view.num_steps >= 1, "num_steps", view.num_steps, ">= 1")
    found, expected = jax.tree.structure(view.update), jax.tree.structure(view.params)
    require(found == expected, "update: its tree", found, f"that of params, {expected}")
    shape = jnp.shape(head_of(view.params, layer)[0])
    allowed = f"({view.num_classes}, inputs), a row for each class"
    is_fit = shape[0] == view.num_classes
    require(is_fit, f"params: shape of layer {layer!r}", shape, allowed)

"""The gradient of a local step in which a participant's defense acts."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from vfljax import losses, models
from vfljax._checks import require
from vfljax.defenses import Defense
from vfljax.models import Forward, Params, PartyModel


def defended_gradient(
    model: PartyModel,
    params: Params,
    features: Float[Array, "batch ..."],
    targets: Float[Array, "batch classes"],
    forward: Forward,
    defense: Defense,
    key: Key[Array, ""],
) -> Params:
    """Gradient of the mean cross-entropy as the defense lets a local step have it.

    The loss is one of perturbed logits. If the defense clips the gradients of single
    samples, these are computed one by one, each with dropout's masks of its own, and
    averaged. At last it perturbs the mean.

    Raises:
        ValueError: If gradients of single samples are to be clipped, and there are
            none as a batch is normalized by its own statistics.
    """
    key_logits, key_gradient = jax.random.split(key)
    clip_norm = defense.example_clip_norm

    def gradient_of(key, features, targets, forward=forward):
        def loss(params):
            logits = models.embed(model, params, features, forward)
            return losses.cross_entropy(defense.perturb_logits(key, logits), targets)

        return jax.grad(loss)(params)

    def clipped(key, mask_key, sample, target):
        of_sample = dataclasses.replace(forward, dropout_key=mask_key)
        gradient = gradient_of(key, sample[None], target[None], of_sample)
        return clip_tree(gradient, clip_norm)

    if clip_norm is None:
        mean = gradient_of(key_logits, features, targets)
    else:
        is_of_batch = forward.is_training and jax.tree.leaves(forward.statistics)
        allowed = "False to clip single samples: batch statistics mix their gradients"
        require(not is_of_batch, "forward.is_training", True, allowed)
        keys = jax.random.split(key_logits, len(features))
        mask_keys = forward.dropout_key
        if mask_keys is not None:
            mask_keys = jax.random.split(mask_keys, len(features))
        of_samples = jax.vmap(clipped)(keys, mask_keys, features, targets)
        mean = jax.tree.map(lambda each: jnp.mean(each, axis=0), of_samples)
    return defense.perturb_gradient(key_gradient, mean, len(features))


def clip_tree(tree: Params, norm: Any) -> Params:
    """A tree divided by max(1, its 2-norm / norm); all its entries are one vector.

    Example:
        >>> clip_tree({"a": jnp.array([3.0]), "b": jnp.array([4.0])}, 1.0)["b"]
        Array([0.8], dtype=float32)
    """
    times = jnp.maximum(1.0, optax.tree.norm(tree) / norm)
    return jax.tree.map(lambda leaf: leaf / times, tree)

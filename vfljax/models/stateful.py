"""Models of linen modules: plain ones, and those that are run in a mode."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vfljax.models.base import PartyModel


def from_linen(module: nn.Module) -> PartyModel:
    """Returns the model of a linen module that is called as `module(features)`.

    A module with batch normalization or dropout is one for `stateful_model`, and
    `init` raises a `ValueError` for it. docs/your_own.md has an example.
    """

    def init(key, features):
        variables = module.init(key, features[:1])
        others = sorted(set(variables) - {"params"})
        if others:
            raise ValueError(
                f"{type(module).__name__}: has {', '.join(others)} besides params; use "
                "models.stateful_model, whose modules are called with is_training"
            )
        return variables.get("params", {})

    def apply(params, features) -> Any:
        return module.apply({"params": params}, features)

    return PartyModel(init=init, apply=apply)


def stateful_model(
    network: nn.Module, *, has_statistics: bool = True, drops: bool = False
) -> PartyModel:
    """Returns the model of a linen module with batch normalization, dropout or both.

    The module is called as `network(features, is_training)`, `is_training` being a
    Python bool. In training, batches are normalized by their own statistics, running
    ones are updated, and units are dropped if `forward.dropout_key` is there. In
    evaluation the running statistics are used and returned unchanged, and nothing is
    dropped. Build the module's layers with `batch_norm` and `is_dropping`. The model
    has `run`; its `apply` raises a `ValueError`, as a function of parameters and
    features alone it is not.

    Args:
        network: The module; its variables are `params` and perhaps `batch_stats`, of
            shapes that do not depend on the size of the batch.
        has_statistics: Whether it has `batch_stats`; without them, as with dropout
            alone, its statistics are ().
        drops: Whether it has dropout above zero: participants of horizontal learning
            then draw masks in their local steps.
    """

    def variables(key, features):
        return network.init(key, features[:1], False)

    def init(key, features):
        return variables(key, features).get("params", {})

    def init_statistics(features):
        shapes = jax.eval_shape(variables, jax.random.key(0), features)["batch_stats"]
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: jnp.full(leaf.shape, path[-1].key == "var", leaf.dtype),
            shapes,
        )

    def run(params, features, forward) -> Any:
        held = {"params": params}
        if has_statistics:
            held["batch_stats"] = forward.statistics
        if not forward.is_training:
            return network.apply(held, features, False), forward.statistics
        key = forward.dropout_key
        rngs = {} if key is None else {"dropout": key}
        embedding, updated = network.apply(
            held, features, True, rngs=rngs, mutable=["batch_stats"]
        )
        return embedding, updated.get("batch_stats", ())

    return PartyModel(
        init=init,
        apply=_refuse_to_apply,
        init_statistics=init_statistics if has_statistics else None,
        run=run,
        drops=drops,
    )


def batch_norm(is_training: bool, name: str | None = None) -> nn.BatchNorm:
    """Returns batch normalization with PyTorch's numbers: momentum .9, epsilon 1e-5.

    Running statistics become .9 times the old ones plus .1 times those of the batch.
    The variance is the biased one in both, where PyTorch keeps n/(n - 1) times that.
    """
    return nn.BatchNorm(
        use_running_average=not is_training,
        momentum=0.9,
        epsilon=1e-5,
        use_fast_variance=False,  # E[x²] - E[x]² loses digits where |mean| >> std
        name=name,
    )


def is_dropping(module: nn.Module, is_training: bool) -> bool:
    """Whether a module, while it is run, is to drop units: in training, given a key."""
    return is_training and module.has_rng("dropout")


def _refuse_to_apply(params, features):
    """Stands for `apply`, which such networks do not have."""
    raise ValueError(
        "model.apply: a network with running statistics or dropout is not a function "
        "of parameters and features alone; use vfljax.models.embed(model, params, "
        "features, forward), where forward says in which mode"
    )

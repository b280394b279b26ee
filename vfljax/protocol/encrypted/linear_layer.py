"""The part of a party's bottom model that is trained: one linear layer with bias."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from vfljax.models import Params

MakeOptimizer = Callable[[], optax.GradientTransformation]


class LinearLayer:
    """Parameters `{"output": {"kernel": (M, C), "bias": (C,)}}` and their optimizer.

    That is the tree of `models.mlp((), embed=C)`.

    Args:
        params: To start from.
        make_optimizer: Makes any optax optimizer.
    """

    def __init__(self, params: Params, make_optimizer: MakeOptimizer):
        self._optimizer = make_optimizer()
        self.params = jax.tree.map(jnp.asarray, params)
        self.optimizer_state = self._optimizer.init(self.params)

    def logits(
        self, activations: Float[np.ndarray, "batch width"]
    ) -> Float[np.ndarray, "batch classes"]:
        """H of this party, in float64."""
        output = jax.tree.map(lambda leaf: np.asarray(leaf, float), self.params)[
            "output"
        ]
        return activations @ output["kernel"] + output["bias"][None, :]

    def update(self, gradient: Float[np.ndarray, "columns classes"]) -> None:
        """One step of the optimizer; the gradient's last row is the bias's."""
        updates, self.optimizer_state = self._optimizer.update(
            gradient_tree(gradient), self.optimizer_state, self.params
        )
        self.params = optax.apply_updates(self.params, updates)

    def arrays(self) -> dict[str, np.ndarray]:
        """Parameters and optimizer state by name, to be kept."""
        leaves = jax.tree.leaves(self.optimizer_state)
        state = {f"optimizer_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        return params_arrays(self.params) | state

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Goes back to what `arrays` gave."""
        self.params = params_tree(arrays)
        leaves, tree = jax.tree.flatten(self.optimizer_state)
        self.optimizer_state = jax.tree.unflatten(
            tree, [jnp.asarray(arrays[f"optimizer_{i}"]) for i in range(len(leaves))]
        )


def gradient_tree(gradient: Float[np.ndarray, "columns classes"]) -> Params:
    """The tree of a gradient whose last row is that of the bias."""
    return params_tree({"kernel": gradient[:-1], "bias": gradient[-1]})


def params_tree(arrays: dict[str, Any]) -> Params:
    """The layer's tree, from two entries of `arrays`, as float32."""
    return {
        "output": {
            name: jnp.asarray(arrays[name], jnp.float32) for name in ("kernel", "bias")
        }
    }


def params_arrays(params: Params) -> dict[str, np.ndarray]:
    """The inverse of `params_tree`."""
    return {name: np.asarray(leaf) for name, leaf in params["output"].items()}

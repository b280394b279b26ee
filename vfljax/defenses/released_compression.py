"""What the published code of LLG does under the name of gradient compression.

Wainakh et al. (2022, "User-level label leakage from gradients in federated learning",
https://doi.org/10.2478/popets-2022-0043); https://github.com/tklab-tud/LLG, January
2022.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from vfljax._checks import SHARE, require
from vfljax.defenses.base import Defense, Number, Swept, count_entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleasedCompression(Defense):
    """Withhold whole tensors as the code of LLG does: a defect, kept for comparison.

    This is no sparsification, and nothing to defend oneself with. Use `Sparsification`
    for what the paper describes. The code takes the n sums of the classes' rows of the
    last layer's kernel, and as threshold the ⌊withheld · n⌋-th smallest of their
    magnitudes (the largest, if that is none). But it compares them with the list of
    the network's tensors, paired by position: tensor j is withheld if the magnitude of
    class j's sum is at most the threshold, and the sum of all entries of the tensor and
    what was withheld of it before is below the threshold in magnitude. The code means
    to send that accumulated tensor otherwise, but sends the tensor alone; what was
    withheld is then forgotten. Tensors beyond the n-th are sent.

    The entries of the last kernel sum to zero, as those of each row of dL/dlogits do,
    so that it is withheld whenever the sum of the class at its position is small: it
    tells nothing of the labels with a probability of about `withheld`, otherwise all.

    The tensors are in PyTorch's order, a layer's kernel before its bias, the layers in
    the order of their names, which is that of the network for `SigmoidCNN` and `LeNet`.
    The last layer is dense, and its kernel the one of which the sums are taken.
    """

    withheld: Swept = (0.2, 0.4, 0.8)
    """Share of the classes whose sums are small, in (0, 1], published 0.2 to 0.8."""
    swept: ClassVar[str] = "withheld"
    ranges: ClassVar = {"withheld": SHARE}

    def init_update(self, update):
        """Nothing was withheld so far."""
        return jax.tree.map(jnp.zeros_like, update)

    def perturb_update(self, key, state, update):
        """Withholds some of the tensors."""
        places = _in_order(update)
        tensors, memory = dict(_leaves(update)), dict(_leaves(state))
        sums = jnp.abs(jnp.sum(_last_kernel(tensors, places), axis=0))
        count = count_entries(self.withheld, len(sums))
        threshold = jnp.sort(sums)[count - 1]  # the last one for a count of 0
        for place, of_class in zip(places, sums, strict=False):
            gathered = memory[place] + tensors[place]
            is_small = of_class <= threshold
            is_withheld = is_small & (jnp.abs(jnp.sum(gathered)) < threshold)
            left = jnp.where(is_withheld, gathered, 0.0)
            memory[place] = jnp.where(is_small, left, memory[place])
            tensors[place] = jnp.where(is_withheld, 0.0, tensors[place])
        tree = jax.tree.structure(update)
        return (
            jax.tree.unflatten(tree, list(tensors.values())),
            jax.tree.unflatten(tree, list(memory.values())),
        )


def released_compression(withheld: Number) -> ReleasedCompression:
    """`ReleasedCompression` at one share, which may be traced."""
    return ReleasedCompression(withheld=withheld)


def _leaves(update) -> list[tuple[str, Any]]:
    """Paths and tensors, in the order of the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(update)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def _in_order(update) -> list[str]:
    """Paths of the tensors in PyTorch's order."""
    paths = [path for path, _ in _leaves(update)]
    of_layer = [path.rpartition("[")[0] for path in paths]
    layers = list(dict.fromkeys(of_layer))

    def place(path):
        layer = path.rpartition("[")[0]
        return layers.index(layer), "kernel" not in path.rpartition("[")[2]

    return sorted(paths, key=place)


def _last_kernel(tensors, places) -> Any:
    """Of the last layer, (inputs, classes)."""
    kernels = [place for place in places if place.endswith("['kernel']")]
    last = tensors[kernels[-1]] if kernels else None
    is_dense = last is not None and last.ndim == 2
    allowed = "a tree of layers with kernels, of which the last is dense"
    require(is_dense, "update: tensors", list(tensors), allowed)
    return last

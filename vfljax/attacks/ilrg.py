"""Count labels by embeddings and confidences restored from the last layer: iLRG.

Ma et al., "Instance-wise Batch Label Restoration via Gradients in Federated Learning"
(ICLR 2023, https://openreview.net/forum?id=FIrQfNSOoTr). Row i of the last layer's
gradient G is dominated by the samples of class i, so G_i/g_i, where g is the bias's
gradient, is taken for the mean of what the layer is given for class i, and its softmax
p̂^(i) for their mean confidence. Then B·g_i = Σ_j λ_j p̂^(j)_i − λ_i for all i and
Σ_j λ_j = B are solved by the pseudo-inverse.

This is taken from the paper and the released code. Not taken: the released code works
on decimal digits to keep quotients below 10¹⁰, and lets rounded counts miss the number
of labels; here they are rounded by largest remainders. For K steps it takes G/K.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import CountAttack, bias_of, count_inference
from vfljax.known import NOTHING, Known
from vfljax.protocol import check_update, head_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class ILRG(CountAttack):
    """Count labels by embeddings and confidences restored from the gradient (iLRG).

    Needs the last layer's parameters, of the network nothing else, and no samples.
    """

    knowledge = "the last layer"

    def __call__(self, key, view, known: Known = NOTHING) -> CountInference:
        """Infers from one view; neither key nor knowledge is used."""
        check_update(view, self.layer)
        kernel, bias = head_of(view.params, self.layer)
        rows, sums = head_of(view.update, self.layer)[0], bias_of(view, self.layer)
        embeddings = rows / jnp.where(sums == 0, 1.0, sums)[:, None]
        confidences = jax.nn.softmax(embeddings @ kernel.T + bias[None, :])
        ones = jnp.ones((1, view.num_classes), confidences.dtype)
        system = jnp.concatenate([ones, confidences.T - jnp.eye(view.num_classes)])
        answer = jnp.concatenate([ones[0, :1], sums / view.num_steps])
        shares = _pseudo_inverse(system) @ answer
        return count_inference(view.num_labels * shares, view.num_labels)


@jax.custom_batching.sequential_vmap
def _pseudo_inverse(system):
    """One after the other, as batches on several CPU devices wait for each other."""
    return jnp.linalg.pinv(system)

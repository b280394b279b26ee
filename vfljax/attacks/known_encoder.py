"""Decode recovered messages with the label encoder in hand.

An autoencoder that protects labels (Zou et al. 2022,
https://arxiv.org/abs/2112.05409, section 6) is one table of C soft labels ỹ. Somebody
gets hold of it: a colluding employee, or a party that it was shared with for
prediction. As B·u_i = S_i − ỹ_{y_i}, each class c implies a softmax, and with it the
logits that all other parties must have sent:

    S_i(c) = B·u_i + ỹ_c,      h_i(c) = log S_i(c) − H^p_i.

Logits are of moderate size. The label is read as the class whose implied logits vary
least, the most likely one for logits from N(m, τ²) with any m. A class that would need
a negative probability varies more than others by a floor on S: no proof that it is
wrong, as recovered messages have errors.

Nearest soft label, arg-min_c ‖S_i(c) − softmax(H^p_i)‖, does as well on untrained
models; on trained ones, whose softmax is far from that of a single party, it falls far
behind this.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax._checks import check_number
from vfljax.attacks.base import GradientView, Inference, Number, inference_from_scores
from vfljax.attacks.reading import ReadsMessages, check_recovered
from vfljax.known import NOTHING, Known
from vfljax.protocol import own_embedding

_LEAST_PROBABILITY = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownEncoder(ReadsMessages):
    """Decode recovered messages with the label encoder in hand."""

    reads = ("codebook", "noise_std")
    knowledge = "the label encoder, the noise scale"

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; the key is for the attack that recovers messages."""
        recovered = self.recover(key, view, known)
        return known_encoder(view, recovered, known.codebook, known.noise_std)


def known_encoder(
    view: GradientView,
    recovered: Float[Array, "batch classes"],
    codebook: Float[Array, "classes classes"],
    noise_std: Number = 0.0,
) -> Inference:
    """Infers labels from recovered messages and the encoder's soft labels.

    Args:
        view: Of either protocol.
        recovered: −B·u, the scores of `linear_recovery` or `direct_inference`.
        codebook: Row c is the soft label ỹ_c of class c; the identity without encoder.
        noise_std: Standard deviation of the noise in an entry of B·u, >= 0, where it is
            known: probabilities below it are not told apart. May be traced.

    Returns:
        `scores` are minus the variances of the implied logits.
    """
    check_recovered(view, recovered)
    expected = (view.num_classes, view.num_classes)
    if codebook.shape != expected:
        raise ValueError(f"codebook: shape {codebook.shape}, must be {expected}")
    check_number("noise_std", noise_std, low=0)
    implied = codebook[None] - recovered[:, None]  # S_i(c): batch, candidate, classes
    floor = jnp.maximum(_LEAST_PROBABILITY, noise_std)
    own = jax.nn.log_softmax(own_embedding(view))
    logits = jnp.log(jnp.maximum(implied, floor)) - own[:, None]
    return inference_from_scores(-jnp.var(logits, axis=2))

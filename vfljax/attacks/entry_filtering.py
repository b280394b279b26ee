"""Infer labels from the entries that a defense left as they were.

Some defenses replace a part of a message and leave the rest: PPDL as released puts ±γ
in place of some entries and sends the others raw (`defenses.ppdl`), sparsification
drops some. Which ones is in plain sight: an entry of exactly that size says nothing,
while each of the others is an entry of S_i − y_i, the row divided by the batch size.
Arg-min takes −γ for the label as soon as γ > 1/B. Leaving the replaced entries out,

1. a negative entry that is left is the label's, and
2. what is left sums to less than 0 in rows whose label is left, and to more in the
   others, as whole rows sum to 0. What is missing there is shared out by the own
   logits, the best guess of which replaced entry is the label's.
"""

import dataclasses

import jax
import jax.numpy as jnp

from vfljax.attacks.base import Attack, Inference, Number, inference_from_scores
from vfljax.known import NOTHING, Known
from vfljax.protocol import SampleGradientView, check_view, own_embedding

_ROUNDING = 1e-6  # relative; a raw entry is rarely that close to ±γ


@dataclasses.dataclass(frozen=True, kw_only=True)
class EntryFiltering(Attack):
    """Read labels off the entries that a defense left as they were (plaintext)."""

    sees = SampleGradientView
    uses = ("replaced_by",)
    is_adaptive = True
    knowledge = "what the defense puts in place of entries"
    needs_sum_of_logits = True
    recovers_messages = True

    def __call__(self, key, view, known: Known = NOTHING) -> Inference:
        """Infers from one view; the key is not used."""
        return entry_filtering(view, known.replaced_by)


def entry_filtering(view: SampleGradientView, replaced_by: Number = 0.0) -> Inference:
    """Infers labels from entries whose size is neither zero nor that of a replacement.

    Args:
        view: Of the plaintext protocol.
        replaced_by: γ >= 0, in units of dL/dH: the absolute value of replaced entries.
            0 if entries were dropped only. May be traced.

    Returns:
        `scores` are −B · dL/dH where that was left; elsewhere what the row is short of
        a zero sum, in proportion to the adversary's softmax(H^p). A row of which
        nothing was left is answered by softmax(H^p) alone.

    Example:
        Only the last two entries were left, and neither is the label's:

        >>> import jax.numpy as jnp
        >>> from vfljax.protocol import PartyModel, SampleGradientView
        >>> model = PartyModel(init=None, apply=lambda weights, x: x @ weights)
        >>> own, sent = jnp.array([[0.0, 2.0, 0.0, 0.0]]), [[-1e-3, 1e-3, 0.1, 0.2]]
        >>> view = SampleGradientView(model, own, jnp.ones((1, 1)), jnp.array(sent), 4)
        >>> entry_filtering(view, 1e-3).labels
        Array([1], dtype=int32)
    """
    check_view(view)
    sizes = jnp.abs(view.gradients)
    is_replaced = jnp.abs(sizes - replaced_by) <= _ROUNDING * replaced_by
    is_missing = (sizes == 0) | is_replaced
    left = jnp.where(is_missing, 0.0, -view.features.shape[0] * view.gradients)
    is_nothing_left = jnp.all(is_missing, axis=1, keepdims=True)
    owed = jnp.where(is_nothing_left, 1.0, -jnp.sum(left, axis=1, keepdims=True))
    share = jax.nn.softmax(jnp.where(is_missing, own_embedding(view), -jnp.inf))
    return inference_from_scores(jnp.where(is_missing, owed * share, left))

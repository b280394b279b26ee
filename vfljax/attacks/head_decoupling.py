"""Every sample's label and embedding from the last dense layer's gradient, one by one.

Each sample satisfies the equations of `head_factors` on its own, so that one small
system per class, from a few starts, finds them all, whatever their order: no dummy
image, and no pass through the rest of the network.
"""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import optax

from vfljax.attacks.base import CountInference
from vfljax.attacks.head_answers import HeadAttack, judge, no_answer
from vfljax.attacks.head_factors import check_head, factor_head
from vfljax.attacks.head_samples import (
    Batch,
    believed,
    extend,
    fit,
    fit_until_explained,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView

_ROUNDS = 4  # in which the samples found so far help to find the others


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadDecoupling(HeadAttack):
    """Solve for each sample on its own: labels and embeddings, up to half the classes.

    Reads one gradient of the last dense layer, weights and bias. Determined for
    2B ≤ n, n classes; beyond it has no answer. Where rounding or noise leaves no doubt
    samples are certified, without any truth. Written for float64, which decides how
    small a message may be; the gradient itself may be in float32.
    """

    num_starts: int = 16
    """Starts for each class, at least 2."""
    num_kept: int = 8
    """Starts of each class that go on after the first iterations."""
    num_tries: int = 8
    """How many of the samples found are taken for certain in turn, at most B, to find
    the others without them, until a batch explains the gradient."""
    ranges: ClassVar = HeadAttack.ranges | {
        "num_starts": {"low": 2},
        "num_kept": {"low": 1},
        "num_tries": {"low": 0},
    }

    def __call__(self, key, view: UpdateView, known: Known = NOTHING) -> CountInference:
        """Infers from one view; nothing else is known."""
        check_head(view, self.layer)
        batch, n = view.batch_size, view.num_classes
        if 2 * batch > n:
            return no_answer(view, self.layer)
        factors = factor_head(view, self.layer)
        effort = self.effort(self.num_starts, self.num_kept)
        # What the noise explains is taken for certain, and the rest solved without it,
        # again and again; in the end only one sample at a time is taken for certain.
        num_tries = min(self.num_tries, batch)
        rows = jnp.concatenate([jnp.zeros((_ROUNDS, batch)), jnp.eye(num_tries, batch)])

        def attempt(key, carry, row):
            likely, found = carry
            trusted = found._replace(copies=row * found.copies)
            known = optax.tree.where(jnp.any(row > 0), trusted, likely)
            options = {"num_samples": batch, "width": max(batch, 2)}
            extended = extend(key, known, factors, effort, **options)
            is_first = ~jnp.any(found.copies > 0)
            first = optax.tree.where(is_first, extended, found)
            made = fit(extended, factors, self.num_fit_iterations)
            return (believed(extended, factors), first), made

        free = len(factors.basis[0])
        nothing = Batch(
            labels=jnp.zeros(batch, jnp.int32),
            free=jnp.zeros((batch, free)),
            copies=jnp.zeros(batch),
        )
        fits = fit_until_explained(key, attempt, (nothing, nothing), rows)
        return judge(fits, factors, view, self.tolerance, bound=True)

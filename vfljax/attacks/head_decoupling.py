"""Every sample's label and embedding from the last dense layer's gradient, one by one.

Each sample satisfies the equations of `head_factors` on its own, so that one small
system per class, from a few starts, finds them all, whatever their order: no dummy
image, and no pass through the rest of the network.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import CountAttack
from vfljax.attacks.head_factors import check_head, factor_head
from vfljax.attacks.head_samples import (
    Effort,
    believed,
    extend,
    failed,
    fit,
    is_explained,
    judge,
    no_answer,
    pick,
    solve,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView

_ROUNDS = 3  # in which the samples found so far help to find the others


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadDecoupling(CountAttack):
    """Solve for each sample on its own: labels and embeddings, up to half the classes.

    Reads one gradient of the last dense layer, weights and bias. Determined for
    2B ≤ n, n classes; beyond it has no answer. Where rounding or noise leaves no doubt
    samples are certified, without any truth. Written for float64, which decides how
    small a message may be; the gradient itself may be in float32.
    """

    num_starts: int = 16
    """Starts for each class, at least 2."""
    num_first: int = 20
    """Iterations of Levenberg–Marquardt from every start, at least 1."""
    num_iterations: int = 60
    """Iterations of the starts that go on, the first ones included."""
    num_kept: int = 8
    """Starts of each class that go on after the first iterations."""
    num_fit_iterations: int = 30
    """Iterations of the fit of all samples together, at least 1."""
    num_tries: int = 8
    """How many of the samples found are taken for certain in turn, at most B, to find
    the others without them, until a batch explains the gradient."""
    spread: float = 0.5
    """Distance of starts from the shortest typical input, relative to its norm."""
    tolerance: float = 0.03
    """Largest relative error of an embedding that noise may leave in what is certified,
    in (0, 1]."""
    needs_float64: ClassVar[bool] = True
    ranges: ClassVar = {
        "num_starts": {"low": 2},
        "num_first": {"low": 1},
        "num_iterations": {"low": 1},
        "num_kept": {"low": 1},
        "num_fit_iterations": {"low": 1},
        "num_tries": {"low": 0},
        "spread": {"low": 0, "low_excluded": True},
        "tolerance": {"low": 0, "high": 1, "low_excluded": True},
    }

    def __call__(self, key, view: UpdateView, known: Known = NOTHING) -> CountInference:
        """Infers from one view; nothing else is known."""
        check_head(view, self.layer)
        batch, n = view.batch_size, view.num_classes
        if 2 * batch > n:
            return no_answer(view, self.layer)
        factors = factor_head(view, self.layer)
        num_tries = min(self.num_tries, batch)
        effort = Effort(
            num_starts=self.num_starts,
            num_first=self.num_first,
            num_iterations=self.num_iterations,
            num_kept=self.num_kept,
            spread=self.spread,
        )
        key_first, key_tries = jax.random.split(key)
        singles = solve(key_first, jnp.arange(n)[:, None], factors, effort)
        found = pick(singles, factors, batch)
        # What the noise explains is taken for certain, and the rest solved without it,
        # again and again; in the end only one sample at a time is taken for certain.
        alone = jnp.eye(num_tries, batch) * found.copies[None]
        masks = jnp.concatenate([jnp.zeros((_ROUNDS, batch)), alone])

        def one(carry, inputs):
            (is_done, likely), (key, mask) = carry, inputs

            def run():
                trusted = found._replace(copies=mask)
                known = optax.tree.where(jnp.any(mask > 0), trusted, likely)
                options = {"num_samples": batch, "width": max(batch, 2)}
                extended = extend(key, known, factors, effort, **options)
                found_fit = fit(extended, factors, self.num_fit_iterations)
                return believed(extended, factors), found_fit

            shapes = jax.eval_shape(run)[1]
            likely, one_fit = jax.lax.cond(
                is_done, lambda: (likely, failed(shapes)), run
            )
            return (is_done | is_explained(one_fit), likely), one_fit

        keys = jax.random.split(key_tries, len(masks))
        first = jnp.array(False), believed(found, factors)
        _, fits = jax.lax.scan(one, first, (keys, masks))
        return judge(fits, factors, view, self.tolerance, bound=True)

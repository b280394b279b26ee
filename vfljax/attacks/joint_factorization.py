"""Labels and embeddings of a whole batch from the last dense layer's gradient.

Where one sample alone is not determined by the equations of `head_factors`, a group of
k = 2B − n samples is, for given labels. All label sets of such a group are tried, and
each of the best solutions is taken out of the gradient, which leaves a problem where
every further sample is determined on its own. Before that, whole batches are fitted
whose labels are likely.
"""

import dataclasses
import itertools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from vfljax.attacks.base import CountInference
from vfljax.attacks.counting import round_counts
from vfljax.attacks.head_answers import HeadAttack, judge, no_answer
from vfljax.attacks.head_factors import check_head, draw_starts, factor_head
from vfljax.attacks.head_samples import (
    Batch,
    extend,
    fit,
    fit_until_explained,
    solve,
    take,
)
from vfljax.known import NOTHING, Known
from vfljax.protocol import UpdateView, head_of

_DOUBT = 0.5  # standard deviation of the random change of likely counts


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointFactorization(HeadAttack):
    """Solve for groups of samples together: labels and embeddings, up to B = n − 1.

    Reads one gradient of the last dense layer, weights and bias. Determined for B < n,
    n classes; beyond it has no answer. Up to B = n/2 a group is one sample. Where
    rounding or noise leaves no doubt, samples are certified, without any truth. Written
    for float64; the gradient itself may be in float32.
    """

    num_starts: int = 128
    """Starts for each set of labels, at least 2; fewer where `max_descents` says so."""
    max_descents: int = 20_000
    """Starts for all sets of labels together, at least as many as there are sets."""
    max_label_sets: int = 715
    """Sets of labels of a group up to which all are tried, at least 0; where there are
    more, only whole batches with likely labels are."""
    num_batches: int = 64
    """Whole batches with likely labels that are tried first, at least 1: every second
    one with the counts that the bias gradient suggests, the others near them."""
    num_batch_iterations: int = 100
    """Iterations of the fit of each of them, at least 1."""
    num_groups: int = 96
    """Groups, the best of all, from which batches are completed, at least 1."""
    num_completion_starts: int = 16
    """Starts for each class when a batch is completed, at least 2."""
    ranges: ClassVar = HeadAttack.ranges | {
        "num_starts": {"low": 2},
        "max_descents": {"low": 1},
        "max_label_sets": {"low": 0},
        "num_batches": {"low": 1},
        "num_batch_iterations": {"low": 1},
        "num_groups": {"low": 1},
        "num_completion_starts": {"low": 2},
    }

    def __call__(self, key, view: UpdateView, known: Known = NOTHING) -> CountInference:
        """Infers from one view; nothing else is known."""
        check_head(view, self.layer)
        batch, n = view.batch_size, view.num_classes
        if batch >= n:
            return no_answer(view, self.layer)
        key_likely, key_groups = jax.random.split(key)
        factors = factor_head(view, self.layer)
        fits = self._fit_likely(key_likely, view, factors)
        size = group_size(batch, n)
        if math.comb(n + size - 1, size) <= self.max_label_sets:
            sets = itertools.combinations_with_replacement(range(n), size)
            sets = jnp.asarray(np.array(list(sets), np.int32))
            more = self._complete_groups(key_groups, sets, factors, batch)
            fits = jax.tree.map(lambda *both: jnp.concatenate(both), fits, more)
        return judge(fits, factors, view, self.tolerance, bound=True)

    def _fit_likely(self, key, view, factors):
        """Fits whole batches with likely labels, until one explains the gradient.

        Likely counts are B(p̄ − g), with p̄ at the shortest typical input. They are exact
        for untrained networks.
        """
        weights, bias = head_of(view.params, self.layer)
        gradient, of_bias = head_of(view.update, self.layer)
        typical = of_bias @ gradient / (of_bias @ of_bias)
        p = jax.nn.softmax(weights @ typical + bias)
        likely = view.batch_size * (p - of_bias)

        def attempt(key, nothing, doubt):
            key_change, key_start = jax.random.split(key)
            change = doubt * jax.random.normal(key_change, likely.shape)
            counts = round_counts(likely + change, view.batch_size)
            labels = jnp.repeat(
                jnp.arange(len(counts), dtype=jnp.int32),
                counts,
                total_repeat_length=view.batch_size,
            )
            free = draw_starts(key_start, labels, factors, self.spread)
            start = Batch(labels, free, jnp.ones(len(labels), free.dtype))
            return nothing, fit(start, factors, self.num_batch_iterations)

        doubts = _DOUBT * (jnp.arange(self.num_batches) % 2)
        return fit_until_explained(key, attempt, (), doubts)

    def _complete_groups(self, key, sets, factors, batch):
        """Solves for groups with these labels, and completes the best to batches."""
        key_groups, key_rest = jax.random.split(key)
        num_starts = min(self.num_starts, max(self.max_descents // len(sets), 2))
        effort = self.effort(num_starts, max(num_starts // 4, 1))
        groups = solve(key_groups, sets, factors, effort)
        num_groups = min(self.num_groups, len(groups.loss))
        groups = take(groups, jnp.arange(num_groups))
        of_rest = effort._replace(
            num_starts=self.num_completion_starts,
            num_kept=max(self.num_completion_starts // 2, 1),
        )
        options = {"num_samples": batch, "width": max(batch - sets.shape[1], 2)}

        def complete(args):
            number, group = args
            key = jax.random.fold_in(key_rest, number)
            known = Batch(group.labels, group.free, group.copies)
            extended = extend(key, known, factors, of_rest, **options)
            return fit(extended, factors, self.num_fit_iterations)

        return jax.lax.map(complete, (jnp.arange(num_groups), groups))


def group_size(batch_size: int, num_classes: int) -> int:
    """Samples that are determined together, B ≤ (n + k)/2: k = 2B − n, at least 1."""
    return max(2 * batch_size - num_classes, 1)

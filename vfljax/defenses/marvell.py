"""Noise shaped so that the messages of two classes look as alike as possible.

MARVELL, Li et al. (2022, "Label leakage and protection in two-party split learning",
https://arxiv.org/abs/2102.08504); binary labels only.

Model: the gradients of a class are Gaussian about its mean with equal variance in every
direction, v for positive samples and u for negative ones. With Δ the difference of the
means, g = ‖Δ‖², d the dimension and π the share of positive samples, noise of
covariance

    Σ_c = (λ1_c − λ2_c) ΔΔᵀ/g + λ2_c I,    λ1_c >= λ2_c >= 0,

is added to class c. The λ minimize the sum of both KL divergences between the classes
as they are sent at mean squared noise π tr Σ₁ + (1−π) tr Σ₀ = P.
"""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from vfljax._checks import NOT_NEGATIVE, require
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept

_GRID = 400  # points, to find the cell of the optimum
_GOLDEN_STEPS = 80  # narrow the cell by 2e-17
_GOLDEN = (5**0.5 - 1) / 2


class NoiseLevels(NamedTuple):
    """The optimal noise and what it leaves to see.

    `sum_kl` are the KL divergences ε of the two classes as sent, one from the other and
    back, in nats. No score tells them apart with an AUC above ½ + √ε/2 − ε/8 (for
    ε <= 4) or a mean of both error rates below ½ − √ε/4.
    """

    along_positive: Float[Array, ""]  # λ1₁, variance along Δ, positive samples
    along_negative: Float[Array, ""]  # λ1₀, the same of the negative ones
    isotropic_positive: Float[Array, ""]  # λ2₁, variance in every other direction
    isotropic_negative: Float[Array, ""]  # λ2₀, the same
    sum_kl: Float[Array, ""]


class MarvellState(NamedTuple):
    """Batches sent as they were, with a class absent or equal means at a power > 0."""

    num_unprotected: Int[Array, ""]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Marvell(Defense):
    """Noise that makes two classes' messages as alike as its power can (MARVELL).

    Adds the noise of `optimal_noise`, by each batch's own means and variances. A batch
    with one class absent or with equal class means is sent as it is and counted in the
    state.

    Labels are 0 or 1 (positive). Where they are traced and cannot be checked, every
    label but 1 is of the negative class; `perturb` raises a `ValueError` for labels
    that are known and neither 0 nor 1, and for rows of other than two entries with
    `zero_sum`.
    """

    power: Swept = (1.0, 2.0, 5.0, 10.0)
    """Power s of the noise, >= 0: its mean squared length is s·‖Δ‖², the squared
    distance of the class means. 0 is exactly no defense, and Li et al. use .05 to 25.
    The paper of Zou et al. (2022, https://arxiv.org/abs/2112.05409) has 1 to 10 "times
    the norm"; their released code passes s to where it has no effect, so that it is 1
    whatever s."""
    zero_sum: bool = True
    """Whether the noise has the form (t, -t) of gradients of a softmax of two logits:
    in the second dimension it would hide nothing, as one projects it away. Otherwise,
    and under a top model, messages of any width get noise in every dimension."""
    swept: ClassVar[str] = "power"
    only_classes: ClassVar[int | None] = 2
    needs_rows: ClassVar[str | None] = "the rows of a batch with their labels"
    ranges: ClassVar = {"power": NOT_NEGATIVE}

    @property
    def keeps_zero_sum(self) -> bool:
        """Whether rows that sum to zero still do when sent."""
        return self.zero_sum

    @property
    def needs_zero_sum(self) -> bool:
        """Whether `perturb` relies on rows that sum to zero."""
        return self.zero_sum

    def at(self, strength, shapes, prepared=()):
        """The defense at one power, and for any width if logits are not summed."""
        zero_sum = self.zero_sum and shapes.sums_logits
        return dataclasses.replace(self, power=strength, zero_sum=zero_sum)

    def init(self):
        """No batch was sent unprotected so far."""
        return MarvellState(num_unprotected=jnp.zeros((), jnp.int32))

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Adds the noise."""
        others = np.setdiff1d([] if isinstance(labels, Tracer) else labels, [0, 1])
        if others.size:
            raise ValueError(f"labels: contain {others.tolist()}; must be 0 or 1")
        if self.zero_sum and gradients.shape[1] != 2:
            raise ValueError(
                f"gradients of width {gradients.shape[1]}: must be 2, one per class, "
                "with zero_sum=True; zero_sum=False takes any width"
            )
        rows = gradients
        if self.zero_sum:  # the heights t of (t, -t)
            rows = (gradients[:, :1] - gradients[:, 1:]) / 2**0.5
        noise, is_protected = _noise(key, rows, labels == 1, self.power)
        if self.zero_sum:
            noise = jnp.concatenate([noise, -noise], axis=1) / 2**0.5
        missed = jnp.logical_and(~is_protected, jnp.asarray(self.power) > 0)
        count = state.num_unprotected + missed.astype(jnp.int32)
        return gradients + noise, MarvellState(num_unprotected=count)

    def public(self, batch_size, num_classes):
        """Of an untrained model, whose class means are √2/B apart."""
        return UNCHANGED.replace(noise_std=jnp.sqrt(2.0 * self.power))


def marvell(power: Number, **options: Any) -> Marvell:
    """`Marvell` at one power, which may be traced."""
    return Marvell(power=power, **options)


def count_unprotected(state: Any) -> Int[Array, ""]:
    """Batches that `Marvell` sent as they were so far, 0 where it is not in use.

    The state may be that of any defense, or of several: of a `Chain`, whose other parts
    may have protected such a batch all the same, or one per message.
    """
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, MarvellState))
    counts = [part.num_unprotected for part in parts if isinstance(part, MarvellState)]
    return sum(counts, start=jnp.zeros((), jnp.int32))


# Jitted here, as every eager call would compile the loop in it anew.
@functools.partial(jax.jit, static_argnames="dimension")
def optimal_noise(
    positive_variance: Number,
    negative_variance: Number,
    squared_distance: Number,
    positive_share: Number,
    power: Number,
    *,
    dimension: int,
) -> NoiseLevels:
    """The noise of a given power that makes two Gaussian classes most alike.

    The class of larger own variance gets no isotropic noise. For a given isotropic
    noise x of the other class the optimum is closed form, and the best x is found on a
    grid and then by golden section: the divergence falls and then rises with x.

    The arguments are v >= 0 and u >= 0, per dimension; g >= 0 (at 0 there is no
    direction to put noise along, and the answer is no noise); π, strictly between 0 and
    1; P >= 0, all of which is used; and d >= 1, else a `ValueError` is raised (at 1
    there is no other direction, and both λ2 are 0). The levels are in the widest
    floating type among the arguments, and scale with v, u, g and P.

    Example:
        Two classes without variance at distance 1, noise of power 1 in one dimension:

        >>> levels = optimal_noise(0.0, 0.0, 1.0, 0.5, 1.0, dimension=1)
        >>> print(levels.along_positive, levels.along_negative, levels.sum_kl)
        1.0 1.0 1.0
    """
    require(dimension >= 1, "dimension", dimension, ">= 1")
    variances = positive_variance, negative_variance, squared_distance
    arguments = *variances, positive_share, power
    dtype = jnp.result_type(float, *arguments)
    positive, negative, distance, share, power = (
        jnp.asarray(argument, dtype) for argument in arguments
    )
    # From here on in units of the squared distance.
    is_apart = distance > 0
    unit = jnp.where(is_apart, distance, 1.0)
    power = jnp.where(is_apart, power, 0.0) / unit
    is_swapped = negative > positive
    narrow = jnp.minimum(positive, negative) / unit
    wide = jnp.maximum(positive, negative) / unit
    wide_share = jnp.where(is_swapped, 1.0 - share, share)

    def along(isotropic):
        return _along(isotropic, narrow, wide, wide_share, power, dimension)

    def sum_kl(isotropic):
        along_narrow, along_wide = along(isotropic)
        sent_narrow, sent_wide = along_narrow + narrow, along_wide + wide
        shift = jnp.where(is_apart, 1.0 / sent_narrow + 1.0 / sent_wide, 0.0)
        total = _mismatch(sent_narrow, sent_wide) + shift
        if dimension > 1:
            total += (dimension - 1) * _mismatch(isotropic + narrow, wide)
        return total / 2

    if dimension == 1:
        isotropic = jnp.zeros_like(power)
    else:
        most = jnp.minimum(power / ((1.0 - wide_share) * dimension), wide - narrow)
        isotropic = _minimize(sum_kl, most)
    along_narrow, along_wide = along(isotropic)
    return NoiseLevels(
        along_positive=unit * jnp.where(is_swapped, along_narrow, along_wide),
        along_negative=unit * jnp.where(is_swapped, along_wide, along_narrow),
        isotropic_positive=unit * jnp.where(is_swapped, isotropic, 0.0),
        isotropic_negative=unit * jnp.where(is_swapped, 0.0, isotropic),
        sum_kl=sum_kl(isotropic),
    )


def _along(isotropic, narrow, wide, wide_share, power, dimension):
    """λ1 of the narrow and of the wide class at a given λ2 of the narrow one.

    Where no bound binds, the variances along Δ as sent are in the proportion E = √((C +
    narrow_share) / (C + wide_share)), C being their weighted sum; in between, the
    divergence is convex, so that clipping is right. Solved for λ1, not for λ1 + the
    class's own variance, so that no power gives exactly no noise.
    """
    narrow_share = 1.0 - wide_share
    left = power - narrow_share * (dimension - 1) * isotropic
    total = left + wide_share * wide + narrow_share * narrow
    proportion = jnp.sqrt((total + narrow_share) / (total + wide_share))
    excess = (narrow_share - wide_share) / ((total + wide_share) * (proportion + 1.0))
    along_narrow = (left + wide_share * (wide - narrow - narrow * excess)) / (
        wide_share * proportion + narrow_share
    )
    along_narrow = jnp.clip(along_narrow, isotropic, left / narrow_share)
    along_wide = (left - narrow_share * along_narrow) / wide_share
    return along_narrow, jnp.maximum(along_wide, 0.0)


def _mismatch(first, second):
    """a/b + b/a − 2, without cancellation, and 0 for two variances of 0."""
    gap = first - second
    return jnp.where(gap == 0, 0.0, (gap / first) * (gap / second))


def _minimize(objective, most):
    """Where on [0, most] a function that falls and then rises is smallest."""
    points = most * jnp.linspace(0.0, 1.0, _GRID, dtype=most.dtype)
    best = jnp.argmin(objective(points))

    def narrow_down(_, interval):
        low, high = interval
        step = _GOLDEN * (high - low)
        left, right = high - step, low + step
        is_left = objective(left) < objective(right)
        return jnp.where(is_left, low, left), jnp.where(is_left, right, high)

    low, high = jax.lax.fori_loop(
        0,
        _GOLDEN_STEPS,
        narrow_down,
        (points[jnp.maximum(best - 1, 0)], points[jnp.minimum(best + 1, _GRID - 1)]),
    )
    return (low + high) / 2


def _noise(key, rows, is_positive, power):
    """Noise for each row, and whether there can be any; it is exactly 0 otherwise."""
    dimension = rows.shape[1]
    num_positive = jnp.sum(is_positive)
    has_both = (num_positive > 0) & (num_positive < len(rows))
    mean_1, variance_1 = _moments(rows, is_positive)
    mean_0, variance_0 = _moments(rows, ~is_positive)
    difference = mean_1 - mean_0
    distance = jnp.where(has_both, jnp.sum(difference**2), 0.0)
    share = jnp.where(has_both, num_positive / len(rows), 0.5).astype(rows.dtype)
    levels = optimal_noise(
        variance_1, variance_0, distance, share, power * distance, dimension=dimension
    )
    along = jnp.where(is_positive, levels.along_positive, levels.along_negative)
    isotropic = jnp.where(
        is_positive, levels.isotropic_positive, levels.isotropic_negative
    )
    key_along, key_isotropic = jax.random.split(key)
    only_along = jnp.sqrt(jnp.maximum(along - isotropic, 0.0))  # −1e-18 by rounding
    only_along *= jax.random.normal(key_along, is_positive.shape, rows.dtype)
    direction = difference / jnp.sqrt(jnp.where(distance > 0, distance, 1.0))
    everywhere = jax.random.normal(key_isotropic, rows.shape, rows.dtype)
    noise = only_along[:, None] * direction + jnp.sqrt(isotropic)[:, None] * everywhere
    return noise, distance > 0


def _moments(rows, is_member):
    """Mean (1, d) and variance per dimension of the rows of one class."""
    members, count = is_member[:, None], jnp.maximum(jnp.sum(is_member), 1)
    mean = jnp.sum(jnp.where(members, rows, 0.0), axis=0, keepdims=True) / count
    squares = jnp.where(members, (rows - mean) ** 2, 0.0)
    return mean, jnp.sum(squares) / (count * rows.shape[1])

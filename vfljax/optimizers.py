"""The malicious local optimizer: makes the joint model lean on the adversary's part.

Fu et al., "Label Inference Attacks Against Vertical Federated Learning" (USENIX
Security 2022, https://www.usenix.org/conference/usenixsecurity22/presentation/fu),
Algorithm 1. The adversary trains its bottom model with it in place of SGD, and nothing
else changes. Entry by entry, for the gradient g, the momentum v and the direction d
that is followed:

    r = clip(1 + γ·v / d_last, r_min, r_max),      d = r·v

so that entries that keep their sign move further; with r_min = 1 none moves less. As
printed, Algorithm 1 reads d = r·d_last, which keeps the sign of the first step for
ever; like the released code we multiply the current momentum. There are three readings
of v, all with d = v in the first step (μ is the momentum):

| mode | v | first v | d for constant g, γ = 1 |
| --- | --- | --- | --- |
| `"paper"` | μ·d_last + (1 − μ)·g, d_last = 0 at first | (1 − μ)·g | see below |
| `"released"` | 2μ·g | g | 2μφ·g |
| `"stable"` | μ·v_last + g, v_last = 0 at first | g | φ/(1 − μ)·g |

φ = 1.618… is the golden ratio: x = d/v satisfies x = 1 + 1/x. The paper's average is of
directions that are scaled already. Its limit is φ(1 − μ)/(1 − μφ)·g, and it grows
without end where μ·(1 + γμ) >= 1, that is from μ = .618 on for γ = 1; by 1.71 per step
at the published μ = .9.

In the released code (`my_optimizers.py`) the momentum buffer and the gradient share
their memory, and in the PyTorch of 2021 clearing one clears the other: what is left is
2μ·g, without any memory. So the adversary of the published tables goes 2.9 g along a
gradient that persists, where benign SGD with μ = .9 goes 10 g. Without momentum (μ = 0)
that code has no buffer, and v = g. `"stable"` is the rule that both seem to intend,
with the average kept apart from the scaling.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

Number = int | float | Float[Array, ""]
Mode = Literal["paper", "released", "stable"]
MOMENTUM, LARGEST_RATIO, SMALLEST_CHANGE = 0.9, 5.0, 1e-7
READING: Mode = "released"


class MaliciousMomentumState(NamedTuple):
    """What the optimizer remembers.

    Attributes:
        is_first: Whether no step has been made yet.
        momentum: v of the last step, before it was scaled.
        direction: d of the last step.
    """

    is_first: Bool[Array, ""]
    momentum: optax.Updates
    direction: optax.Updates


def scale_by_malicious_momentum(
    momentum: Number = MOMENTUM,
    gamma: Number = 1.0,
    r_min: Number = 1.0,
    r_max: Number = LARGEST_RATIO,
    mode: Mode = READING,
    epsilon: Number = SMALLEST_CHANGE,
) -> optax.GradientTransformation:
    """Replaces gradients by the directions d of the malicious optimizer.

    All numbers may be traced. The defaults are the published values; momentum was .5 on
    Criteo.

    The ratio v / d_last is computed as v·sign(d_last) / (|d_last| + ε). It is taken as
    0, so that r is 1 or the bound next to it, where |d_last| < ε and v has another
    sign or is zero, and where it is no number; an infinite one is clipped. The
    released code has v / (d_last + ε), which is not symmetric: at d_last = 0 it gives
    r_max to positive and r_min to negative entries, and from −ε to 0 it takes d_last
    for positive. For |d_last| ≫ ε both are the same. A v that is not finite stays so.

    Args:
        momentum: μ, in [0, 1).
        gamma: γ >= 0, how strongly persistence counts.
        r_min: Least factor, > 0; below 1, entries that change their sign are slowed
            down.
        r_max: Largest factor, >= r_min.
        mode: Which v, see the table above. The default gives what the released code
            gave when the paper was written.
        epsilon: ε > 0; what is smaller counts as zero.

    Raises:
        ValueError: For an argument outside its range.

    Example:
        The direction for a gradient that never changes, in units of 2μ·g:

        >>> import jax.numpy as jnp
        >>> optimizer = scale_by_malicious_momentum(momentum=0.9)
        >>> gradient = jnp.array(1.0)
        >>> state = optimizer.init(gradient)
        >>> for _ in range(20):
        ...     direction, state = optimizer.update(gradient, state)
        >>> print(f"{direction / 1.8:.3f}")
        1.618
    """
    _check_numbers(momentum, gamma, r_min, r_max, epsilon)
    if mode not in ("paper", "released", "stable"):
        raise ValueError(f"mode={mode!r}: must be one of paper, released, stable")

    def init(params: optax.Params) -> MaliciousMomentumState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return MaliciousMomentumState(jnp.array(True), momentum=zeros, direction=zeros)

    def average(gradient, last_momentum, last_direction, is_first):
        if mode == "paper":
            return momentum * last_direction + (1 - momentum) * gradient
        if mode == "stable":
            return momentum * last_momentum + gradient
        has_buffer = jnp.logical_not(is_first) & (jnp.asarray(momentum) > 0)
        return jnp.where(has_buffer, 2 * momentum, 1) * gradient

    def factor(v, last, is_first):
        gain = gamma * (v * jnp.sign(last) / (jnp.abs(last) + epsilon))
        is_noise = (jnp.abs(last) < epsilon) & (jnp.sign(v) * jnp.sign(last) <= 0)
        gain = jnp.where(is_noise | jnp.isnan(gain), 0, gain)
        return jnp.where(is_first, 1, jnp.clip(1 + gain, r_min, r_max))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None):
        is_first = state.is_first
        # Traced numbers are float32: without the casts they would widen bfloat16.
        new_momentum = jax.tree.map(
            lambda g, v, d: average(g, v, d, is_first).astype(g.dtype),
            updates,
            state.momentum,
            state.direction,
        )
        direction = jax.tree.map(
            lambda v, last: (factor(v, last, is_first) * v).astype(v.dtype),
            new_momentum,
            state.direction,
        )
        new_state = MaliciousMomentumState(jnp.array(False), new_momentum, direction)
        return direction, new_state

    return optax.GradientTransformation(init, update)


def malicious_sgd(
    learning_rate: Number | optax.Schedule,
    momentum: Number = MOMENTUM,
    weight_decay: Number = 0.0,
    mode: Mode = READING,
    gamma: Number = 1.0,
    r_min: Number = 1.0,
    r_max: Number = LARGEST_RATIO,
    epsilon: Number = SMALLEST_CHANGE,
) -> optax.GradientTransformation:
    """The malicious optimizer in place of SGD: θ ← θ − η·d.

    Args:
        learning_rate: η, or a schedule of it by step. Published: that of the other
            parties.
        momentum: As in `scale_by_malicious_momentum`, like all but the next.
        weight_decay: w >= 0; w·θ is added to the gradient before anything else, as in
            the released code (5e-4). `update` needs the parameters.
        mode: Which v.
        gamma: γ.
        r_min: Least factor.
        r_max: Largest factor.
        epsilon: ε.

    Raises:
        ValueError: For an argument outside its range.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = malicious_sgd(0.1, weight_decay=5e-4)
        >>> params = jnp.array([2.0])
        >>> state = optimizer.init(params)
        >>> updates, state = optimizer.update(jnp.array([1.0]), state, params)
        >>> print(updates)
        [-0.1001]
    """
    _check("weight_decay", weight_decay, lambda w: w >= 0, ">= 0")
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        scale_by_malicious_momentum(momentum, gamma, r_min, r_max, mode, epsilon),
        optax.scale_by_learning_rate(learning_rate),
    )


def _check_numbers(momentum, gamma, r_min, r_max, epsilon):
    _check("momentum", momentum, lambda mu: 0 <= mu < 1, "in [0, 1)")
    _check("gamma", gamma, lambda gamma: gamma >= 0, ">= 0")
    _check("r_min", r_min, lambda r: r > 0, "> 0")
    _check("epsilon", epsilon, lambda epsilon: epsilon > 0, "> 0")
    if not isinstance(r_min, Tracer):
        _check("r_max", r_max, lambda r: r >= r_min, f">= r_min = {r_min}")


def _check(name, value, is_allowed, allowed):
    """Traced values pass: they were checked where they came in."""
    if not isinstance(value, Tracer) and not is_allowed(value):
        raise ValueError(f"{name}={value}: must be {allowed}")

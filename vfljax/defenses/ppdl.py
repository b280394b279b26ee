"""Release a few entries of a message by the sparse-vector technique.

Selective sharing of Shokri and Shmatikov (2015, "Privacy-Preserving Deep Learning",
https://doi.org/10.1145/2810103.2813687) as used by Fu et al. (2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu), "PPDL".
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from vfljax.defenses.base import (
    Defense,
    Number,
    check_choice,
    check_number,
    count_entries,
)


def ppdl(
    release_fraction: Number,
    *,
    exhausted: Literal["raw", "zero"] = "raw",
    epsilon: Number = 1.8,
    sensitivity: Number = 1,
    bound: Number = 1e-3,
    threshold: Number = 1e-4,
) -> Defense:
    """Releases up to c entries, noisy and clipped, whose noisy magnitude is large.

    Of n = batch · embed entries, c = ⌊release_fraction · n⌋; a product less than one
    part in two million below a whole number counts as that number. The positions are
    visited once each, in random order, until c are released. With s(x) = 2c·Δ/x,
    ε₁ = 8ε/9 and ε₂ = 2ε/9, an entry g is released if

        |clip(g, ±bound)| + Lap(2s(ε₁)) >= threshold + Lap(s(ε₁))

    and then sent as clip(g + Lap(s(ε₂)), ±bound). The noise on the left is new for each
    entry, that on the right only after each release. What is not released is sent as
    zero. For c = 0 that is everything (the released code lets one entry through then,
    without noise).

    Args:
        release_fraction: In (0, 1], published 0.1 to 0.75.
        exhausted: What becomes of the entries not released when fewer than c of all
            were. `"raw"`: they are sent as they are, which is what the released code
            does and is no protection. `"zero"`: they are zero as otherwise, the sound
            reading.
        epsilon: Privacy budget ε > 0 of one message; infinite for no noise.
        sensitivity: Δ > 0.
        bound: > 0, in units of dL/dH, which have the factor 1/batch in them.
        threshold: >= 0, in the same units.

    All numbers may be traced. A NaN is never released.

    The published constants are noise alone: with 32 samples and 10 classes, s(ε₁) is
    200 at `release_fraction=0.5`, beside magnitudes of at most 1e-3. Whether an entry
    is released is then a coin independent of it, and what is released is ±bound with a
    random sign. A high threshold stays until an entry passes it, so about 37 % of all
    entries pass, and a `release_fraction` above that never finds its c entries: with
    `"raw"`, 63 % of the message is sent in the clear. This is why the published attack
    accuracies are equal at 0.75 and 0.5 and fall to noise below. Their 39 % are those
    of the first negative entry; the most negative one gives away 73 % of the labels.

    The label party's own model is trained on the released gradient too, as in the
    released code.

    Raises:
        ValueError: For an argument outside its range.
    """
    check_number("release_fraction", release_fraction, low=0, high=1, low_excluded=True)
    check_choice("exhausted", exhausted, ("raw", "zero"))
    check_number("epsilon", epsilon, low=0, low_excluded=True)
    check_number("sensitivity", sensitivity, low=0, low_excluded=True)
    check_number("bound", bound, low=0, low_excluded=True)
    check_number("threshold", threshold, low=0)

    def perturb(key: Key[Array, ""], state, gradients, labels, sample_ids):
        total, dtype = gradients.size, gradients.dtype
        key_order, key_entry, key_bar, key_value = jax.random.split(key, 4)
        allowed = count_entries(release_fraction, total)
        unit = 2.0 * allowed * sensitivity / epsilon
        compare_scale, release_scale = unit * 9.0 / 8.0, unit * 9.0 / 2.0

        order = jax.random.permutation(key_order, total)
        entries = gradients.ravel()[order]
        entry_noise = 2.0 * compare_scale * jax.random.laplace(key_entry, total, dtype)
        bars = threshold + compare_scale * jax.random.laplace(key_bar, total + 1, dtype)
        noise = release_scale * jax.random.laplace(key_value, total, dtype)

        is_released, count = _select(
            jnp.abs(_clip(entries, bound)) + entry_noise, bars, allowed
        )
        others = jnp.zeros_like(entries)
        if exhausted == "raw":
            others = jnp.where(count < allowed, entries, others)
        sent = jnp.where(is_released, _clip(entries + noise, bound), others)
        return jnp.zeros_like(sent).at[order].set(sent).reshape(gradients.shape), state

    return Defense(perturb=perturb, covers_label_party=True, keeps_zero_sum=False)


def _select(candidates, bars, allowed):
    """Marks up to `allowed` candidates that reach the bar, new after each of them."""

    def visit(carry, inputs):
        bar, count = carry
        candidate, next_bar = inputs
        is_released = (candidate >= bar) & (count < allowed)
        bar = jnp.where(is_released, next_bar, bar)
        return (bar, count + is_released), is_released

    start = (bars[0], jnp.zeros((), jnp.int32))
    (_, count), is_released = jax.lax.scan(visit, start, (candidates, bars[1:]))
    return is_released, count


def _clip(values, bound):
    return jnp.clip(values, -bound, bound)

"""Release a few entries of a message by the sparse-vector technique.

Selective sharing of Shokri and Shmatikov (2015, "Privacy-Preserving Deep Learning",
https://doi.org/10.1145/2810103.2813687) as used by Fu et al. (2022,
https://www.usenix.org/conference/usenixsecurity22/presentation/fu), "PPDL".
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from vfljax._checks import NOT_NEGATIVE, POSITIVE, SHARE
from vfljax.defenses.base import (
    UNCHANGED,
    Defense,
    Number,
    Swept,
    count_entries,
    message_std,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPDL(Defense):
    """Send a few entries, selected and noised by the sparse-vector technique (PPDL).

    Releases up to c entries, noisy and clipped, whose noisy magnitude is large. Of n =
    batch · embed entries, c = ⌊release_fraction · n⌋ (see `count_entries`). The
    positions are visited once each, in random order, until c are released. With
    s(x) = 2c·Δ/x, ε₁ = 8ε/9 and ε₂ = 2ε/9, an entry g is released if

        |clip(g, ±bound)| + Lap(2s(ε₁)) >= threshold + Lap(s(ε₁))

    and then sent as clip(g + Lap(s(ε₂)), ±bound). The noise on the left is new for each
    entry, that on the right only after each release. What is not released is sent as
    zero. For c = 0 that is everything (the released code lets one entry through then,
    without noise). All numbers may be traced. A NaN is never released.

    The published constants are noise alone: with 32 samples and 10 classes, s(ε₁) is
    200 at `release_fraction=0.5`, beside magnitudes of at most 1e-3. Whether an entry
    is released is then a coin independent of it, and what is released is ±bound with a
    random sign. A high threshold stays until an entry passes it, so about 37 % of all
    entries pass, and a `release_fraction` above that never finds its c entries: with
    `"raw"`, 63 % of the message is sent in the clear. This is why the published attack
    accuracies are equal at 0.75 and 0.5 and fall to noise below. Their 39 % are those
    of the first negative entry; the most negative one gives away 73 % of the labels.
    The label party's own model gets the released gradient too, as in the release.
    """

    release_fraction: Swept = (0.75, 0.5, 0.25, 0.1)
    """Share of the message's entries that are to be released, in (0, 1], published 0.1
    to 0.75."""
    exhausted: Literal["raw", "zero"] = "raw"
    """What becomes of the entries not released when candidates run out: they are sent
    as they are, which is no protection (raw, the released code), or they are zero as
    otherwise (zero, the sound reading)."""
    epsilon: Number = 1.8
    """Privacy budget ε of one message, > 0; inf for no noise."""
    sensitivity: Number = 1
    """Sensitivity Δ that the noise assumes, > 0."""
    bound: Number = 1e-3
    """Magnitude at which released entries are clipped, > 0, in units of dL/dH, which
    have the factor 1/batch in them."""
    threshold: Number = 1e-4
    """Magnitude that an entry must reach to be released, noise aside, >= 0, in units of
    dL/dH."""
    swept: ClassVar[str] = "release_fraction"
    covers_label_party: ClassVar[bool] = True
    keeps_zero_sum: ClassVar[bool] = False
    ranges: ClassVar = {
        "release_fraction": SHARE,
        "epsilon": POSITIVE,
        "sensitivity": POSITIVE,
        "bound": POSITIVE,
        "threshold": NOT_NEGATIVE,
    }

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Releases entries in random order."""
        total: Any = gradients.size
        dtype = gradients.dtype
        key_order, key_entry, key_bar, key_value = jax.random.split(key, 4)
        allowed = count_entries(self.release_fraction, total)
        unit = 2.0 * allowed * self.sensitivity / self.epsilon
        compare_scale, release_scale = unit * 9.0 / 8.0, unit * 9.0 / 2.0

        order = jax.random.permutation(key_order, total)
        entries = gradients.ravel()[order]
        entry_noise = 2.0 * compare_scale * jax.random.laplace(key_entry, total, dtype)
        bar_noise = compare_scale * jax.random.laplace(key_bar, total + 1, dtype)
        noise = release_scale * jax.random.laplace(key_value, total, dtype)

        is_released, count = _select(
            jnp.abs(jnp.clip(entries, -self.bound, self.bound)) + entry_noise,
            self.threshold + bar_noise,
            allowed,
        )
        released = jnp.clip(entries + noise, -self.bound, self.bound)
        others = jnp.zeros_like(entries)
        if self.exhausted == "raw":
            others = jnp.where(count < allowed, entries, others)
        sent = jnp.where(is_released, released, others)
        return jnp.zeros_like(sent).at[order].set(sent).reshape(gradients.shape), state

    def public(self, batch_size, num_classes):
        """Replaced entries are ±bound, visibly, and off by about what they were."""
        return UNCHANGED.replace(
            noise_std=message_std(num_classes), replaced_by=self.bound
        )


def ppdl(release_fraction: Number, **options: Any) -> PPDL:
    """`PPDL` at one share, which may be traced."""
    return PPDL(release_fraction=release_fraction, **options)


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

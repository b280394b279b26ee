"""Send only the largest entries of a message, or random ones.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), "gradient sparsification", after
Aji and Heafield (2017). Their parameter s is the percentage dropped; `keep_fraction`
is 1 − s/100. Melis et al. (2019, https://arxiv.org/abs/1805.04049, section VIII-A)
share a tenth, half or all of a participant's gradient, after Shokri and Shmatikov
(2015), and don't say which entries; nothing is remembered there (`residual="none"`).
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from vfljax._checks import SHARE
from vfljax.defenses.base import UNCHANGED, Defense, Number, Swept


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsification(Defense):
    """Send only the largest entries of the message (gradient sparsification).

    Zeroes the entries below the (1 − keep_fraction) quantile of their magnitudes. The
    quantile is taken over the whole message with linear interpolation; entries equal to
    it are kept, so `keep_fraction=1` is exactly no defense. Where entries are selected
    at random, the quantile is that of a uniform draw for each entry, anew each time.

    Example:
        >>> message = jnp.array([[0.1, -0.4], [0.2, 0.3]])
        >>> half = Sparsification(keep_fraction=0.5, residual="none")
        >>> half.perturb(jax.random.key(0), (), message, None, None)[0]
        Array([[ 0. , -0.4],
               [ 0. ,  0.3]], dtype=float32)
        >>> half = dataclasses.replace(half, selection="random")
        >>> jnp.sum(half.perturb(jax.random.key(0), (), message, None, None)[0] != 0)
        Array(2, dtype=int32)
    """

    keep_fraction: Swept = (0.1, 0.05, 0.01, 0.001)
    """Share of the message's entries that is kept, in (0, 1], published 0.001 to 0.01,
    down from 0.1 against batch gradients."""
    residual: Literal["none", "by_sample", "by_row"] = "by_sample"
    """Where the dropped part is added later: to the next message about the same sample
    (by_sample, the paper's reading), to the same row of the next batch, whichever
    sample that is now (by_row, the released code), or nowhere (none, as in the
    published attacks on one batch)."""
    selection: Literal["largest", "random"] = "largest"
    """Which entries are kept: the largest of the whole message (largest), or as many
    that are drawn anew for every message, whatever is in it (random)."""
    memory_shape: tuple[int, int] | None = None
    """Shape of what is remembered: samples of the training set by embed, or batch by
    embed where it is remembered by row; None is filled in from the data."""
    swept: ClassVar[str] = "keep_fraction"
    keeps_zero_sum: ClassVar[bool] = False
    drops_entries: ClassVar[bool] = True
    ranges: ClassVar = {"keep_fraction": SHARE}

    def check(self) -> None:
        """Refuses a memory that is not needed."""
        if self.memory_shape is not None:  # else `at` fills it in
            _check_memory(self.residual, self.memory_shape)

    @property
    def remembers_rows(self) -> bool:
        """Whether it remembers rows of a batch rather than samples."""
        return self.residual == "by_row"

    def at(self, strength, shapes, prepared=()):
        """The defense at one share, with a memory for these shapes."""
        rows = {"by_sample": shapes.num_samples, "by_row": shapes.batch_size}
        shape = self.memory_shape
        if shape is None and self.residual in rows:
            shape = rows[self.residual], shapes.embed
        return dataclasses.replace(self, keep_fraction=strength, memory_shape=shape)

    def init(self) -> Any:
        """Nothing was dropped so far."""
        if self.residual == "none":
            return ()
        _check_memory(self.residual, self.memory_shape)
        return jnp.zeros(self.memory_shape or ())

    def perturb(self, key, state, gradients, labels, sample_ids):
        """Sends entries of message and residual, and remembers the rest."""
        if self.residual == "none":
            return self._keep(key, gradients), state
        if self.remembers_rows and len(gradients) > len(state):
            raise ValueError(
                f"memory_shape={state.shape}: too small for a batch of "
                f"{len(gradients)} rows"
            )
        rows = jnp.arange(len(gradients)) if self.remembers_rows else sample_ids
        wanted = gradients + state[rows]
        sent = self._keep(key, wanted)
        return sent, state.at[rows].set(wanted - sent)

    def public(self, batch_size, num_classes):
        """The share that is kept."""
        return UNCHANGED.replace(keep_fraction=self.keep_fraction)

    def _keep(self, key, gradients):
        scores = jnp.abs(gradients)
        if self.selection == "random":
            scores = jax.random.uniform(key, gradients.shape, gradients.dtype)
        threshold = jnp.quantile(scores, 1.0 - self.keep_fraction)
        return jnp.where(scores >= threshold, gradients, 0.0)


def sparsification(keep_fraction: Number, **options: Any) -> Sparsification:
    """`Sparsification` at one share, which may be traced, with its memory's shape."""
    defense = Sparsification(keep_fraction=keep_fraction, **options)
    _check_memory(defense.residual, defense.memory_shape)
    return defense


def _check_memory(residual, memory_shape):
    """A memory needs a shape, and only a memory does."""
    if (memory_shape is None) != (residual == "none"):
        raise ValueError(
            f"memory_shape={memory_shape}: needed for residual='by_sample' and "
            f"'by_row', and only then; residual={residual!r}"
        )

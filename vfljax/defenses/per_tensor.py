"""A defense applied to each tensor of an update on its own."""

import dataclasses
from typing import Any, ClassVar

import jax

from vfljax.defenses.base import Defense, check_defense, check_for_updates


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerTensor(Defense):
    """Apply a defense to each tensor of a participant's update on its own.

    Norms are then those of a tensor and shares those of its entries: with `DPGaussian`
    it is the "DP" of LLG's released code (Wainakh et al. 2022,
    https://doi.org/10.2478/popets-2022-0043), a clip per tensor and noise, and with
    `Sparsification` pruning layer by layer. Each tensor has a key and a memory of its
    own. The swept axis is that of the defense inside.

    Raises:
        ValueError: If the defense inside can't act on updates, or acts in local steps,
            where it belongs beside this one in a `Chain`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from vfljax.defenses import DPGaussian
        >>> clip = PerTensor(of=DPGaussian(noise_std=0.0, clip_norm=1.0))
        >>> update = {"bias": jnp.array([0.5]), "kernel": jnp.array([[3.0, 4.0]])}
        >>> clip.perturb_update(jax.random.key(0), ((), ()), update)[0]["kernel"]
        Array([[0.6, 0.8]], dtype=float32)
    """

    of: Defense
    """The defense of each tensor."""
    parts: tuple[Defense, ...] = ()
    """The defense of each tensor with its memory's shape; () is filled in from the
    network."""
    swept: ClassVar[str | None] = None

    def __post_init__(self):
        """Refuses what makes no sense within a tensor."""
        check_defense("PerTensor.of", self.of)
        check_for_updates("PerTensor.of", self.of)
        if self.of.acts_in_steps:
            raise ValueError(
                f"PerTensor.of: {type(self.of).__name__} acts in local steps, where "
                "there are no tensors to send; allowed is Chain(it, PerTensor(...))"
            )

    strength_name = property(lambda self: self.of.strength_name)
    strengths = property(lambda self: self.of.strengths)
    is_sweep = property(lambda self: self.of.is_sweep)

    @property
    def drops_entries(self) -> bool:
        """Whether entries of a tensor are dropped."""
        return self.of.drops_entries

    def at(self, strength, shapes, prepared=()):
        """One defense for each tensor, at one, possibly traced, strength."""
        parts = tuple(
            self.of.at(strength, shapes._replace(embed=size, tensors=(size,)))
            for size in shapes.tensors
        )
        return PerTensor(of=self.of.at(strength, shapes), parts=parts)

    def init_update(self, update):
        """What is remembered of each tensor."""
        leaves, parts = self._pairs(update)
        return tuple(
            part.init_update(leaf) for part, leaf in zip(parts, leaves, strict=True)
        )

    def perturb_update(self, key, state, update):
        """Each tensor as its defense sends it."""
        leaves, parts = self._pairs(update)
        keys = jax.random.split(key, len(leaves))
        answers = [
            part.perturb_update(*own)
            for part, *own in zip(parts, keys, state, leaves, strict=True)
        ]
        sent, states = zip(*answers, strict=True)
        return jax.tree.unflatten(jax.tree.structure(update), sent), tuple(states)

    def _pairs(self, update) -> tuple[list[Any], tuple[Defense, ...]]:
        leaves = jax.tree.leaves(update)
        return leaves, self.parts or (self.of,) * len(leaves)

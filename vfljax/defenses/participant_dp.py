"""Clip each participant's update and add noise to it, for DP of participants.

McMahan, Ramage, Talwar, Zhang (2018, "Learning differentially private recurrent
language models", https://arxiv.org/abs/1710.06963), with flat clipping. Melis et al.
(2019, https://arxiv.org/abs/1805.04049, section VIII-D) name it against property
inference, and report that no network of theirs converged under it with at most 30
participants. What it guarantees: `update_dp`.
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from vfljax._checks import NOT_NEGATIVE, require
from vfljax.defenses.base import Defense, Number, Swept
from vfljax.defenses.rows import as_row


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParticipantDP(Defense):
    """Clip each participant's whole update and add its share of Gaussian noise.

    Update u of one of M participants becomes u / max(1, ‖u‖/S) + N(0, (z·S)²/M) in
    every entry, with S the clipping norm and z the multiplier. The mean of M such
    updates has noise of standard deviation z·S/M: for an adversary who sees the mean
    alone, under secure aggregation or as one of the participants, that is the central
    mechanism of McMahan et al. A server that sees single updates gets each with 1/√M of
    the noise that the multiplier stands for, and the guarantee is weaker by so much.
    Updates are in gradient units, whatever the learning rate.
    """

    clip_norm: int | float = 1.0
    """Norm S (2-norm) to which a participant's whole update is clipped, > 0 and finite,
    in gradient units; with several local steps their gradients add up."""
    noise_multiplier: Swept = (0.1, 0.3, 1.0)
    """Standard deviation z of the noise on the sum of a round's updates, in units of
    the clipping norm, >= 0, published 1; 0 clips alone."""
    num_participants: int | None = None
    """How many participants add noise in a round, M >= 1; None is filled in from the
    protocol."""
    swept: ClassVar[str] = "noise_multiplier"
    ranges: ClassVar = {
        "noise_multiplier": NOT_NEGATIVE,
        "clip_norm": {"low": 0.0, "low_excluded": True, "high_excluded": True},
    }

    def check(self) -> None:
        """Refuses a round without participants."""
        number = self.num_participants
        require(number is None or number >= 1, "num_participants", number, ">= 1")

    def at(self, strength, shapes, prepared=()):
        """The defense at one multiplier, with as many participants as a round has."""
        number = self.num_participants or shapes.participants
        changes = {"noise_multiplier": strength, "num_participants": number}
        return dataclasses.replace(self, **changes)

    def perturb_update(self, key, state, update):
        """Clips the whole update and adds noise to every entry."""
        number = self.num_participants or 0
        require(number, "num_participants", self.num_participants, ">= 1 to add noise")
        row, restore = as_row(update)
        norm = jnp.linalg.norm(row)
        clipped = row / jnp.maximum(1.0, norm / self.clip_norm)
        noise_std = self.noise_multiplier * (self.clip_norm / math.sqrt(number))
        noise = jax.random.normal(key, row.shape, row.dtype)
        return restore(clipped + noise_std * noise), state

    def update_budget(self, releases):
        """Of a participant: all rounds in which it may take part.

        Nobody sees who takes part where a mean is seen; who sees single updates sees
        that too, and drawing participants then protects nobody.
        """
        from vfljax import update_dp  # slow to import, and needed for reports alone

        protects, seen = "a participant", releases.seen
        rounds, share = releases.rounds, releases.share
        if releases.has_statistics:
            reason = "running statistics of the network are sent as they are"
            return update_dp.no_update_budget(protects, reason)
        if seen > 1 and rounds and not releases.are_equal:
            reason = "shares of the aggregate differ, and so does what one adds to it"
            return update_dp.no_update_budget(protects, reason)
        added = self.num_participants or releases.participants
        what = f"of {rounds} rounds"
        training = update_dp.Draws(rounds)
        if seen > 1 and share < 1:
            training = update_dp.drawn_from_all(rounds, share)
            what += f", {100 * share:.3g} % of the participants in each"
        elif share < 1:
            training = update_dp.Draws(update_dp.most_rounds(rounds, share))
            what = f"of {training.number} rounds at most, of {rounds}"
        return update_dp.update_budget(
            protects,
            self.noise_multiplier * math.sqrt(seen / added),
            training=training,
            attacked=update_dp.Draws(releases.attacked_rounds),
            what=what,
        )


def participant_dp(noise_multiplier: Number, **options: Any) -> ParticipantDP:
    """`ParticipantDP` at one noise, which may be traced, with its participants."""
    return ParticipantDP(noise_multiplier=noise_multiplier, **options)

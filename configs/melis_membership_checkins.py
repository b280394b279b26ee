"""Melis et al., Table II, places: precision of membership against the batch size.

Synthetic check-ins stand in for FourSquare: 30,000 places, the convolutional network
on lists of 100, an even split between two participants, 3,000 rounds.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each batch size; small: one of a narrow network for three."""
    small = scale == "small"
    return Experiment(
        name="melis_membership_checkins",
        title="Membership from embedding gradients, synthetic check-ins",
        data=_melis.records("checkins_synthetic"),
        model=_melis.checkins(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        batch_sizes=(50, 100, 200) if small else (100, 200, 500, 1000, 2000),
        attacks=_melis.membership(),
        num_trials=1 if small else 5,
    )

"""Melis et al., Table VI, places: membership and main task by the number of places.

Synthetic check-ins stand in for FourSquare; batches of 500, which the published table
evidently has.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each number of places; small: one of a narrow network."""
    small = scale == "small"
    variants = {
        f"{size:,} places": Variant(
            data=_melis.records("checkins_synthetic", vocabulary_size=size)
        )
        for size in (30_000, 10_000, 3000, 1000)
    }
    return Experiment(
        name="melis_vocabulary_checkins",
        title="Membership from check-ins at few places",
        data=_melis.records("checkins_synthetic"),
        model=_melis.checkins(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        variants=variants,
        batch_sizes=(100 if small else 500,),
        attacks=_melis.membership(),
        num_trials=1 if small else 5,
    )

"""Melis et al., Table VI, reviews: membership and main task by the vocabulary's size.

Hotel reviews stand in for CSI; batches of 12. All words but the most frequent are left
out, of training data and of the records that are asked about.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each vocabulary; small: one of a narrow network."""
    small = scale == "small"
    variants = {
        f"{size:,} words": Variant(
            data=_melis.records("deceptive_opinions", vocabulary_size=size)
        )
        for size in (4000, 2000, 1000, 500)
    }
    return Experiment(
        name="melis_vocabulary_opinions",
        title="Membership from reviews of few words",
        data=_melis.records("deceptive_opinions"),
        model=_melis.texts(small, filters=100),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        variants=variants,
        batch_sizes=(12,),
        attacks=_melis.membership(),
        num_trials=1 if small else 5,
    )

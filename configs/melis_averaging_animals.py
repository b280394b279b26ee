"""Melis et al., Figure 9: inference from rounds of federated averaging.

Ten local batches in a round, three and five participants. Of the target's samples 80 %
have the property in property trials and none in controls; the mean score of a training
tells them apart.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant
from vfljax.protocol import FederatedAveraging


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Eight trainings of each kind; small: four of a narrow network in fewer rounds."""
    small = scale == "small"
    kind, local = "frog", 3 if small else 10

    def holding(fraction: float):
        target = TargetProperty(
            name="identity", values=(kind,), fraction=fraction, one_in=1
        )
        return _melis.animals(target, small)

    variants = {
        f"{number} participants, {100 * fraction:g} %": Variant(
            data=holding(fraction),
            protocol=FederatedAveraging(
                num_participants=number, observer="participant", local_steps=local
            ),
        )
        for number in (3, 5)
        for fraction in (0.8, 0.0)
    }
    return Experiment(
        name="melis_averaging_animals",
        title="A property under federated averaging",
        data=holding(0.8),
        model=_melis.faces(small),
        protocol=FederatedAveraging(
            num_participants=3, observer="participant", local_steps=local
        ),
        training=_melis.training(20 if small else 300, number=1),
        variants=variants,
        batch_sizes=(_melis.BATCH,),
        watch_every=2 if small else 1,
        attacks=_melis.inference(small),
        num_trials=4 if small else 8,
    )

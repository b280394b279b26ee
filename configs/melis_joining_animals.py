"""Melis et al., Figure 10: a target with the property joins in the middle.

Two participants train for 250 rounds of federated averaging, then a third joins, all of
whose batches have the property.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty
from vfljax.protocol import FederatedAveraging


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings of 500 rounds; small: one of 100 of which 50 are without it."""
    small = scale == "small"
    steps, local = (100, 2) if small else (500, 10)
    target = TargetProperty(
        name="identity", values=("frog",), one_in=1, joins_at=steps // 2
    )
    return Experiment(
        name="melis_joining_animals",
        title="A participant with the property joins",
        data=_melis.animals(target, small),
        model=_melis.faces(small),
        protocol=FederatedAveraging(
            num_participants=3, observer="participant", local_steps=local
        ),
        training=_melis.training(steps, number=1),
        batch_sizes=(_melis.BATCH,),
        attacks=_melis.inference(small),
        record_confusion=True,
        num_trials=1 if small else 5,
    )

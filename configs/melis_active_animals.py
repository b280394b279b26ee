"""Melis et al., Figure 7: the active attack against its weight alpha.

Half of a property batch is of one kind of animal, which stands in for an identity. With
alpha = 0 the adversary is passive. A fifth of its own batches has the property, as in
the released code.
"""

from typing import Literal

import _melis

from vfljax.attacks import ActivePropertyInference
from vfljax.experiments import Experiment, TargetProperty


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each weight; small: two of a narrow network for three."""
    small = scale == "small"
    weights = (0.0, 0.5, 0.9) if small else (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    target = TargetProperty(
        name="identity", values=("dog",), fraction=0.5, adversary_fraction=0.2
    )
    return Experiment(
        name="melis_active_animals",
        title="Active inference of a property against its weight",
        data=_melis.animals(target, small),
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=2 if small else 1,
        attacks={
            f"alpha {weight:g}": ActivePropertyInference(
                of=_melis.inference(small)["ridge"], property_weight=weight
            )
            for weight in weights
        },
        num_trials=2 if small else 5,
    )

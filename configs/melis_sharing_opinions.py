"""Melis et al., Table V: sharing 10, 50 and 100 % of the gradients.

Hotel reviews stand in for CSI: sentiment is the main task, veracity the property. The
paper does not say which entries are shared: the largest, or random ones.
"""

from typing import Literal

import _melis

from vfljax.defenses import NoDefense, Sparsification
from vfljax.experiments import Experiment, TargetProperty


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each share; small: two of a narrow network."""
    small = scale == "small"
    shared = (0.1, 0.5)
    return Experiment(
        name="melis_sharing_opinions",
        title="A property from a part of the gradients",
        data=_melis.opinions(TargetProperty(name="veracity", values=("deceptive",))),
        model=_melis.texts(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        batch_sizes=(12,),
        watch_from=_melis.WARM_UP,
        watch_every=5 if small else 1,
        defenses={
            "none": NoDefense(),
            "largest": Sparsification(keep_fraction=shared, residual="none"),
            "random": Sparsification(
                keep_fraction=shared, residual="none", selection="random"
            ),
        },
        attacks=_melis.inference(small),
        num_trials=2 if small else 5,
    )

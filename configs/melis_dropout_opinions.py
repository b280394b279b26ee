"""Melis et al., Table VII: dropout after the pools does not hide a property.

Hotel reviews stand in for CSI: sentiment is the main task, veracity the property.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each share; small: two of a narrow network for four."""
    small = scale == "small"
    shares = (0.0, 0.1, 0.5, 0.9) if small else (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    return Experiment(
        name="melis_dropout_opinions",
        title="A property of batches under dropout",
        data=_melis.opinions(TargetProperty(name="veracity", values=("deceptive",))),
        model=_melis.texts(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        variants={
            f"dropout {share:g}": Variant(model=_melis.texts(small, dropout=share))
            for share in shares
        },
        batch_sizes=(12,),
        watch_from=_melis.WARM_UP,
        watch_every=5 if small else 1,
        attacks=_melis.inference(small),
        num_trials=2 if small else 5,
    )

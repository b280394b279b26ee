"""Melis et al., Figure 6: AUC of a property against the epochs of the training.

Hotel reviews stand in for CSI, veracity for the author's gender. An epoch of the
target's 640 reviews is 53 rounds of 12; the attack has watched all of them by then.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant

_EPOCH = 53


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings up to twenty epochs; small: two of a narrow network, up to ten."""
    small = scale == "small"
    epochs = (1, 2, 4, 8) if small else (1, 2, 4, 8, 12, 16, 20)
    return Experiment(
        name="melis_epochs_opinions",
        title="A property of batches against the epochs",
        data=_melis.opinions(TargetProperty(name="veracity", values=("deceptive",))),
        model=_melis.texts(small),
        protocol=_melis.participants(),
        training=_melis.training(_EPOCH * epochs[-1]),
        variants={
            f"{number} epochs": Variant(training=_melis.training(_EPOCH * number))
            for number in epochs
        },
        batch_sizes=(12,),
        watch_every=5 if small else 1,
        attacks=_melis.inference(small),
        num_trials=2 if small else 5,
    )

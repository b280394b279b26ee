"""Melis et al., Figure 5a: when do photographs of people of one gender appear?

Two or three faces tiled to one picture stand in for PIPA: the main task is whether
anybody is 20 to 29 years old, the property that all have the same gender. The target
has such pictures in rounds 500 to 1,500 of 2,500, and other ones before and after.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty
from vfljax.models import FaceVGG


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings of 2,500 rounds; small: one of 250 with a narrow network."""
    small = scale == "small"
    unit = 50 if small else 500
    target = TargetProperty(
        name="same_gender", values=("yes",), windows=((unit, 3 * unit, "yes"),)
    )
    return Experiment(
        name="melis_when_tiled",
        title="When pictures of one gender are trained on",
        data=_melis.with_property("fairface_tiled", target),
        model=_melis.faces(small) if small else FaceVGG(),
        protocol=_melis.participants(),
        training=_melis.training(5 * unit),
        batch_sizes=(_melis.BATCH,),
        watch_every=2 if small else 1,
        attacks=_melis.inference(small),
        record_confusion=True,
        num_trials=1 if small else 5,
    )

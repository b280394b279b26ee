"""Melis et al., Figure 8: AUC against the number of participants, synchronized SGD.

Main task gender, property a race. The adversary sees the sum of all others' gradients,
of which only the target's may have the property.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each number; small: two of a narrow network for three."""
    small = scale == "small"
    numbers = (2, 4, 12) if small else (2, 4, 6, 8, 12, 16, 20, 30)
    steps = 250 if small else 3000
    target = TargetProperty(name="race", values=("Black",))
    variants = {
        f"{number} participants": Variant(
            protocol=_melis.participants(number),
            training=_melis.training(steps, number=number),
        )
        for number in numbers
    }
    return Experiment(
        name="melis_participants_fairface",
        title="A property among many participants",
        data=_melis.with_property("fairface", target),
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(steps),
        variants=variants,
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=3 if small else 1,
        attacks=_melis.inference(small),
        num_trials=2 if small else 5,
    )

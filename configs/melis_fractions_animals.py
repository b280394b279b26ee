"""Melis et al., Figure 4: AUC against the share of a batch that has the property.

Animals and vehicles stand in for FaceScrub's genders, dogs and ships for identities,
each of which is within one class of the main task.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each share; small: two of a narrow network."""
    small = scale == "small"
    identities = ("frog",) if small else ("frog", "dog", "ship", "truck", "bird")

    def holding(identity: str, fraction: float = 1.0):
        target = TargetProperty(name="identity", values=(identity,), fraction=fraction)
        return _melis.animals(target, small)

    variants = {
        f"{identity}, {fraction:g}": Variant(data=holding(identity, fraction))
        for identity in identities
        for fraction in (0.1, 0.3, 0.5, 0.7, 0.9)
    }
    return Experiment(
        name="melis_fractions_animals",
        title="Batches of which a share has the property",
        data=holding(identities[0]),
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(300 if small else 3000),
        variants=variants,
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=4 if small else 1,
        attacks=_melis.inference(small) | {"forest": _melis.forest(small)},
        num_trials=2 if small else 5,
    )

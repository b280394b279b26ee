"""Melis et al., Table III: properties of single batches, whatever the main task.

FairFace stands in for LFW: main tasks gender and race, properties of race and age.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant

_CHILDREN, _OLD = ("0-2", "3-9"), ("50-59", "60-69", "more than 70")
PAIRS = {
    "gender, Black": (None, TargetProperty(name="race", values=("Black",))),
    "gender, East Asian": (None, TargetProperty(name="race", values=("East Asian",))),
    "gender, children": (None, TargetProperty(name="age", values=_CHILDREN)),
    "gender, over 50": (None, TargetProperty(name="age", values=_OLD)),
    "age, Black": ("age", TargetProperty(name="race", values=("Black",))),
    "age, East Asian": ("age", TargetProperty(name="race", values=("East Asian",))),
    "age, women": ("age", TargetProperty(name="gender", values=("Female",))),
    "race, women": ("race", TargetProperty(name="gender", values=("Female",))),
    "race, children": ("race", TargetProperty(name="age", values=_CHILDREN)),
}
"""Main task (None is gender) and property, by their label."""


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each pair; small: two of a narrow network, gender alone."""
    small = scale == "small"
    variants = {
        label: Variant(data=_melis.with_property("fairface", target, task=task))
        for label, (task, target) in PAIRS.items()
        if task is None or not small
    }
    first = next(iter(variants.values())).data
    assert first is not None
    return Experiment(
        name="melis_faces_fairface",
        title="Properties of batches of faces",
        data=first,
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(600 if small else 3000),
        variants=variants,
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=10 if small else 1,
        attacks=_melis.inference(small=False),
        num_trials=2 if small else 5,
    )

"""Melis et al., Table III: properties of single batches, whatever the main task.

FairFace stands in for LFW: main tasks gender and race, properties of race and age.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant

_BLACK = TargetProperty(name="race", values=("Black",))
_EAST_ASIAN = TargetProperty(name="race", values=("East Asian",))
_CHILDREN = TargetProperty(name="age", values=("0-2", "3-9"))
_WOMEN = TargetProperty(name="gender", values=("Female",))
FIRST = {"gender, Black": (None, _BLACK), "gender, children": (None, _CHILDREN)}
PAIRS = {
    **FIRST,
    "gender, East Asian": (None, _EAST_ASIAN),
    "age, Black": ("age", _BLACK),
    "age, East Asian": ("age", _EAST_ASIAN),
    "age, women": ("age", _WOMEN),
    "race, children": ("race", _CHILDREN),
    "race, women": ("race", _WOMEN),
}
"""Main task (None is gender) and property, by their label."""


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings of 3,000 rounds for each pair.

    Small: of 1,500 rounds, of which every tenth is watched, for two pairs.
    """
    small = scale == "small"
    pairs = FIRST if small else PAIRS
    parts = {
        label: _melis.with_property("fairface", target, task=task)
        for label, (task, target) in pairs.items()
    }
    return Experiment(
        name="melis_faces_fairface",
        title="Properties of batches of faces",
        data=parts["gender, Black"],
        model=_melis.faces(small=False),
        protocol=_melis.participants(),
        training=_melis.training(1500 if small else 3000),
        variants={label: Variant(data=part) for label, part in parts.items()},
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=10 if small else 1,
        attacks=_melis.inference(small=False),
        num_trials=5,
    )

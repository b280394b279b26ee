"""Melis et al., Figure 5b: when do photographs of one kind appear and disappear?

Of 2,500 rounds the target trains on frogs in the first 500 and from 1,500 to 2,000, on
ships from 500 to 1,000 and from 2,000 on, and on anything else in between. The
adversary asks for frogs, for ships, and for dogs, of which there are none.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant

_FIRST, _SECOND, _ABSENT = "frog", "ship", "dog"


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings of 2,500 rounds; small: one of 500 with a fifth of each window."""
    small = scale == "small"
    unit = 100 if small else 500
    starts = ((0, _FIRST), (1, _SECOND), (3, _FIRST), (4, _SECOND))
    windows = tuple((unit * at, unit * (at + 1), kind) for at, kind in starts)

    def asking(kind: str):
        target = TargetProperty(name="identity", values=(kind,), windows=windows)
        return _melis.animals(target, small)

    variants = {
        f"asked for {kind}s": Variant(data=asking(kind))
        for kind in (_FIRST, _SECOND, _ABSENT)
    }
    return Experiment(
        name="melis_when_animals",
        title="When a kind of photograph is trained on",
        data=asking(_FIRST),
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(5 * unit),
        variants=variants,
        batch_sizes=(_melis.BATCH,),
        watch_every=2 if small else 1,
        attacks=_melis.inference(small),
        record_confusion=True,
        num_trials=1 if small else 5,
    )

"""How many faces of its own does an adversary need to tell a property of batches?

Not in the paper, whose adversary has as many samples as the target.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment, TargetProperty, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each number; small: two of a narrow network for three."""
    small = scale == "small"
    numbers = (100, 400, None) if small else (50, 100, 200, 400, 800, None)
    target = TargetProperty(name="race", values=("Black",))
    return Experiment(
        name="melis_rows_fairface",
        title="A property by the adversary's number of faces",
        data=_melis.with_property("fairface", target),
        model=_melis.faces(small),
        protocol=_melis.participants(),
        training=_melis.training(600 if small else 3000),
        variants={
            f"{own or 'all'} faces": Variant(
                data=_melis.with_property("fairface", target, own=own)
            )
            for own in numbers
        },
        batch_sizes=(_melis.BATCH,),
        watch_from=_melis.WARM_UP,
        watch_every=10 if small else 1,
        attacks=_melis.inference(small),
        num_trials=2 if small else 5,
    )

"""Fu et al., quantity of the adversary's features, on Criteo, with its upper bound.

The adversary has 10 to 90 percent of the hashed features, the label party the rest. The
bound is a model trained with all labels on the adversary's features alone.
"""

from typing import Literal

import _fu

from vfljax.experiments import Data, Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Nine shares; small: three."""
    small = scale == "small"
    shares = (0.1, 0.5, 0.9) if small else tuple(n / 10 for n in range(1, 10))
    return Experiment(
        name="fu_share_criteo",
        title="Criteo: label inference against the adversary's share of the features",
        data=Data(dataset="criteo", split="features"),
        model=_fu.CRITEO_BOTTOM,
        top=_fu.CRITEO_TOP,
        training=_fu.criteo_training(small),
        variants={
            f"{share:.0%}": Variant(
                data=Data(dataset="criteo", split="features", shares=(share, 1 - share))
            )
            for share in shares
        },
        record_alone=True,
        batch_sizes=(100 if small else 1000,),
        attacks={"passive": _fu.completion(small, 50, **_fu.criteo_epochs(small))},
        num_trials=8 if small else 5,
    )

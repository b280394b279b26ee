"""Fu et al., quantity of the adversary's features, on Criteo, with its upper bound.

The adversary has 10 to 90 percent of the hashed features, the label party the rest. The
bound is a model trained with all labels on the adversary's features alone.
"""

import dataclasses
from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Nine shares; small: three."""
    small = scale == "small"
    shares = (0.1, 0.5, 0.9) if small else tuple(n / 10 for n in range(1, 10))
    return _fu.criteo_experiment(
        small,
        name="fu_share_criteo",
        title="Criteo: label inference against the adversary's share of the features",
        variants={
            f"{share:.0%}": Variant(
                data=dataclasses.replace(_fu.CRITEO, shares=(share, 1 - share))
            )
            for share in shares
        },
        record_alone=True,
        attacks={"passive": _fu.completion(small, 50, **_fu.criteo_epochs(small))},
    )

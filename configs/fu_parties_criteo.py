"""Fu et al., Figure 3, on Criteo: label inference against the number of parties.

The hashed features are split evenly between 2 to 8 parties; all bottom models have the
same widths, as has the top model behind its first layer. The publication shows it on
BHI (`fu_parties_bhi`).
"""

import dataclasses
from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Two to eight parties; small: 2, 4 and 8."""
    small = scale == "small"
    attacks = _fu.three_attacks(small, 50, **_fu.criteo_epochs(small))
    return _fu.criteo_experiment(
        small,
        name="fu_parties_criteo",
        title="Criteo: label inference against the number of parties",
        variants={
            f"{count} parties": Variant(
                data=dataclasses.replace(_fu.CRITEO, num_parties=count)
            )
            for count in ((2, 4, 8) if small else range(2, 9))
        },
        attacks={label: attacks[label] for label in ("passive", "active")},
    )

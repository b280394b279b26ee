"""Fu et al., Figure 3, on CIFAR-10: the active attack against the number of parties.

Columns of the images are split between 2 to 8 parties; the adversary has the leftmost
block. The publication shows it on BHI (`fu_parties_bhi`), where parties hold different
pictures of one class.
"""

import dataclasses
from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Two to eight parties; small: 2, 4 and 8."""
    small = scale == "small"
    data = _fu.cifar(small)
    counts = (2, 4, 8) if small else range(2, 9)
    return _fu.cifar_experiment(
        small,
        name="fu_parties_cifar10",
        title="CIFAR-10 columns: label inference against the number of parties",
        variants={
            f"{count} parties": Variant(
                data=dataclasses.replace(data, num_parties=count)
            )
            for count in counts
        },
        attacks={
            "passive": _fu.completion(small),
            "active": _fu.completion(small, optimizer="malicious"),
        },
    )

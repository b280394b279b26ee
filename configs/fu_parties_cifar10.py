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
    return Experiment(
        name="fu_parties_cifar10",
        title="CIFAR-10 columns: label inference against the number of parties",
        data=data,
        model=_fu.resnet(small),
        top=_fu.IMAGE_TOP,
        training=_fu.cifar_training(small),
        variants={
            f"{count} parties": Variant(
                data=dataclasses.replace(data, num_parties=count)
            )
            for count in counts
        },
        batch_sizes=(32,),
        attacks={
            "passive": _fu.completion(small),
            "active": _fu.completion(small, optimizer="malicious"),
        },
        num_trials=4 if small else 5,
    )

"""Fu et al., quantity of the adversary's features, on CIFAR-10, with its upper bound.

The adversary has 10 to 90 percent of the image columns, the label party the rest. The
bound is a model trained with all labels on the adversary's columns alone. (The
publication has TinyImageNet and Criteo; see `fu_share_criteo`.)
"""

import dataclasses
from typing import Literal

import _fu

from vfljax.experiments import Experiment, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Nine shares; small: three."""
    small = scale == "small"
    data = _fu.cifar(small)
    shares = (0.125, 0.5, 0.875) if small else tuple(n / 10 for n in range(1, 10))
    return _fu.cifar_experiment(
        small,
        name="fu_share_cifar10",
        title="CIFAR-10 columns: label inference against the adversary's share",
        variants={
            f"{share:.0%}": Variant(
                data=dataclasses.replace(data, shares=(share, 1 - share))
            )
            for share in shares
        },
        record_alone=True,
        attacks={"passive": _fu.completion(small)},
        num_trials=2 if small else 5,
    )

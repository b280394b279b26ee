"""Fu et al. and Zou et al.: how many known labels does model completion need?

Fu's table of known labels (10 to 320 in total, passive and direct) and the rows of
model completion in Zou's Table 2 (from a label in a fifth of the classes to 12 in each,
passive and active), on CIFAR-10 halves.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """As `fu_cifar10`; small: four numbers of labels."""
    small = scale == "small"
    few, many = ((0.2,), (1, 4, 12)) if small else ((0.2, 0.4, 0.8), (1, 2, 4, 12, 32))
    attacks = {}
    for known in few + many:
        attacks[f"passive_{known:g}"] = _fu.completion(small, known)
        attacks[f"active_{known:g}"] = _fu.completion(
            small, known, optimizer="malicious"
        )
    for known in many:
        attacks[f"direct_{known:g}"] = _fu.direct(small, known)
    return _fu.cifar_experiment(
        small,
        name="fu_labels_cifar10",
        title="CIFAR-10 halves: label inference against the number of known labels",
        attacks=attacks,
    )

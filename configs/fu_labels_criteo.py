"""Fu et al. on Criteo: how many known labels does model completion need?

As `fu_labels_cifar10`, for two classes: passive, active and the baseline. The
publication shows it on CIFAR-10 and knows 50 labels per class on Criteo.
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """As `fu_criteo` with 10 to 200 labels per class; small: three numbers of them."""
    small = scale == "small"
    attacks = {}
    for known in (10, 50, 200) if small else (10, 25, 50, 100, 200):
        of_known = _fu.three_attacks(small, known, **_fu.criteo_epochs(small))
        del of_known["active_all"]
        attacks |= {f"{label}_{known}": spec for label, spec in of_known.items()}
    return _fu.criteo_experiment(
        small,
        name="fu_labels_criteo",
        title="Criteo: label inference against the number of known labels",
        attacks=attacks,
    )

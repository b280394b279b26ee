"""Fu et al.: do defenses of messages stop the active attack? CIFAR-10 halves.

Noisy gradients, gradient compression, PPDL and DiscreteSGD at the strengths of their
Table 6, against active model completion with 4 labels per class. They publish a figure
without readable numbers, and "not effective".
"""

from typing import Literal

import _fu

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """All sixteen settings; small: two of each defense."""
    small = scale == "small"
    return _fu.cifar_experiment(
        small,
        name="fu_defenses_cifar10",
        title="CIFAR-10 halves: defenses of messages against active model completion",
        defenses=_fu.table6_defenses(is_short=small),
        attacks={"active": _fu.completion(small, optimizer="malicious")},
        num_trials=2 if small else 5,
    )

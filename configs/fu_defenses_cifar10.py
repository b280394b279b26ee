"""Fu et al.: do defenses of messages stop the active attack? CIFAR-10 halves.

Noisy gradients, gradient compression, PPDL and DiscreteSGD at the strengths of their
Table 6, against active model completion with 4 labels per class. They publish a figure
without readable numbers, and "not effective".
"""

from typing import Literal

import _fu

from vfljax.experiments import (
    PPDL,
    DiscreteSGD,
    DPLaplace,
    Experiment,
    GradientCompression,
    NoDefense,
)


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """All sixteen settings; small: two of each defense."""
    small = scale == "small"
    noise = (1e-3, 1e-2) if small else (1e-4, 1e-3, 1e-2, 1e-1)
    kept = (0.5, 0.1) if small else (0.75, 0.5, 0.25, 0.1)
    return _fu.cifar_experiment(
        small,
        name="fu_defenses_cifar10",
        title="CIFAR-10 halves: defenses of messages against active model completion",
        defenses={
            "none": NoDefense(),
            "noisy_gradients": DPLaplace(
                strengths=noise,
                clip_norm=float("inf"),
                reading="released",
                covers_label_party=True,
            ),
            "gradient_compression": GradientCompression(
                strengths=kept, reading="released"
            ),
            "ppdl": PPDL(strengths=kept),
            "discrete_sgd": DiscreteSGD(
                strengths=(12, 6) if small else (24, 18, 12, 6),
                reading="released",
                bound=0.03,
            ),
        },
        attacks={"active": _fu.completion(small, optimizer="malicious")},
        num_trials=2 if small else 5,
    )

"""Label leakage in vertical federated learning: protocol, attacks and defenses.

Pure JAX functions along one line: data → parties → protocol step → transcript → view →
attack → inference → metrics. `vfljax run quickstart` shows all of it.
"""

from vfljax import (
    attacks,
    data,
    defenses,
    goals,
    losses,
    models,
    optimizers,
    protocol,
)
from vfljax.goals import metrics

__version__ = "0.1.0"

__all__ = [
    "attacks",
    "data",
    "defenses",
    "goals",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "protocol",
]

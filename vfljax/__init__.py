"""Label leakage in vertical federated learning: protocol, attacks and defenses.

Pure JAX functions along one line: data → parties → protocol step → transcript → view →
attack → inference → goal → row. `vfljax run quickstart` shows all of it. Rooms are
imported when they are used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vfljax import (
        attacks,
        data,
        defenses,
        experiments,
        goals,
        losses,
        models,
        optimizers,
        protocol,
        reports,
    )
    from vfljax.goals import metrics

__all__ = [
    "attacks",
    "data",
    "defenses",
    "experiments",
    "goals",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "protocol",
    "reports",
]


def __getattr__(name: str):
    """A room of the library, imported at its first use."""
    if name not in __all__:
        raise AttributeError(f"module 'vfljax' has no attribute {name!r}")
    place = "goals.metrics" if name == "metrics" else name
    return importlib.import_module(f"vfljax.{place}")

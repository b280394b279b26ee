"""Label protection: each defense a record of pure functions; `chain` composes them."""

from vfljax.defenses.base import Defense, chain, no_defense
from vfljax.defenses.discrete_sgd import discrete_sgd
from vfljax.defenses.noise import dp_gaussian, dp_laplace
from vfljax.defenses.sparsification import sparsification

__all__ = [
    "Defense",
    "chain",
    "discrete_sgd",
    "dp_gaussian",
    "dp_laplace",
    "no_defense",
    "sparsification",
]

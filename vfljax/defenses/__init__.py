"""Label protection: each defense a record of pure functions; `chain` composes them."""

from vfljax.defenses.autoencoder_cache import autoencoder_epochs, load_autoencoder
from vfljax.defenses.base import Defense, chain, no_defense
from vfljax.defenses.cae import (
    Autoencoder,
    autoencoder_training,
    cae,
    codebook_entropy,
    train_autoencoder,
)
from vfljax.defenses.discrete_sgd import discrete_sgd
from vfljax.defenses.gradient_compression import gradient_compression
from vfljax.defenses.marvell import (
    MarvellState,
    NoiseLevels,
    count_unprotected,
    marvell,
    optimal_noise,
)
from vfljax.defenses.noise import dp_gaussian, dp_laplace
from vfljax.defenses.norm_noise import isotropic, max_norm
from vfljax.defenses.ppdl import ppdl
from vfljax.defenses.sparsification import sparsification

__all__ = [
    "Autoencoder",
    "Defense",
    "MarvellState",
    "NoiseLevels",
    "autoencoder_epochs",
    "autoencoder_training",
    "cae",
    "chain",
    "codebook_entropy",
    "count_unprotected",
    "discrete_sgd",
    "dp_gaussian",
    "dp_laplace",
    "gradient_compression",
    "isotropic",
    "load_autoencoder",
    "marvell",
    "max_norm",
    "no_defense",
    "optimal_noise",
    "ppdl",
    "sparsification",
    "train_autoencoder",
]

"""Label protection: each defense a record of pure functions; `Chain` composes them."""

from vfljax.defenses.autoencoder import (
    Autoencoder,
    AutoencoderTraining,
    autoencoder_epochs,
    codebook_entropy,
    load_autoencoder,
)
from vfljax.defenses.base import (
    Defense,
    NoDefense,
    Releases,
    Shapes,
    check_defense,
)
from vfljax.defenses.cae import CAE, cae
from vfljax.defenses.chain import Chain
from vfljax.defenses.discrete_sgd import DiscreteSGD, discrete_sgd
from vfljax.defenses.gradient_compression import (
    GradientCompression,
    gradient_compression,
)
from vfljax.defenses.marvell import Marvell, count_unprotected, marvell, optimal_noise
from vfljax.defenses.noise import DPGaussian, DPLaplace, dp_gaussian, dp_laplace
from vfljax.defenses.norm_noise import Isotropic, MaxNorm, isotropic, max_norm
from vfljax.defenses.ppdl import PPDL, ppdl
from vfljax.defenses.sparsification import Sparsification, sparsification

__all__ = [
    "CAE",
    "PPDL",
    "Autoencoder",
    "AutoencoderTraining",
    "Chain",
    "DPGaussian",
    "DPLaplace",
    "Defense",
    "DiscreteSGD",
    "GradientCompression",
    "Isotropic",
    "Marvell",
    "MaxNorm",
    "NoDefense",
    "Releases",
    "Shapes",
    "Sparsification",
    "autoencoder_epochs",
    "cae",
    "check_defense",
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
    "optimal_noise",
    "ppdl",
    "sparsification",
]

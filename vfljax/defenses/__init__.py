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
    UpdateReleases,
    check_defense,
    check_for_messages,
    check_for_updates,
    update_shapes,
)
from vfljax.defenses.cae import CAE, cae
from vfljax.defenses.chain import Chain
from vfljax.defenses.discrete_sgd import DiscreteSGD, discrete_sgd
from vfljax.defenses.example_clipping import ExampleClipping, example_clipping
from vfljax.defenses.exponential_noise import ExponentialNoise, exponential_noise
from vfljax.defenses.gradient_compression import (
    GradientCompression,
    gradient_compression,
)
from vfljax.defenses.logit_dropout import LogitDropout, logit_dropout
from vfljax.defenses.marvell import Marvell, count_unprotected, marvell, optimal_noise
from vfljax.defenses.noise import DPGaussian, DPLaplace, dp_gaussian, dp_laplace
from vfljax.defenses.norm_noise import Isotropic, MaxNorm, isotropic, max_norm
from vfljax.defenses.participant_dp import ParticipantDP, participant_dp
from vfljax.defenses.per_tensor import PerTensor
from vfljax.defenses.ppdl import PPDL, ppdl
from vfljax.defenses.released_compression import (
    ReleasedCompression,
    released_compression,
)
from vfljax.defenses.signs import Signs
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
    "ExampleClipping",
    "ExponentialNoise",
    "GradientCompression",
    "Isotropic",
    "LogitDropout",
    "Marvell",
    "MaxNorm",
    "NoDefense",
    "ParticipantDP",
    "PerTensor",
    "ReleasedCompression",
    "Releases",
    "Shapes",
    "Signs",
    "Sparsification",
    "UpdateReleases",
    "autoencoder_epochs",
    "cae",
    "check_defense",
    "check_for_messages",
    "check_for_updates",
    "codebook_entropy",
    "count_unprotected",
    "discrete_sgd",
    "dp_gaussian",
    "dp_laplace",
    "example_clipping",
    "exponential_noise",
    "gradient_compression",
    "isotropic",
    "load_autoencoder",
    "logit_dropout",
    "marvell",
    "max_norm",
    "optimal_noise",
    "participant_dp",
    "ppdl",
    "released_compression",
    "sparsification",
    "update_shapes",
]

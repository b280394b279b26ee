"""What the configs of Zou et al. (2022) have in common: defenses and their strengths.

Strengths are the published ones where they are printed, plus those that fill the
curve. Noise is in units of dL/dH, which carries 1/B: at B = 2,048 a deviation of 1e-3
is twice the signal. `keep_fraction` is 1 − s/100 for their s of 90 to 99.9.
"""

from typing import Any

from vfljax.attacks import (
    ClusterMatching,
    GradientInversion,
    KnownEncoder,
    LinearRecovery,
    MessageSmoothing,
    NoiseAwareRecovery,
)
from vfljax.defenses import (
    CAE,
    PPDL,
    Chain,
    DiscreteSGD,
    DPGaussian,
    DPLaplace,
    Isotropic,
    Marvell,
    MaxNorm,
    NoDefense,
    Sparsification,
)
from vfljax.experiments import Experiment
from vfljax.models import MLP, ResNet18


def multi_class_defenses(small: bool = False, few: bool = False):
    """Figure 7, left: noise, sparsification, rounding, and confused labels.

    Few: one strength each, and the extremes of CAE and DCAE.
    """
    noise = (1e-4, 1e-3, 1e-2) if small else (5e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    kept = (0.1, 0.01, 0.001) if small else (0.1, 0.05, 0.01, 0.005, 0.001)
    weights = (0.0, 0.5, 1.0)
    if few:
        noise, kept, weights = (1e-3,), (0.01,), (0.0, 1.0)
    return {
        "none": NoDefense(),
        "dp_gaussian": DPGaussian(noise_std=noise),
        "dp_laplace": DPLaplace(noise=noise, reading="released"),
        "sparsification": Sparsification(keep_fraction=kept),
        "discrete_sgd": DiscreteSGD(bins=(12,)),
        "cae": CAE(entropy_weight=weights),
        "dcae": Chain(CAE(entropy_weight=weights), DiscreteSGD(bins=12)),
    }


def binary_defenses(small: bool = False):
    """Figure 7, right: the same with MARVELL at powers that take effect.

    At full scale with its two companions too, max-norm and isotropic noise.
    """
    powers = (1.0, 5.0) if small else (0.1, 1.0, 2.0, 5.0, 10.0)
    companions = {} if small else {"max_norm": MaxNorm(), "isotropic": Isotropic()}
    return {
        **multi_class_defenses(small),
        "marvell": Marvell(power=powers),
        **companions,
    }


def comparison_defenses(small: bool = False, few: bool = False):
    """Figure 8: as on its axis, with PPDL."""
    defenses = multi_class_defenses(small, few)
    del defenses["dp_gaussian"]
    released = (0.25,) if few else (0.75, 0.5, 0.25, 0.1)
    return {**defenses, "ppdl": PPDL(release_fraction=released)}


def image_network(small: bool) -> MLP | ResNet18:
    """ResNet-18 for CIFAR as published; small: a perceptron of one hidden layer."""
    return MLP(hidden=(128,)) if small else ResNet18()


def attacks(inversion_steps: int, iterations: int = 1000):
    """Published inversion, linear recovery, and attackers who know the defense."""
    recovery = LinearRecovery(solver="cg", iterations=iterations)
    return {
        "gradient_inversion": GradientInversion(steps=inversion_steps),
        "linear_recovery": recovery,
        "noise_aware": NoiseAwareRecovery(solver="cg", iterations=iterations),
        "message_smoothing": MessageSmoothing(of=recovery),
        "cluster_matching": ClusterMatching(of=recovery),
        "known_encoder": KnownEncoder(of=recovery),
    }


def figure_7(
    small: bool,
    *,
    defenses: dict[str, Any],
    inversion_steps: int,
    iterations: int = 1000,
    batch_size: int | None = None,
    **settings: Any,
) -> Experiment:
    """What the panels of Figure 7 share: a batch of 2,048, or a quarter when small."""
    return Experiment(
        batch_sizes=(batch_size or (512 if small else 2048),),
        defenses=defenses,
        attacks=attacks(inversion_steps, iterations),
        num_trials=2 if small else 10,
        **settings,
    )

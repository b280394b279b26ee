"""Zou et al.'s protocol on real ciphertexts: who learns what, and does it leak?

MNIST halves, one linear layer on each, exact mode. The attacks get what the passive
party decrypted, and what the simulation says it would have; both should be the same,
and so should the trained weights be. In every batch the passive party replaces one
ciphertext row by that of a target sample, ten times, and leaves the latter out
(Algorithm 3): what the gradient says of these two samples is not their labels.
"""

from typing import Literal

from vfljax.experiments import (
    Data,
    EncryptedRun,
    GradientInversion,
    LinearRecovery,
)


def make(scale: Literal["full", "small"] = "full") -> EncryptedRun:
    """Ten iterations with batches of 128; small: three of 16, in the compact layout."""
    small = scale == "small"
    return EncryptedRun(
        name="encrypted_mnist",
        title="MNIST halves, trained on ciphertexts",
        data=Data(dataset="mnist"),
        iterations=3 if small else 10,
        batch_size=16 if small else 128,
        layout="compact" if small else "row",
        attack_iterations=(0, 2) if small else (0, 9),
        attacks={
            "linear_recovery": LinearRecovery(),
            "gradient_inversion": GradientInversion(steps=500 if small else 10_000),
        },
        replaced_pairs=1,
    )

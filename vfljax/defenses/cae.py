"""Train on confused labels: the confusional autoencoder (CAE).

Zou et al. (2022, https://arxiv.org/abs/2112.05409), section 6; the training of the
autoencoder is in `vfljax.defenses.autoencoder`.
"""

import dataclasses
import itertools
from collections.abc import Generator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax._checks import NOT_NEGATIVE, check_number, require, require_all
from vfljax.defenses.autoencoder import (
    Autoencoder,
    AutoencoderTraining,
    Loss,
    autoencoder_epochs,
    network,
)
from vfljax.defenses.base import Defense, Swept, relabel


@dataclasses.dataclass(frozen=True, kw_only=True)
class CAE(Defense):
    """Train on confused labels (confusional autoencoder, CAE).

    Replaces labels by their codes; messages themselves are not perturbed. DCAE is
    `Chain(CAE(), DiscreteSGD(bins=12))`.

    The recovery of *names* drops to zero, and that is what the publication reports.
    But each class has one fixed code, so the messages of a class still lie together:
    judge it by `attacks.cluster_matching` and `attacks.known_encoder`. With two classes
    a code without fixed points can only swap them.

    On use, the codebook must have a row per class, or a `ValueError` is raised.
    """

    entropy_weight: Swept = (0.0, 0.1, 0.5, 1.0)
    """Weight λ2 of the entropy of the soft labels, >= 0, published 0 to 2."""
    loss: Loss = AutoencoderTraining.loss
    """Whether the autoencoder is trained with the published code's loss, or with the
    one printed in the paper and a floor under it."""
    contrast_weight: int | float = AutoencoderTraining.contrast_weight
    """Weight λ1 of the difference between labels and codes, >= 0; for the printed loss
    and the released one alike."""
    num_epochs: int | None = AutoencoderTraining.num_epochs
    """Epochs of the autoencoder's training, >= 1; None for the released number, 50 for
    ten classes, which confuses more and costs the main task more."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the autoencoder's training, each >= 0; trials take turns."""
    autoencoder: Autoencoder | None = None
    """A trained autoencoder, which may be traced; None for those that are trained or
    found on disk before the trials."""
    encodes_labels: ClassVar[bool] = True
    ranges: ClassVar = {"contrast_weight": NOT_NEGATIVE}

    @property
    def swept(self) -> str | None:
        """The weight of the entropy, unless the autoencoder is there already."""
        return "entropy_weight" if self.autoencoder is None else None

    def check(self) -> None:
        """Checks what depends on whether there is an autoencoder, and all seeds."""
        require(bool(self.seeds), "seeds", self.seeds, "not empty")
        require_all("seeds", self.seeds, lambda seed: seed >= 0, ">= 0")
        epochs = self.num_epochs
        require(epochs is None or epochs >= 1, "num_epochs", epochs, ">= 1")
        if self.autoencoder is None:
            check_number("entropy_weight", self.entropy_weight, low=0.0)
            return
        shape = self.autoencoder.codebook.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                f"autoencoder: its codebook has shape {shape}, must be (C, C)"
            )

    def encode_labels(self, labels: Float[Array, "batch classes"]):
        """The codes of one-hot labels."""
        codebook = self._trained().codebook
        if labels.shape[1] != len(codebook):
            raise ValueError(
                f"autoencoder: made for {len(codebook)} classes, the protocol has "
                f"{labels.shape[1]}"
            )
        return jnp.matmul(labels, codebook, precision="highest")

    def decode_logits(self, logits: Float[Array, "batch classes"]):
        """The decoder's logits for what the model predicts."""
        return network(self._trained().decoder, jax.nn.softmax(logits))

    def at(self, strength, shapes, prepared=()):
        """The defense with the autoencoder that was prepared for a weight."""
        defense = super().at(strength, shapes)
        if not prepared:
            return defense
        return dataclasses.replace(defense, autoencoder=prepared)

    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains the autoencoders, or finds them on disk."""
        if self.autoencoder is not None:
            return ()
        trained = []
        options = ("loss", "contrast_weight", "num_epochs")
        settings = {name: getattr(self, name) for name in options}
        for strength, seed in itertools.product(self.strengths, self.seeds):
            epochs = autoencoder_epochs(num_classes, strength, seed=seed, **settings)
            name = f"autoencoder λ2={strength:g}"
            found = yield from relabel(
                epochs, lambda done, name=name: f"{name}: epoch {done[0]} of {done[1]}"
            )
            trained.append(found)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trained)

    def choice(self, strength, trial):
        """Strength after strength, in each seed after seed."""
        number = self.strengths.index(strength)
        return number * len(self.seeds) + trial % len(self.seeds)

    def _trained(self) -> Autoencoder:
        if self.autoencoder is None:
            raise ValueError(
                "autoencoder=None: must be trained before labels are encoded, by "
                "`prepare` or as `cae(load_autoencoder(...))`"
            )
        return self.autoencoder


def cae(autoencoder: Autoencoder) -> CAE:
    """`CAE` with an autoencoder, such as from `load_autoencoder`."""
    return CAE(autoencoder=autoencoder)

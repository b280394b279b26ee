"""Real encryption under a protocol, as plain data: how parties encrypt what they send.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. The same experiment
without it simulates the encrypted protocol; its views are the same to fixed-point
rounding, so every attack, goal and report works on both.
"""

import dataclasses
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from vfljax import models
from vfljax._checks import check_choice, require

BackendName = Literal["bfv", "plain_int"]
LayoutName = Literal["row", "compact"]
LossMode = Literal["exact", "taylor"]
PresetName = Literal["default", "flood", "small"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encryption:
    """How what crosses between the parties is encrypted."""

    mode: LossMode = "exact"
    """Loss under encryption: exact is cross-entropy by a masked decryption of the
    summed logits, taylor a quadratic surrogate on ciphertexts alone."""
    layout: LayoutName = "row"
    """What a ciphertext holds: row is one sample, compact as many samples as fit."""
    backend: BackendName = "bfv"
    """Scheme: bfv encrypts, plain_int computes with the same integers in the clear."""
    preset: PresetName = "default"
    """Sizes of the scheme; flood hides the noise of answers, small is for tests."""
    processes: bool = True
    """Whether every role has a process of its own; the results are the same."""

    def __post_init__(self):
        """Checks the choices."""
        check_choice("encryption.mode", self.mode, get_args(LossMode))
        check_choice("encryption.layout", self.layout, get_args(LayoutName))
        check_choice("encryption.backend", self.backend, get_args(BackendName))
        check_choice("encryption.preset", self.preset, get_args(PresetName))
        require(
            self.mode == "exact" or self.layout == "row",
            "encryption.layout",
            self.layout,
            "'row' where encryption.mode is 'taylor'",
        )

    def check(self, experiment: Any) -> None:
        """Raises a `ValueError` unless the experiment can run on ciphertexts.

        Args:
            experiment: An `Experiment` that holds this encryption.
        """
        training = experiment.training
        require(
            experiment.protocol.sums_logits,
            "protocol",
            experiment.protocol.name,
            "SumOfLogits under encryption, which has no top model",
        )
        require(
            experiment.model == models.MLP(hidden=()),
            "model",
            experiment.model,
            "MLP(hidden=()) under encryption, which trains one linear layer per party",
        )
        require(
            experiment.data.class_counts is None,
            "data.class_counts",
            experiment.data.class_counts,
            "None under encryption: all classes",
        )
        for label, attack in experiment.attacks.items():
            require(
                attack.sees.name != "sample_gradient",
                f"attacks.{label}",
                type(attack).__name__,
                "one that sees no message in plain text, as all are encrypted",
            )
        for label, defense in experiment.defenses.items():
            require(
                not defense.has_penalty,
                f"defenses.{label}",
                type(defense).__name__,
                "one that adds no penalty to the loss, as nobody has all embeddings",
            )
        sees_messages = any(not a.sees.is_final for a in experiment.attacks.values())
        require(
            training.steps == 0
            or not sees_messages
            or experiment.batch_sizes == (training.batch_size,),
            "batch_sizes",
            experiment.batch_sizes,
            f"(training.batch_size,) = ({training.batch_size},) under encryption, "
            "whose batches have one size",
        )

    def victims(
        self,
        experiment: Any,
        units: Sequence[Any],
        attacks: Sequence[Any],
        arrays: Any,
        folder: Path,
    ) -> Generator[str, None, Any]:
        """Trains a victim per unit on ciphertexts; see `ciphertexts.encrypted_victim`.

        Yields:
            How far it is, in words.

        Returns:
            A `Victim` stacked over the units, as the simulation's program returns it.
        """
        from vfljax.experiments import ciphertexts

        made: dict[Any, Any] = {}
        for unit in dict.fromkeys(units):
            made[unit] = yield from ciphertexts.encrypted_victim(
                self, experiment, unit, attacks, arrays, folder
            )
        return jax.tree.map(
            lambda *leaves: jnp.stack(leaves), *(made[unit] for unit in units)
        )

"""Real encryption under a protocol, as plain data: how parties encrypt what they send.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. The same experiment
without it simulates the encrypted protocol; its views are the same to fixed-point
rounding, so every attack, goal and report works on both.
"""

import dataclasses
from typing import Any, Literal, get_args

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
        for field in dataclasses.fields(self)[:-1]:
            allowed = get_args(field.type)
            check_choice(f"encryption.{field.name}", getattr(self, field.name), allowed)
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
        training, protocol = experiment.training, experiment.protocol
        one_layer = (
            "MLP(hidden=()) under encryption: a linear layer per party is trained"
        )
        model, counts = experiment.model, experiment.data.class_counts
        require(protocol.sums_logits, "protocol", protocol.name, "a sum of logits")
        require(model == models.MLP(hidden=()), "model", model, one_layer)
        require(counts is None, "data.class_counts", counts, "None under encryption")
        for label, attack in experiment.attacks.items():
            require(
                attack.sees.name != "sample_gradient",
                f"attacks.{label}",
                type(attack).__name__,
                "one that sees no message in plain text, as all are encrypted",
            )
        for label, defense in experiment.defenses.items():
            require(
                not defense.overrides("penalty"),
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
            f"({training.batch_size},), that of training, under encryption",
        )

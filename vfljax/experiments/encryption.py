"""Real encryption under a protocol, as plain data: how parties encrypt what they send.

Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. The same experiment
without it simulates the encrypted protocol; its views are the same to fixed-point
rounding, so every attack, goal and report works on both.
"""

import dataclasses
from typing import Any, ClassVar

from vfljax import models
from vfljax._checks import require
from vfljax.protocol.encrypted import EncryptionChoices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encryption(EncryptionChoices):
    """How what crosses between the parties is encrypted."""

    processes: bool = True
    """Whether every role has a process of its own; the results are the same."""
    prefix: ClassVar[str] = "encryption."

    def check(self, experiment: Any) -> None:
        """Raises a `ValueError` unless the experiment can run on ciphertexts.

        Args:
            experiment: An `Experiment` that holds this encryption.
        """
        training, protocol = experiment.training, experiment.protocol
        model, counts = experiment.model, experiment.data.class_counts
        allowed = "MLP(hidden=()) under encryption: a linear layer per party is trained"
        require(protocol.sums_logits, "protocol", protocol.name, "a sum of logits")
        require(model == models.MLP(hidden=()), "model", model, allowed)
        require(counts is None, "data.class_counts", counts, "None under encryption")
        allowed = "one that sees no message in plain text, as all are encrypted"
        for label, attack in experiment.attacks.items():
            named = f"attacks.{label}", type(attack).__name__
            require(attack.sees.name != "sample_gradient", *named, allowed)
        allowed = "one that adds no penalty to the loss, as nobody has all embeddings"
        for label, defense in experiment.defenses.items():
            named = f"defenses.{label}", type(defense).__name__
            require(not defense.overrides("penalty"), *named, allowed)
        sizes = experiment.batch_sizes
        allowed = (training.size(sizes[0]),)
        if training.steps and any(
            not attack.sees.is_final for attack in experiment.attacks.values()
        ):
            allowed_words = f"{allowed}, that of training, under encryption"
            require(sizes == allowed, "batch_sizes", sizes, allowed_words)

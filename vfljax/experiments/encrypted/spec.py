"""The typed experiment on real ciphertexts, checked when it is built."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from vfljax.experiments.attack_specs import GradientInversion, LinearRecovery
from vfljax.experiments.chain_spec import DefenseSpec
from vfljax.experiments.checks import require, require_all, require_choice
from vfljax.experiments.defense_specs import NoDefense
from vfljax.experiments.schema import Data
from vfljax.protocol.encrypted.agreement import LayoutName, Mode

EncryptedAttack = LinearRecovery | GradientInversion
BackendName = Literal["bfv", "plain_int"]
PresetName = Literal["default", "flood", "small"]

_DEFAULT_DATA, _NO_DEFENSE = Data(), NoDefense()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncryptedRun:
    """Everything that determines one training under encryption, and the attacks on it.

    Zou et al. (2022, https://arxiv.org/abs/2112.05409), Algorithm 1. One linear layer
    per party is trained, by plain gradient descent.
    """

    name: str
    """Short name; part of the default run folder."""
    title: str = ""
    """Heading of the summary."""
    data: Data = _DEFAULT_DATA
    """The label party must be the last one; there is no choice of classes."""
    hidden: tuple[int, ...] = ()
    """Widths of random hidden layers below the trained one, which are never trained;
    none: the trained layer is given the features."""
    iterations: int = 10
    """Iterations of training, >= 1."""
    batch_size: int = 128
    """Samples of an iteration, >= 1."""
    mode: Mode = "exact"
    """Cross-entropy by a masked decryption of the logits, or a quadratic surrogate on
    ciphertexts alone."""
    layout: LayoutName = "row"
    """One ciphertext per sample, or as many samples per ciphertext as fit."""
    backend: BackendName = "bfv"
    """Real encryption, or the same integers without any."""
    preset: PresetName = "default"
    """Sizes of the scheme; small is for tests."""
    learning_rate: float = 0.1
    """Of gradient descent, > 0."""
    defense: DefenseSpec = _NO_DEFENSE
    """What the label party does, at one strength."""
    attack_iterations: tuple[int, ...] = (0,)
    """Iterations whose view is attacked, in [0, iterations - 1]."""
    attacks: Mapping[str, EncryptedAttack] = dataclasses.field(
        default_factory=lambda: {"linear_recovery": LinearRecovery()}
    )
    """Attacks by label, each on the decrypted gradient and on the simulated one."""
    replaced_pairs: int = 0
    """Pairs of a marked sample and one of the target class in each batch whose rows the
    adversary swaps to plant a backdoor; 0: it keeps to the protocol."""
    amplification: int = 10
    """By which swapped rows are multiplied, >= 1."""
    target_class: int = 0
    """What marked samples are to be taken for."""
    seed: int = 0
    """Root of all keys but those of the encryption, which are never the same."""
    processes: bool = True
    """Whether every role has a process of its own; the results are the same."""

    def __post_init__(self):
        """Checks what can be checked without the data."""
        require(bool(self.name), "name", self.name, "not empty")
        parties = len(self.data.columns or ()) or self.data.num_parties
        require(
            self.data.label_party in (-1, parties - 1),
            "data.label_party",
            self.data.label_party,
            f"the last party, -1 or {parties - 1}, in an encrypted run",
        )
        require(
            self.data.class_counts is None,
            "data.class_counts",
            self.data.class_counts,
            "None in an encrypted run: all classes",
        )
        for width in self.hidden:
            require(width >= 1, "hidden", self.hidden, "widths >= 1")
        require(self.iterations >= 1, "iterations", self.iterations, ">= 1")
        require(self.batch_size >= 1, "batch_size", self.batch_size, ">= 1")
        require(
            self.learning_rate > 0, "learning_rate", self.learning_rate, "above zero"
        )
        require_choice("mode", self.mode, get_args(Mode))
        require_choice("layout", self.layout, get_args(LayoutName))
        require_choice("backend", self.backend, get_args(BackendName))
        require_choice("preset", self.preset, get_args(PresetName))
        require(
            self.mode == "exact" or self.layout == "row",
            "layout",
            self.layout,
            "'row' in mode 'taylor'",
        )
        require(
            0 <= 2 * self.replaced_pairs < self.batch_size,
            "replaced_pairs",
            self.replaced_pairs,
            f"in [0, {(self.batch_size - 1) // 2}], two samples each of a batch",
        )
        require(self.amplification >= 1, "amplification", self.amplification, ">= 1")
        require(self.target_class >= 0, "target_class", self.target_class, ">= 0")
        strengths = self.defense.strengths
        require(len(strengths) == 1, "defense.strengths", strengths, "one strength")
        require(bool(self.attacks), "attacks", self.attacks, "not empty")
        require_all(
            "attack_iterations",
            self.attack_iterations,
            lambda iteration: 0 <= iteration < self.iterations,
            f"in [0, iterations - 1 = {self.iterations - 1}]",
        )

    @property
    def adversary(self) -> int:
        """Position of the passive party that attacks, counted from the first."""
        return self.data.adversary % (
            len(self.data.columns or ()) or self.data.num_parties
        )

"""Defenses as plain data: what a config holds, and how a trial makes the defense.

Every spec has `strengths`, the swept numbers, and says what an adversary knows who
knows the protocol (`public`), since what a defense does is no secret.
"""

import dataclasses
import math
from collections.abc import Generator
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from vfljax import defenses, label_dp
from vfljax.defenses import Defense
from vfljax.experiments.base_spec import (
    BaseSpec,
    Public,
    Releases,
    Shapes,
    relabel,
)
from vfljax.experiments.checks import require, require_all, require_choice

_DP_DELTA = 1e-5
_PPDL_BOUND = 1e-3  # γ of the released code


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoDefense(BaseSpec):
    """The message is sent as it is."""

    strengths: ClassVar[tuple[None, ...]] = (None,)
    strength_name: ClassVar[str | None] = None

    def __post_init__(self):
        """There is nothing to check."""

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense."""
        return defenses.no_defense()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPGaussian(BaseSpec):
    """Clip each sample's message and add Gaussian noise (DP-G)."""

    strengths: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    """Standard deviations of the noise, >= 0, in units of dL/dH (which has 1/B)."""
    clip_norm: float = 0.2
    """2-norm to which messages are clipped; inf for no clipping."""
    reading: Literal["paper", "released"] = "paper"
    """Clip per sample (paper) or the whole batch by one factor (released code)."""
    covers_label_party: bool = False
    """Whether the label party's own model is trained on the noised message too."""
    strength_name: ClassVar[str] = "noise_std"
    mechanism: ClassVar[Literal["gaussian", "laplace"]] = "gaussian"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.dp_gaussian(
            strength,
            clip_norm=self.clip_norm,
            reading=self.reading,
            covers_label_party=self.covers_label_party,
        )

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """The noise's standard deviation."""
        return Public(noise_std=batch_size * strength)

    def budget(
        self, strength: Any, batch_size: int, num_classes: int, releases: Releases
    ) -> tuple[label_dp.LabelBudget, str] | None:
        """Of one message; over training only where the label party is covered."""
        if not self.covers_label_party:
            releases = Releases(number=1, batch_size=batch_size)
        smallest = min(batch_size, releases.batch_size)
        if self.reading == "released" and self.clip_norm < math.sqrt(2) / smallest:
            return _no_guarantee(self.clip_norm, smallest)

        def account(size):
            return label_dp.label_budget(
                self.mechanism,
                self._mechanism_scale(strength),
                batch_size=size,
                num_classes=num_classes,
                clip_norm=self.clip_norm,
                clip_reading=self.reading,
                num_releases=releases.number,
                delta=_DP_DELTA,
            )

        budget = account(batch_size)
        if releases.batch_size != batch_size:
            in_training = account(releases.batch_size).epsilon_training
            budget = budget._replace(epsilon_training=in_training)
        words = label_dp.describe(
            budget,
            batch_size=batch_size,
            clip_norm=self.clip_norm,
            num_releases=releases.number,
        )
        if releases.batch_size != batch_size:
            words += f" Batches of the training have {releases.batch_size} samples."
        if not self.covers_label_party:
            words += (
                " Over training nothing is guaranteed: the label party's own model is "
                "trained on the clean message."
            )
        return budget, words

    def _mechanism_scale(self, strength):
        return strength


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPLaplace(DPGaussian):
    """Clip each sample's message and add Laplace noise (DP-L)."""

    strengths: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1)
    """Standard deviations (paper) or Laplace scales (released), >= 0."""
    reading: Literal["paper", "released"] = "paper"
    """As for DP-Gaussian, and whether strengths are deviations or scales."""
    mechanism: ClassVar[Literal["gaussian", "laplace"]] = "laplace"

    @property
    def strength_name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the strengths are, by the reading."""
        return "noise_std" if self.reading == "paper" else "noise_scale"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.dp_laplace(
            strength,
            clip_norm=self.clip_norm,
            reading=self.reading,
            covers_label_party=self.covers_label_party,
        )

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """The noise's standard deviation."""
        std = strength if self.reading == "paper" else math.sqrt(2) * strength
        return Public(noise_std=batch_size * std)

    def _mechanism_scale(self, strength):
        return strength / math.sqrt(2) if self.reading == "paper" else strength


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsification(BaseSpec):
    """Send only the largest entries of the message (gradient sparsification)."""

    strengths: tuple[float, ...] = (0.1, 0.05, 0.01, 0.001)
    """Shares of the entries that are kept, in (0, 1]."""
    residual: Literal["by_sample", "by_row", "none"] = "by_sample"
    """Where the dropped part is added later: to the same sample (paper), to the same
    row of the next batch (released code), or nowhere."""
    strength_name: ClassVar[str] = "keep_fraction"
    drops_entries: ClassVar[bool] = True

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        rows = {"by_sample": shapes.num_samples, "by_row": shapes.batch_size}
        return defenses.sparsification(
            strength,
            residual=self.residual,
            memory_shape=(rows[self.residual], shapes.num_classes)
            if self.residual in rows
            else None,
        )

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """The share that is kept."""
        return Public(keep_fraction=strength)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientCompression(BaseSpec):
    """Send only the k largest entries of the message (gradient compression)."""

    strengths: tuple[float, ...] = (0.75, 0.5, 0.25, 0.1)
    """Shares of the entries that are kept, in (0, 1]."""
    reading: Literal["paper", "released"] = "paper"
    """Keep ties with the k-th largest (paper), or neither it nor them (released)."""
    strength_name: ClassVar[str] = "keep_fraction"
    drops_entries: ClassVar[bool] = True

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.gradient_compression(strength, reading=self.reading)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """The share that is kept."""
        return Public(keep_fraction=strength)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPDL(BaseSpec):
    """Send a few entries, selected and noised by the sparse-vector technique (PPDL)."""

    strengths: tuple[float, ...] = (0.75, 0.5, 0.25, 0.1)
    """Shares of the entries that are to be released, in (0, 1]."""
    exhausted: Literal["raw", "zero"] = "raw"
    """What becomes of the others when candidates run out: sent as they are (released
    code), or zeroed (sound)."""
    strength_name: ClassVar[str] = "release_fraction"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.ppdl(strength, exhausted=self.exhausted, bound=_PPDL_BOUND)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """What is replaced is ±γ, which is seen, and off by about what entries are."""
        return Public(noise_std=_message_std(num_classes), replaced_by=_PPDL_BOUND)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteSGD(BaseSpec):
    """Round the message to a few levels (DiscreteSGD)."""

    strengths: tuple[int, ...] = (24, 18, 12, 6)
    """Numbers of bins, >= 1."""
    reading: Literal["paper", "released"] = "paper"
    """Levels within two deviations (paper) or multiples of a fixed step (released)."""
    bound: float = 3e-4
    """Half the interval of the released reading, > 0."""
    strength_name: ClassVar[str] = "bins"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.discrete_sgd(strength, reading=self.reading, bound=self.bound)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """Rounding errors are uniform within an interval."""
        half_range = 2.0 * _message_std(num_classes)
        if self.reading == "released":
            half_range = batch_size * self.bound
        return Public(noise_std=2.0 * half_range / strength / math.sqrt(12.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Marvell(BaseSpec):
    """Noise that makes two classes' messages as alike as its power can (MARVELL)."""

    strengths: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Power of the noise s >= 0, in units of the squared distance of class means."""
    strength_name: ClassVar[str] = "power"
    only_classes: ClassVar[int | None] = 2

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.marvell(strength, zero_sum=shapes.sums_logits)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """Of an untrained model, whose class means are √2/B apart."""
        return Public(noise_std=jnp.sqrt(2.0 * strength))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxNorm(BaseSpec):
    """Noise along each sample's message that makes all as long as the longest."""

    strengths: tuple[float, ...] = (1.0,)
    """Shares of the published noise, >= 0."""
    strength_name: ClassVar[str] = "share"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.max_norm(strength)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """In the mean over entries: what rows are short of the longest one.

        A row g_i gets noise of mean squared length max_j ‖g_j‖² − ‖g_i‖². In B·dL/dH
        some row is nearly √2 long, and of an untrained model all are about 1 − 1/C.
        """
        variance = (2.0 - (1.0 - 1.0 / num_classes)) / num_classes
        return Public(noise_std=strength * math.sqrt(variance))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Isotropic(BaseSpec):
    """Gaussian noise as long as the longest message, times a ratio."""

    strengths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Length of the noise in units of the longest row, >= 0."""
    strength_name: ClassVar[str] = "ratio"

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense at one, possibly traced, strength."""
        return defenses.isotropic(strength)

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """No row of B·dL/dH is longer than √2, and in a batch some are nearly."""
        return Public(noise_std=strength * math.sqrt(2.0 / num_classes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CAE(BaseSpec):
    """Train on confused labels (confusional autoencoder, CAE)."""

    strengths: tuple[float, ...] = (0.0, 0.1, 0.5, 1.0)
    """Weights λ2 >= 0 of the entropy of the soft labels."""
    loss: Literal["released", "printed"] = "released"
    """The published code's loss, or the paper's with its floor."""
    num_epochs: int | None = 10
    """Epochs of the autoencoder's training; None for the released number, 50 for ten
    classes, which confuses more and costs the main task more."""
    seeds: tuple[int, ...] = (0,)
    """Of the autoencoder's training; trials take turns."""
    strength_name: ClassVar[str] = "entropy_weight"

    def __post_init__(self):
        """Checks the ranges."""
        require(bool(self.strengths), "strengths", self.strengths, "not empty")
        require_all(
            "strengths", self.strengths, lambda s: 0 <= s < math.inf, ">= 0 and finite"
        )
        require_choice("loss", self.loss, ("released", "printed"))
        require(bool(self.seeds), "seeds", self.seeds, "not empty")
        require_all("seeds", self.seeds, lambda seed: seed >= 0, ">= 0")
        epochs = self.num_epochs
        require(epochs is None or epochs >= 1, "num_epochs", epochs, ">= 1")

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense with a trained autoencoder."""
        return defenses.cae(trained)

    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains the autoencoders, or finds them on disk."""
        trained = []
        for strength in self.strengths:
            for seed in self.seeds:
                epochs = defenses.autoencoder_epochs(
                    num_classes,
                    strength,
                    seed=seed,
                    loss=self.loss,
                    num_epochs=self.num_epochs,
                )
                name = f"autoencoder λ2={strength:g}"
                found = yield from relabel(
                    epochs,
                    lambda done, name=name: f"{name}: epoch {done[0]} of {done[1]}",
                )
                trained.append(found)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trained)

    def facts(self) -> tuple[bool, bool]:
        """Targets still sum to one, so rows keep their zero sum."""
        return True, False

    def place(self, strength: Any, trial: int) -> int:
        """Strength after strength, in each seed after seed."""
        number = self.strengths.index(strength)
        return number * len(self.seeds) + trial % len(self.seeds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCAE(CAE):
    """Train on confused labels and round the message (CAE, then DiscreteSGD)."""

    bins: int = 12
    """Of DiscreteSGD."""
    reading: Literal["paper", "released"] = "paper"
    """As in DiscreteSGD."""
    bound: float = 3e-4
    """As in DiscreteSGD."""

    def __post_init__(self):
        """Checks the ranges."""
        super().__post_init__()
        self._rounding()

    def make(self, strength: Any, shapes: Shapes, trained: Any = ()) -> Defense:
        """Returns the defense with a trained autoencoder."""
        rounding = self._rounding().make(self.bins, shapes)
        return defenses.chain(defenses.cae(trained), rounding)

    def facts(self) -> tuple[bool, bool]:
        """As in DiscreteSGD."""
        return self._rounding().facts()

    def public(self, strength: Any, batch_size: int, num_classes: int) -> Public:
        """As in DiscreteSGD."""
        return self._rounding().public(self.bins, batch_size, num_classes)

    def _rounding(self):
        return DiscreteSGD(
            strengths=(self.bins,), reading=self.reading, bound=self.bound
        )


SingleDefense = (
    NoDefense
    | DPGaussian
    | DPLaplace
    | Sparsification
    | GradientCompression
    | PPDL
    | DiscreteSGD
    | Marvell
    | MaxNorm
    | Isotropic
    | CAE
    | DCAE
)


def _no_guarantee(clip_norm, batch_size):
    """The account of noise on a batch that is divided by one number."""
    words = (
        f"No guarantee: the clip at {clip_norm:g} acts on rows as long as √2/B = "
        f"{math.sqrt(2) / batch_size:.2g}, by one factor for the whole batch, so that "
        "one label changes the scale of all rows."
    )
    nothing = label_dp.LabelBudget(
        epsilon=math.inf,
        delta=_DP_DELTA,
        epsilon_training=math.inf,
        allowed_accuracy=1.0,
        bound_from_epsilon=1.0,
        clip_acts=True,
    )
    return nothing, words


def _message_std(num_classes):
    """Of the entries of B·dL/dH of an untrained model: a label in C even classes."""
    return math.sqrt((1.0 - 1.0 / num_classes) / num_classes)

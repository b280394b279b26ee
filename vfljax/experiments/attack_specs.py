"""Attacks as plain data: what a config holds, and how a trial runs it.

Every spec says what it sees (`view`), what it uses besides the view and the task
(`knowledge`), and whether it is adaptive (`is_adaptive`): whether it knows the defense,
that is whether it reads messages otherwise because one is there. To know labels is not
to know the defense. `DirectionScoring` uses some as published, on undefended messages,
and is naive; `ClusterMatching` supposes that a defense has changed what a message of a
class looks like, uses no model of it, and is adaptive. `depends_on` names the facts
about a defense that change its program; defenses alike in them share it.
"""

import dataclasses
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vfljax import attacks
from vfljax.experiments.checks import require, require_choice

MessageView = Literal["sample_gradient", "batch_gradient"]
ViewName = Literal["sample_gradient", "batch_gradient", "trained_model", "message_rows"]


class Auxiliary(NamedTuple):
    """What an adversary may know besides its view; each attack states what it uses.

    Attributes:
        known_labels: Labels of a few samples, −1 for the others.
        codebook: Soft label of each class; the identity without a label encoder.
        noise_std: Standard deviation of the perturbation in units of 1/B.
        keep_fraction: Share of the message's entries that was sent.
        replaced_by: Absolute value of entries that were replaced, in units of dL/dH.
        earlier: For attacks that combine all observations up to this one: recovered
            messages −B·u and the adversary's own softmax(H^p) of each.
        keeps_zero_sum: Whether the defense keeps rows at zero sum.
        drops_entries: Whether it drops entries.
    """

    known_labels: Int[Array, " batch"]
    codebook: Float[Array, "classes classes"]
    noise_std: Float[Array, ""]
    keep_fraction: Float[Array, ""]
    replaced_by: Float[Array, ""]
    earlier: tuple[tuple[Float[Array, "batch classes"], ...], ...]
    keeps_zero_sum: bool
    drops_entries: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectInference:
    """Read labels off per-sample gradients (plaintext protocol)."""

    view: ClassVar[ViewName] = "sample_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    knowledge: ClassVar[str | None] = None
    named_per_class: ClassVar[int] = 0

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.direct_inference(view)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EntryFiltering:
    """Read labels off the entries that a defense left as they were (plaintext)."""

    view: ClassVar[ViewName] = "sample_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = True
    knowledge: ClassVar[str | None] = "what the defense puts in place of entries"
    named_per_class: ClassVar[int] = 0

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.entry_filtering(view, auxiliary.replaced_by)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearRecovery:
    """Solve the linear system behind a batch gradient (encrypted protocol)."""

    solver: Literal["auto", "cg", "exact"] = "auto"
    """Conjugate gradients, float64 Cholesky, or the latter where it fits."""
    iterations: int = 1000
    """Of conjugate gradients."""
    tolerance: float = 1e-6
    """Relative residual at which conjugate gradients freeze."""
    layers: tuple[str, ...] | None = None
    """Layers whose gradient is used; None for all."""
    zero_sum: bool | None = None
    """Look for rows that sum to zero; None: if the defense in use keeps them so."""
    view: ClassVar[ViewName] = "batch_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ("keeps_zero_sum",)
    is_adaptive: ClassVar[bool] = False
    knowledge: ClassVar[str | None] = None
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the ranges."""
        _check_solver(self)
        require(0 <= self.tolerance < 1, "tolerance", self.tolerance, "in [0, 1)")

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        zero_sum = auxiliary.keeps_zero_sum if self.zero_sum is None else self.zero_sum
        return attacks.linear_recovery(
            view,
            layers=self.layers,
            solver=self.solver,
            iterations=self.iterations,
            tolerance=self.tolerance,
            zero_sum=zero_sum,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientInversion:
    """Match the batch gradient by gradient descent (encrypted protocol)."""

    steps: int = 10_000
    """Adam steps."""
    learning_rate: float = 0.05
    """Of Adam, > 0."""
    layers: tuple[str, ...] | None = None
    """Layers whose gradient is matched; None for all."""
    view: ClassVar[ViewName] = "batch_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    knowledge: ClassVar[str | None] = None
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the ranges."""
        require(self.steps >= 1, "steps", self.steps, ">= 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0")

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.gradient_inversion(
            key,
            view,
            steps=self.steps,
            learning_rate=self.learning_rate,
            layers=self.layers,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnPrediction:
    """Read labels off the adversary's own bottom model, without any gradient."""

    view: MessageView = "batch_gradient"
    """Which protocol; it makes no difference to this attack."""
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    knowledge: ClassVar[str | None] = None
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the view."""
        require_choice("view", self.view, get_args(MessageView))

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.own_prediction(view)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoiseAwareRecovery:
    """Linear recovery that knows the noise scale, the bins or the share kept."""

    reweightings: int = 5
    """Repetitions for sparse messages; none where the defense drops no entries."""
    solver: Literal["auto", "cg", "exact"] = "auto"
    """As in linear recovery."""
    iterations: int = 1000
    """Of conjugate gradients, each time."""
    view: ClassVar[ViewName] = "batch_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ("drops_entries",)
    is_adaptive: ClassVar[bool] = True
    knowledge: ClassVar[str | None] = "kind and strength of the defense"
    named_per_class: ClassVar[int] = 0

    def __post_init__(self):
        """Checks the ranges."""
        _check_solver(self)
        require(self.reweightings >= 0, "reweightings", self.reweightings, ">= 0")

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.noise_aware_recovery(
            view,
            noise_std=auxiliary.noise_std,
            keep_fraction=auxiliary.keep_fraction,
            reweightings=self.reweightings if auxiliary.drops_entries else 0,
            solver=self.solver,
            iterations=self.iterations,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DecodesMessages:
    """What attacks have in common that recover messages and read them their own way."""

    view: MessageView = "batch_gradient"
    """batch_gradient recovers messages first; sample_gradient has them."""
    solver: Literal["auto", "cg", "exact"] = "auto"
    """As in linear recovery."""
    iterations: int = 1000
    """Of conjugate gradients."""
    depends_on: ClassVar[tuple[str, ...]] = ("keeps_zero_sum",)
    is_adaptive: ClassVar[bool] = True
    """What it recovers is no clean message to it: noisy, or that of encoded labels."""

    def __post_init__(self):
        """Checks the ranges."""
        require_choice("view", self.view, get_args(MessageView))
        _check_solver(self)

    def recover(self, view, auxiliary: Auxiliary) -> Float[Array, "batch classes"]:
        """Messages −B·u, from a batch gradient or as received."""
        if self.view == "sample_gradient":
            return attacks.direct_inference(view).scores
        return attacks.linear_recovery(
            view,
            solver=self.solver,
            iterations=self.iterations,
            zero_sum=auxiliary.keeps_zero_sum,
        ).scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class MessageSmoothing(_DecodesMessages):
    """Take known noise out of recovered messages: alike samples, alike labels."""

    knowledge: ClassVar[str | None] = "the noise scale"
    named_per_class: ClassVar[int] = 0

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        recovered = self.recover(view, auxiliary)
        return attacks.message_smoothing(view, recovered, auxiliary.noise_std)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterMatching(_DecodesMessages):
    """Cluster the recovered messages, name the clusters by a few known samples."""

    named_per_class: int = 1
    """Known samples per class, at random in the batch; not counted as recovered. 0
    names nothing: only the rates up to a renaming of the classes mean something."""
    restarts: int = 8
    """Starts of k-means."""

    def __post_init__(self):
        """Checks the ranges."""
        super().__post_init__()
        require(self.restarts >= 1, "restarts", self.restarts, ">= 1")
        named = self.named_per_class
        require(named >= 0, "named_per_class", named, ">= 0")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        if self.named_per_class == 0:
            return "that labels are encoded"
        return _named(self.named_per_class)

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.cluster_matching(
            key,
            view,
            self.recover(view, auxiliary),
            auxiliary.known_labels,
            restarts=self.restarts,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownEncoder(_DecodesMessages):
    """Decode recovered messages with the label encoder in hand."""

    knowledge: ClassVar[str | None] = "the label encoder, the noise scale"
    named_per_class: ClassVar[int] = 0

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        recovered = self.recover(view, auxiliary)
        return attacks.known_encoder(
            view, recovered, auxiliary.codebook, auxiliary.noise_std
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormScoring:
    """Tell two classes apart by the length of their messages (Li et al.)."""

    signed: bool = False
    """For messages of one number: its sign."""
    view: ClassVar[ViewName] = "sample_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    knowledge: ClassVar[str | None] = None
    named_per_class: ClassVar[int] = 0

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        return attacks.norm_scoring(view, signed=self.signed)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DirectionScoring:
    """Tell two classes apart by the direction of their messages (Li et al.)."""

    named_per_class: int = 1
    """Known samples per class; those of class 1 are used, none of them counts."""
    product: Literal["cosine", "inner"] = "cosine"
    """Cosine with a known positive's message, or the inner product."""
    view: ClassVar[ViewName] = "sample_gradient"
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = False
    """Labels are all it knows: it takes messages for undefended ones."""

    def __post_init__(self):
        """Checks the ranges."""
        named = self.named_per_class
        require(named >= 1, "named_per_class", named, ">= 1")
        require_choice("product", self.product, ("cosine", "inner"))

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        return _named(self.named_per_class)

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks one view."""
        known = auxiliary.known_labels == 1
        return attacks.direction_scoring(view, known, product=self.product)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepeatedObservation:
    """Combine what all training steps so far gave away about the same samples."""

    of: str = "linear_recovery"
    """Label of the attack before this one whose recovered messages are combined."""
    named_per_class: int = 0
    """Above 0, the combined messages are clustered and named as in ClusterMatching."""
    depends_on: ClassVar[tuple[str, ...]] = ()
    is_adaptive: ClassVar[bool] = True

    def __post_init__(self):
        """Checks the range."""
        named = self.named_per_class
        require(named >= 0, "named_per_class", named, ">= 0")

    @property
    def knowledge(self) -> str | None:
        """What the attack uses besides its view."""
        named = _named(self.named_per_class)
        return "earlier messages about the same samples, the noise scale" + (
            f", {named}" if self.named_per_class else ""
        )

    def run(self, key, view, auxiliary: Auxiliary) -> attacks.Inference:
        """Attacks all observations up to this one."""
        recovered, own = (
            jnp.stack(part) for part in zip(*auxiliary.earlier, strict=True)
        )
        combined = attacks.repeated_observation(recovered, auxiliary.noise_std)
        if self.named_per_class == 0:
            return combined
        rows = -combined.scores - jnp.einsum("t,tbc->bc", combined.info.weights, own)
        return attacks.cluster_rows(key, rows, auxiliary.known_labels)


AttackSpec = (
    DirectInference
    | EntryFiltering
    | LinearRecovery
    | GradientInversion
    | OwnPrediction
    | NoiseAwareRecovery
    | MessageSmoothing
    | ClusterMatching
    | KnownEncoder
    | NormScoring
    | DirectionScoring
    | RepeatedObservation
)

RecoversMessages = (
    DirectInference
    | EntryFiltering
    | LinearRecovery
    | GradientInversion
    | NoiseAwareRecovery
    | MessageSmoothing
)
"""Attacks whose scores are recovered messages, which may be combined."""


RecoversClasses = RecoversMessages | ClusterMatching | KnownEncoder
"""Attacks that infer a class per sample and can say what messages they saw."""

ScoresMessages = NormScoring | DirectionScoring
"""Attacks on messages of any protocol; all others on messages need a sum of logits."""


def _check_solver(spec: Any):
    require_choice("solver", spec.solver, ("auto", "cg", "exact"))
    require(spec.iterations >= 1, "iterations", spec.iterations, ">= 1")


def _named(number):
    return f"{number} known label{'' if number == 1 else 's'} per class"

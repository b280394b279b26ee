"""The defense record: everything through which a defended party can act."""

import dataclasses
import math
from collections.abc import Callable, Generator
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax import label_dp
from vfljax._checks import require, require_all
from vfljax.known import Known

Number = int | float | Float[Array, ""]
"""A hyperparameter that may be swept, hence traced."""


class Shapes(NamedTuple):
    """Shapes a defense may need.

    Attributes:
        num_samples: Of the training set.
        batch_size: Of the messages that are perturbed in training.
        embed: Width of a message; C where logits are summed.
        sums_logits: Whether the protocol is that without a top model, whose messages
            have rows that sum to zero.
    """

    num_samples: int
    batch_size: int
    embed: int
    sums_logits: bool = True


class Releases(NamedTuple):
    """The messages about one sample in a whole training.

    Attributes:
        number: At most.
        batch_size: Of theirs, which may differ from that of the message attacked.
    """

    number: int
    batch_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defense:
    """A label party's defense: options are fields, pure functions are methods.

    A subclass is a frozen, keyword-only dataclass that overrides what it changes; by
    default every function is the identity. One field may hold a tuple of numbers, a
    swept axis: each of its values is run, and `at` gives the defense at one of them.

    Attributes:
        covers_label_party: Whether the label party's own bottom model is trained on
            the perturbed gradient too, rather than on the clean one.
        keeps_zero_sum: Whether rows that sum to zero still do when sent. Public
            knowledge about the protocol, which an attack may use.
        needs_zero_sum: Whether `perturb` relies on rows that sum to zero.
        drops_entries: Whether `perturb` sends zeros in place of entries.
        encodes_labels: Whether the model is trained on other targets than the labels.
        only_classes: The number of classes that it is for; None for any.
        remembers_rows: Whether it remembers rows of a batch rather than samples.
    """

    covers_label_party: ClassVar[Any] = False
    keeps_zero_sum: ClassVar[bool] = True
    needs_zero_sum: ClassVar[bool] = False
    drops_entries: ClassVar[bool] = False
    encodes_labels: ClassVar[bool] = False
    only_classes: ClassVar[int | None] = None
    remembers_rows: ClassVar[bool] = False

    # ---- the pure functions ---------------------------------------------------------
    def init(self) -> PyTree[Any]:
        """What the defense remembers between steps, before the first."""
        return ()

    def encode_labels(
        self, labels: Float[Array, "batch classes"]
    ) -> Float[Array, "batch classes"]:
        """One-hot labels to the targets that the model is trained on."""
        return labels

    def prepare_targets(
        self, key: Key[Array, ""], labels: Float[Array, "samples classes"]
    ) -> Float[Array, "samples classes"]:
        """Targets of all training samples, drawn once per training.

        A defense that overrides it is trained on these, row by row of the training
        set, instead of on `encode_labels` of each batch.
        """
        return self.encode_labels(labels)

    def perturb(
        self,
        key: Key[Array, ""],
        state: PyTree[Any],
        gradients: Float[Array, "batch embed"],
        labels: Int[Array, " batch"],
        sample_ids: Int[Array, " batch"],
    ) -> tuple[Float[Array, "batch embed"], PyTree[Any]]:
        """The message dL/dH as it is sent, and the state afterwards.

        `labels` and `sample_ids`, rows of the training set, are there for defenses
        that need them; `key` is used at most once.
        """
        return gradients, state

    def penalty(
        self,
        embeddings: tuple[Float[Array, "batch _"], ...],
        targets: Float[Array, "batch classes"],
    ) -> Float[Array, ""]:
        """What is added to the label party's loss; a function of what it receives."""
        return jnp.zeros(())

    def decode_logits(
        self, logits: Float[Array, "batch classes"]
    ) -> Float[Array, "batch classes"]:
        """The model's logits to the logits that predict the class."""
        return logits

    # ---- what is no secret, and what it guarantees ----------------------------------
    def public(self, batch_size: int, num_classes: int) -> Known:
        """What is known of a message of `batch_size` samples; at one strength."""
        return Known(noise_std=0.0, keep_fraction=1.0, replaced_by=0.0)

    def budget(
        self, batch_size: int, num_classes: int, releases: Releases
    ) -> tuple[label_dp.LabelBudget, str] | None:
        """The label-DP budget of a message and of all, in words; None without one."""
        return None

    # ---- the swept axis -------------------------------------------------------------
    @property
    def swept(self) -> str | None:
        """The field that is the strength: the one with a tuple of numbers."""
        names = [
            field.name
            for field in dataclasses.fields(self)
            if _is_axis(getattr(self, field.name))
        ]
        require(
            len(names) <= 1,
            type(self).__name__,
            tuple(names),
            "a defense with one swept field at most; give the others one value each",
        )
        return names[0] if names else None

    @property
    def strength_name(self) -> str | None:
        """What the strength is called in rows and figures; None without one."""
        return self.swept

    @property
    def strengths(self) -> tuple[int | float | None, ...]:
        """The values of the swept field; `(None,)` without one."""
        if self.swept is None:
            return (None,)
        value = getattr(self, self.swept)
        return value if _is_axis(value) else (value,)

    def at(
        self, strength: Number | None, shapes: Shapes, prepared: Any = ()
    ) -> "Defense":
        """The defense at one, possibly traced, strength, for these shapes.

        Args:
            strength: A value of the swept field; None without one.
            shapes: What it runs on.
            prepared: The part of what `prepare` returned that `choice` named.
        """
        if self.swept is None:
            return self
        return dataclasses.replace(self, **{self.swept: strength})

    # ---- what is trained beforehand, on the host ------------------------------------
    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains what the defense needs, yielding what it is doing.

        Returns a tree with a leading axis that `choice` counts, or an empty one.
        """
        yield from ()
        return ()

    def choice(self, strength: Number | None, trial: int) -> int:
        """Which of the prepared ones a trial uses."""
        return 0

    # ---- checks ---------------------------------------------------------------------
    def __post_init__(self):
        """Checks a swept axis value by value, by building the defense at each."""
        if not any(
            _is_axis(getattr(self, field.name)) for field in dataclasses.fields(self)
        ):
            return
        name, strengths = f"{self.swept}", self.strengths
        require_all(name, strengths, lambda value: math.isfinite(value), "finite")
        for strength in strengths:
            dataclasses.replace(self, **{name: strength})

    @property
    def prepares_targets(self) -> bool:
        """Whether `prepare_targets` is overridden."""
        return type(self).prepare_targets is not Defense.prepare_targets

    @property
    def has_penalty(self) -> bool:
        """Whether `penalty` is overridden."""
        return type(self).penalty is not Defense.penalty

    @property
    def perturbs(self) -> bool:
        """Whether `perturb` is overridden."""
        return type(self).perturb is not Defense.perturb


def check_defense(name: str, value: Any) -> None:
    """Raises a `ValueError` that says what is missing unless it is a defense.

    Args:
        name: Of the field of a config.
        value: What stands there.
    """
    if isinstance(value, Defense):
        return
    if isinstance(value, type) and issubclass(value, Defense):
        what = f"the class {value.__name__}, must be an instance: {value.__name__}()"
    elif callable(value) and not hasattr(value, "sees"):
        what = (
            f"the function {getattr(value, '__name__', value)!r}, must be a record: a "
            "frozen dataclass derived from vfljax.defenses.Defense with it as `perturb`"
        )
    elif hasattr(value, "sees"):
        what = f"an attack, {type(value).__name__}; attacks stand in `attacks`"
    else:
        what = f"{value!r}, must be an instance of vfljax.defenses.Defense"
    raise ValueError(f"{name}: is {what}")


def _is_axis(value) -> bool:
    """Whether a field's value is a tuple of numbers."""
    return (
        isinstance(value, tuple)
        and bool(value)
        and all(isinstance(each, int | float) for each in value)
    )


def relabel(
    steps: Generator[Any, None, Any], words: Callable[[Any], Any]
) -> Generator[Any, None, Any]:
    """Yields `words(step)` for each step; returns what `steps` returns."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        yield words(step)


def count_entries(fraction: Number, total: int) -> Int[Array, ""]:
    """⌊fraction · total⌋, unharmed by the rounding of both to float32."""
    guard = 1.0 + 4.0 * jnp.finfo(jnp.float32).eps
    product = jnp.asarray(fraction, jnp.float32) * total * guard
    return jnp.minimum(jnp.floor(product).astype(jnp.int32), total)

"""The defense record: everything through which a defended party can act."""

import dataclasses
import math
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from vfljax._checks import check_class, check_fields, require, require_all
from vfljax.defenses.rows import Withheld, as_row
from vfljax.known import Known

Number = int | float | Float[Array, ""]
"""A hyperparameter that may be swept, hence traced."""

if TYPE_CHECKING:
    Swept = Any
else:
    Swept = Number | tuple[int | float, ...]
    """A hyperparameter, or a tuple of values for it, each of which is run."""

_OF_LABELS = ("encode_labels", "prepare_targets", "penalty", "decode_logits")
_OF_STEPS = ("perturb_logits", "perturb_gradient", "example_clip_norm")

UNCHANGED = Known(noise_std=0.0, keep_fraction=1.0, replaced_by=0.0)
"""What is known of a message that is sent as it is."""


class Shapes(NamedTuple):
    """Shapes a defense may need."""

    num_samples: int  # of the training set
    batch_size: int  # of the messages that are perturbed in training
    embed: int  # width of a message; C where logits are summed
    sums_logits: bool = True  # no top model: the rows of messages sum to zero
    tensors: tuple[int, ...] = ()  # entries of each tensor of an update, in their order
    participants: int = 1  # that take part in a round


def update_shapes(update: PyTree[Any], participants: int = 1) -> Shapes:
    """Shapes for a defense of updates like this one: all entries in one row.

    `participants` is how many take part in a round.
    """
    sizes = tuple(leaf.size for leaf in jax.tree.leaves(update))
    return Shapes(
        num_samples=1,
        batch_size=1,
        embed=sum(sizes),
        sums_logits=False,
        tensors=sizes,
        participants=participants,
    )


class Releases(NamedTuple):
    """The messages about one sample in a whole training."""

    number: int  # at most
    batch_size: int  # theirs, which may differ from that of the message attacked


class UpdateReleases(NamedTuple):
    """What an adversary sees of updates, in a whole training and in rounds attacked.

    In an attacked round the participants are always the same, and their batches may be
    drawn by label, which protects no record.

    Attributes:
        rounds: Of the training.
        attacked_rounds: Which are no part of it.
        participants: M, that take part in a round.
        share: M/N, of all participants, in (0, 1].
        seen: How many updates are in what is seen of a round, 1 to M.
        are_equal: Whether all participants' shares of an aggregate are equal.
        local_steps: K, of a round of the training.
        attacked_steps: K of an attacked round.
        batch_size: B of the training.
        attacked_batch_size: B of an attacked round; None if drawn by label.
        records: n, of the participant that has the fewest.
        has_statistics: Whether running statistics of the network are sent as well.
    """

    rounds: int
    attacked_rounds: int
    participants: int
    share: float
    seen: int
    are_equal: bool
    local_steps: int
    attacked_steps: int
    batch_size: int
    attacked_batch_size: int | None
    records: int
    has_statistics: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Defense:
    """What a defended party does: options are fields, pure functions are methods.

    In vertical learning that is the label party, and in horizontal learning each
    participant, whose update is perturbed instead of a message. A subclass is a frozen,
    keyword-only dataclass that overrides what it changes; by default every function is
    the identity. One field may hold a tuple of numbers, a swept axis: each of its
    values is run, and `at` gives the defense at one of them.
    The pure functions, `public` and `budget` are those of a defense at one strength.
    """

    covers_label_party: ClassVar[Any] = False
    """Whether the label party's own bottom model is trained on the perturbed gradient
    too, rather than on the clean one."""
    keeps_zero_sum: ClassVar[bool] = True
    """Whether rows that sum to zero still do when sent. Public knowledge about the
    protocol, which an attack may use."""
    needs_zero_sum: ClassVar[bool] = False
    """Whether `perturb` relies on rows that sum to zero."""
    drops_entries: ClassVar[bool] = False
    """Whether `perturb` sends zeros in place of entries."""
    encodes_labels: ClassVar[bool] = False
    """Whether the model is trained on other targets than the labels."""
    only_classes: ClassVar[int | None] = None
    """The number of classes that it is for; None for any."""
    remembers_rows: ClassVar[bool] = False
    """Whether it remembers rows of a batch rather than samples."""
    needs_rows: ClassVar[str | None] = None
    """What it needs of the rows of a batch, in words, so that it can't act on updates,
    which have none; None if it needs nothing of them."""
    ranges: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """By the name of a number field its range, as `check_fields` takes it."""

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

    # ---- the same of a participant of horizontal learning ----------------------------
    def init_update(self, update: PyTree[Any]) -> PyTree[Any]:
        """What a participant remembers between rounds, before the first.

        `update` is there for its shapes; those of the defense are from `at` with
        `update_shapes`.
        """
        return self.init()

    def perturb_update(
        self, key: Key[Array, ""], state: PyTree[Any], update: PyTree[Any]
    ) -> tuple[PyTree[Any], PyTree[Any]]:
        """An update as a participant sends it, and its state afterwards.

        By default what `perturb` makes of a message of one row, in which all entries of
        the update stand: a norm is that of the whole update, a share one of all its
        entries. `PerTensor` does the same tensor by tensor.

        Raises:
            ValueError: If the defense can't act on updates.
        """
        if not self.overrides("perturb"):
            return update, state
        check_for_updates(type(self).__name__, self)
        row, restore = as_row(update)
        labels: Any = Withheld(type(self).__name__)
        row, state = self.perturb(key, state, row, labels, jnp.zeros(1, jnp.int32))
        return restore(row), state

    def perturb_logits(
        self, key: Key[Array, ""], logits: Float[Array, "batch classes"]
    ) -> Float[Array, "batch classes"]:
        """The logits of which a participant's local loss is taken."""
        return logits

    def perturb_gradient(
        self, key: Key[Array, ""], gradient: PyTree[Any], batch_size: int
    ) -> PyTree[Any]:
        """The gradient that a participant takes in one local step."""
        return gradient

    @property
    def example_clip_norm(self) -> Number | None:
        """Norm to which gradients of single samples are clipped; None for no clip."""
        return None

    @property
    def acts_in_steps(self) -> bool:
        """Whether it acts within a participant's local steps."""
        return any(self.overrides(name) for name in _OF_STEPS)

    @property
    def unfit_for_updates(self) -> str | None:
        """Why it can't defend a participant's update, in words; None if it can."""
        of_labels = [name for name in _OF_LABELS if self.overrides(name)]
        if of_labels:
            return f"changes labels or the loss by {', '.join(of_labels)}"
        return self.needs_rows and f"needs {self.needs_rows}, and an update is one row"

    @property
    def unfit_for_messages(self) -> str | None:
        """Why it can't defend messages of vertical learning; None if it can."""
        is_of_updates = self.acts_in_steps or self.overrides("perturb_update")
        if is_of_updates and not self.overrides("perturb"):
            return "acts on updates of horizontal learning alone"
        return None

    # ---- what is no secret, and what it guarantees ----------------------------------
    def public(self, batch_size: int, num_classes: int) -> Known:
        """What is known of a message of `batch_size` samples; at one strength."""
        return UNCHANGED

    def budget(
        self, batch_size: int, num_classes: int, releases: Releases
    ) -> tuple[Any, str] | None:
        """The `label_dp.LabelBudget` of a message and of all, in words too, or None."""
        return None

    def update_budget(self, releases: UpdateReleases) -> Any:
        """The `update_dp.UpdateBudget` of all that is seen of updates, or None."""
        return None

    @property
    def has_training_budget(self) -> bool:
        """Whether a budget over training holds: no clean message is learned from."""
        return self.covers_label_party

    # ---- the swept axis -------------------------------------------------------------
    @property
    def swept(self) -> str | None:
        """The field that is the strength: the one with a tuple of numbers.

        A subclass may name it, `swept: ClassVar[str] = "noise_std"`; then a single
        number there is one strength.
        """
        names = tuple(
            field.name
            for field in dataclasses.fields(self)
            if _is_axis(getattr(self, field.name))
        )
        require(
            len(names) <= 1,
            type(self).__name__,
            names,
            "a defense with one swept field at most; give the others one value each",
        )
        return names[0] if names else None

    @property
    def strength_name(self) -> str | None:
        """What the strength is called in rows and figures; None without one."""
        return self.swept

    @property
    def strengths(self) -> tuple[Any, ...]:
        """The values of the swept field; `(None,)` without one."""
        value = getattr(self, self.swept) if self.swept else None
        return value if isinstance(value, tuple) else (value,)

    @property
    def is_sweep(self) -> bool:
        """Whether there is a tuple of strengths, one of which `at` chooses."""
        return self.swept is not None and isinstance(getattr(self, self.swept), tuple)

    def at(
        self, strength: Number | None, shapes: Shapes, prepared: Any = ()
    ) -> "Defense":
        """The defense at one, possibly traced, strength (None without one).

        `prepared` is the part of what `prepare` returned that `choice` named.
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
    def check(self) -> None:
        """Raises a `ValueError` for what `ranges` and types of fields don't tell.

        Called when a record is built, at one strength; traced numbers must pass.
        """

    def __post_init__(self):
        """Checks the options, value by value of a swept axis."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_list = isinstance(value, list | np.ndarray)
            require(not is_list, field.name, value, "a number, or a tuple of numbers")
        name, strengths = f"{self.swept}", self.strengths
        numbers = tuple(each for each in strengths if isinstance(each, int | float))
        require_all(name, numbers, math.isfinite, "finite")
        if not self.is_sweep:
            check_fields(self, self.ranges)
            self.check()
            return
        require(bool(strengths), name, strengths, "not empty")
        for strength in strengths:
            dataclasses.replace(self, **{name: strength})

    # ---- which functions it has -----------------------------------------------------
    def overrides(self, name: str) -> bool:
        """Whether a function, by its name, is another than by default."""
        return getattr(type(self), name) is not getattr(Defense, name)


def check_defense(name: str, value: Any) -> None:
    """Raises a `ValueError`, with the field's name, unless a value is a defense."""
    if isinstance(value, Defense):
        check_class(name, value)
        return
    called = getattr(value, "__name__", value)
    if isinstance(value, type) and issubclass(value, Defense):
        what = f"the class {called}, must be an instance: {called}()"
    elif hasattr(value, "sees"):
        called = getattr(value, "__name__", type(value).__name__)
        what = f"an attack, {called}; attacks stand in `attacks`"
    elif callable(value):
        what = (
            f"the function {called!r}, must be a record: a frozen dataclass "
            "derived from vfljax.defenses.Defense with it as `perturb`"
        )
    else:
        what = f"{value!r}, must be an instance of vfljax.defenses.Defense"
    raise ValueError(f"{name}: is {what}")


def check_for_updates(name: str, defense: Defense) -> None:
    """Raises a `ValueError` for a defense that can't act on updates."""
    allowed = (
        "on updates of horizontal learning allowed are defenses that change one array "
        "of entries or act in local steps"
    )
    _refuse(name, defense, defense.unfit_for_updates, allowed)


def check_for_messages(name: str, defense: Defense) -> None:
    """Raises a `ValueError` for a defense that can't act on messages."""
    allowed = (
        "in vertical learning allowed are defenses that change messages, labels or the "
        "loss"
    )
    _refuse(name, defense, defense.unfit_for_messages, allowed)


def _refuse(name: str, defense: Defense, reason: str | None, allowed: str) -> None:
    """Raises a `ValueError` where there is a reason."""
    if reason is not None:
        raise ValueError(f"{name}: {type(defense).__name__} {reason}; {allowed}")


def _is_axis(value) -> bool:
    """Whether a field's value is a tuple of numbers."""
    is_tuple = isinstance(value, tuple) and bool(value)
    return is_tuple and all(isinstance(each, int | float) for each in value)


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
    """⌊fraction · total⌋, unharmed by the rounding of both to float32.

    A product less than one part in two million below a whole number counts as that
    number, so that 29 % of 100 is 29.
    """
    guard = 1.0 + 4.0 * jnp.finfo(jnp.float32).eps
    product = jnp.asarray(fraction, jnp.float32) * total * guard
    return jnp.minimum(jnp.floor(product).astype(jnp.int32), total)


def message_std(num_classes: int) -> float:
    """Of the entries of B·dL/dH of an untrained model: a label in C even classes."""
    return math.sqrt((1.0 - 1.0 / num_classes) / num_classes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoDefense(Defense):
    """The message is sent as it is."""

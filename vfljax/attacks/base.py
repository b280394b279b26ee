"""The attack record, and what an attack hands out."""

import dataclasses
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from vfljax._checks import check_class, check_fields, require
from vfljax.goals import LABELS, Goal
from vfljax.gradient_map import GradientMap, gradient_map
from vfljax.known import (
    KNOWN_FIELDS,
    NOTHING,
    STATIC_FIELDS,
    Known,
    WithheldError,
)
from vfljax.protocol import (
    HONEST,
    BatchGradientView,
    Interference,
    SampleGradientView,
    Scene,
)

GradientView = BatchGradientView | SampleGradientView
"""What a party sees of one training step, in either protocol."""

Number = int | float | Float[Array, ""]
"""A hyperparameter that may be swept, hence traced."""


class Inference(NamedTuple):
    """What the adversary believes.

    Attributes:
        labels: Class of each sample, in [0, C); −1 where the attack has no answer.
        scores: Higher means more likely; comparable within a row.
        finite: Whether all scores are finite. A diverged attack is a result.
        published_labels: The same run read as in the publication, where that readout
            differs from ours; else `None`.
        info: Diagnostics of the method.
    """

    labels: Int[Array, " batch"]
    scores: Float[Array, "batch classes"]
    finite: Bool[Array, ""]
    published_labels: Int[Array, " batch"] | None
    info: Any


class CountInference(NamedTuple):
    """What the adversary believes about how many samples of each class there are.

    Attributes:
        counts: Of each class, not negative; they sum to the number of labels, or are
            all zero where the attack has no answer.
        scores: Estimates of them before they were rounded.
        finite: Whether all estimates are finite.
        info: Diagnostics of the method.
    """

    counts: Int[Array, " classes"]
    scores: Float[Array, " classes"]
    finite: Bool[Array, ""]
    info: Any = ()


class RoundInference(NamedTuple):
    """What the adversary believes about each watched round.

    Attributes:
        scores: Higher means more likely that the round's batch has the property.
        counts: Estimated number of its samples that have it, not rounded; NaN from a
            method that does not count.
        finite: Whether all scores are finite.
        info: Diagnostics of the method.
    """

    scores: Float[Array, " rounds"]
    counts: Float[Array, " rounds"]
    finite: Bool[Array, ""]
    info: Any = ()


class MembershipInference(NamedTuple):
    """What the adversary believes about each record that it was asked about.

    Attributes:
        is_member: Whether the record was in the training data.
        finite: Always true of a rule without numbers.
        info: Diagnostics of the method.
    """

    is_member: Bool[Array, " records"]
    finite: Bool[Array, ""]
    info: Any = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attack:
    """A method of inference: options are fields, `__call__` is a pure function.

    A subclass is a frozen, keyword-only dataclass with `sees` and `__call__`. It is
    written for one trial; callers jit and map it. It never receives labels, other
    parties' features or the transcript.
    """

    sees: ClassVar[Any] = None
    """The class of the view that it is given, such as `BatchGradientView`."""
    threat_model: ClassVar[str | None] = None
    """What rows call what the attacker does and sees; None for the view's name."""
    adversary_optimizer: ClassVar[Any] = "benign"
    """What rows call the optimizer that the adversary trains with."""
    goal: ClassVar[Goal] = LABELS
    """What it infers, and how the answer is judged."""
    uses: ClassVar[tuple[str, ...]] = ()
    """Names of the fields of `Known` that it is given; all others are withheld."""
    is_adaptive: ClassVar[bool] = False
    """Whether it knows the defense: whether it reads what it sees otherwise because a
    defense is there. To know labels is not that."""
    knowledge: ClassVar[str | None] = None
    """What it uses besides its view, in words for its row; None if nothing."""
    named_per_class: ClassVar[Any] = 0
    """Samples of each class in the attacked batch whose labels it is given, if it uses
    `labels`."""
    known_per_class: ClassVar[Any] = None
    """Samples of each class in the training set whose labels it is given, if it uses
    `rows`; None for attacks on a batch."""
    family: ClassVar[Any] = None
    """A name for attacks that differ in the number of known labels alone."""
    needs_sum_of_logits: ClassVar[bool] = False
    """Whether messages must have an entry per class."""
    recovers_messages: ClassVar[bool] = False
    """Whether its scores are the messages -B·u that it found, which other attacks may
    build on."""
    needs_float64: ClassVar[bool] = False
    """Whether its program is compiled and called with 64-bit numbers enabled; what it
    is given stays as it is."""
    runs_on_host: ClassVar[Any] = False
    """Whether it is called outside of any program, once for each trial with arrays that
    are there, as one that calls another library must be."""
    traced: ClassVar[tuple[str, ...]] = ()
    """Names of number fields that don't change the program: attacks that differ in
    these alone share one."""
    builds_on: ClassVar[Any] = None
    """The attack whose answers at every step so far it is given as `Known.earlier`;
    None for attacks on one view."""
    reader: ClassVar[Any] = None
    """Of an attack that watches the training the `Reader` of each round, what it keeps
    of which stands in place of the view; None for attacks on one view."""
    ranges: ClassVar[dict[str, Mapping[str, Any]]] = {}
    """By the name of a number field its range, as `check_fields` takes it."""

    def __post_init__(self):
        """Checks words and ranges."""
        check_fields(self, self.ranges)

    def interferes(self, key: Key[Array, ""], scene: Scene) -> Interference:
        """How it departs from the protocol during training, from what the scene shows.

        The key is of everything random.
        """
        return HONEST

    def __call__(self, key, view, known: Known = NOTHING) -> Any:
        """Infers from one view of the class `sees` and the fields that `uses` names.

        The key is of everything random.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    @property
    def victim(self) -> Hashable:
        """What of it changes the training; attacks alike in it share a trained model.

        None for attacks that keep to the protocol.
        """
        return None if type(self).interferes is Attack.interferes else self

    @property
    def source(self) -> "Attack | None":
        """The attack whose scores are the messages −B·u behind its answer, if any."""
        return self if self.recovers_messages else None

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts about a defense that change the attack's program."""
        return tuple(name for name in STATIC_FIELDS if name in self.uses)

    def fits(self, task) -> str | None:
        """Why it can't run on an `experiments.Task`, or None if it can.

        The words start with the name of a field, its value and a colon. What follows
        from the attributes above is checked by the experiment itself.
        """
        return None

    def prepare(self, task) -> Any:
        """Arrays that the attack needs of the data's layout, such as a trigger's.

        They reach `interferes` as `scene.prepared`. Made on the host, once per run.
        """
        return ()


def check_attack(name: str, value: Any) -> None:
    """Raises a `ValueError` that says what is missing unless a field is an attack."""
    if isinstance(value, Attack):
        check_class(name, value)
        try:
            hash(value)  # equal attacks share a program
        except TypeError as error:
            allowed = "plain values: numbers, texts, and tuples of them"
            require(False, f"fields of {name}", str(error), allowed)
        if value.sees is None:
            raise ValueError(
                f"{name}: {type(value).__name__} has no `sees`, must name the view "
                "that it is given, such as `sees = BatchGradientView`"
            )
        called = type(value).__name__
        is_view = hasattr(value.sees, "is_final")
        require(is_view, f"{name}: {called}.sees", value.sees, "a class of view")
        is_goal, allowed = isinstance(value.goal, Goal), "a Goal, such as goals.LABELS"
        require(is_goal, f"{name}: {called}.goal", value.goal, allowed)
        if type(value).__call__ is Attack.__call__:
            raise ValueError(f"{name}: {called} has no `__call__`, must define one")
        unknown = [field for field in value.uses if field not in KNOWN_FIELDS]
        if unknown:
            raise ValueError(
                f"{name}: {type(value).__name__}.uses has {unknown[0]!r}, must be of "
                f"{', '.join(KNOWN_FIELDS)}"
            )
        return
    if isinstance(value, type) and issubclass(value, Attack):
        what = f"the class {value.__name__}, must be an instance: {value.__name__}()"
    elif hasattr(value, "perturb"):
        called = getattr(value, "__name__", type(value).__name__)
        what = f"a defense, {called}; defenses stand in `defenses`"
    elif callable(value):
        what = (
            f"the function {getattr(value, '__name__', value)!r}, must be a record: a "
            "frozen dataclass derived from vfljax.attacks.Attack with `sees` and with "
            "it as `__call__`"
        )
    else:
        what = f"{value!r}, must be an instance of vfljax.attacks.Attack"
    raise ValueError(f"{name}: is {what}")


def infer(attack: Attack, key: Key[Array, ""], view: Any, known: Known) -> Any:
    """What an attack answers, given the part of `known` that it uses.

    Raises:
        ValueError: It reads what is withheld, or returns no `Inference` or
            `CountInference`.
    """
    called = type(attack).__name__
    try:
        answer = attack(key, view, known.only(attack.uses))
    except WithheldError as error:
        raise WithheldError(f"{called}.uses={attack.uses}: {error}") from None
    kinds = Inference | CountInference | RoundInference | MembershipInference
    if not isinstance(answer, kinds):
        raise ValueError(
            f"{called}.__call__: returned {type(answer).__name__}, must return an "
            "Inference, such as inference_from_scores(scores), a CountInference, a "
            "RoundInference or a MembershipInference"
        )
    name, found = attack.goal.answer, type(answer).__name__
    allowed = f"an answer with {name}, which the goal {attack.goal.name} is judged by"
    is_fit = hasattr(answer, name)
    require(is_fit, f"what {called}.__call__ returned", found, allowed)
    return answer


def map_with_keys(
    key: Key[Array, ""],
    one: Callable[..., Any],
    inputs: PyTree[Any],
    *,
    number: int,
    at_once: int,
) -> Any:
    """Returns `one(key, input)` for each of `number` inputs, some of them at once.

    `inputs` is a tree stacked along the first axis, () for none, and each call has a
    key of its own. Keys themselves would be taken for used twice where trials are
    mapped; their bits are not.
    """
    keys = jax.random.split(key, number)
    implementation = jax.random.key_impl(keys)

    def of_bits(given):
        bits, own = given
        return one(jax.random.wrap_key_data(bits, impl=implementation), own)

    size = min(at_once, number)
    return jax.lax.map(of_bits, (jax.random.key_data(keys), inputs), batch_size=size)


def jacobian_of(
    view: GradientView, layers: Collection[str] | None = None
) -> GradientMap:
    """The linear map behind a view's gradient, see `gradient_map`."""
    return gradient_map(view.model, view.params, view.features, layers, view.forward)


def labels_in_words(per_class: int) -> str:
    """What an adversary knows with so many labels of each class."""
    return f"{per_class} known label{'' if per_class == 1 else 's'} per class"


def inference_from_scores(
    scores: Float[Array, "batch classes"],
    published_labels: Int[Array, " batch"] | None = None,
    info: Any = (),
) -> Inference:
    """Decides for the highest score of each row, and for −1 in rows with a NaN."""
    require(
        jnp.ndim(scores) == 2, "scores.shape", jnp.shape(scores), "(batch, classes)"
    )
    is_finite = jnp.isfinite(scores)
    answered = jnp.all(is_finite, axis=1)
    return Inference(
        labels=jnp.where(answered, jnp.argmax(scores, axis=1), -1),
        scores=scores,
        finite=jnp.all(is_finite),
        published_labels=published_labels,
        info=info,
    )

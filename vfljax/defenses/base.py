"""The defense record: everything through which a defended party can act."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key, PyTree

Number = int | float | Float[Array, ""]
"""A hyperparameter that may be swept, hence traced."""


def _send_unchanged(key, state, gradients, labels, sample_ids):
    return gradients, state


class Defense(NamedTuple):
    """The label party's defense as pure functions; the default is no defense.

    Attributes:
        init: `init() -> state`, what the defense remembers between steps.
        encode_labels: One-hot labels (batch, classes) to the targets trained on.
        perturb: `perturb(key, state, gradients, labels, sample_ids)` to
            `(gradients, state)`: the message dL/dH (batch, embed) as it is sent.
            `labels` (batch,) and `sample_ids` (batch,), rows of the training set, are
            there for defenses that need them. `key` is used at most once.
        decode_logits: Summed logits to the logits that predict the class.
        covers_label_party: Whether the label party's own bottom model is trained on
            the perturbed gradient too, rather than on the clean one.
        keeps_zero_sum: Whether rows that sum to zero still do when sent. Public
            knowledge about the protocol, which an attack may use.
        needs_zero_sum: Whether `perturb` relies on rows that sum to zero.
        encodes_labels: Whether the model is trained on other targets than the labels.
    """

    init: Callable[[], PyTree[Any]] = lambda: ()
    encode_labels: Callable[
        [Float[Array, "batch classes"]], Float[Array, "batch classes"]
    ] = lambda labels: labels
    perturb: Callable[..., tuple[Float[Array, "batch embed"], PyTree[Any]]] = (
        _send_unchanged
    )
    decode_logits: Callable[
        [Float[Array, "batch classes"]], Float[Array, "batch classes"]
    ] = lambda logits: logits
    covers_label_party: bool = False
    keeps_zero_sum: bool = True
    needs_zero_sum: bool = False
    encodes_labels: bool = False


def no_defense() -> Defense:
    """Returns the defense that changes nothing."""
    return Defense()


def chain(*defenses: Defense) -> Defense:
    """Composes defenses, the first one acting first.

    Labels are encoded from first to last, logits decoded from last to first, messages
    perturbed from first to last with one key each. The composition covers the label
    party if any part does, and keeps rows at zero sum if all parts do.

    Raises:
        ValueError: If nothing is to be composed, or the composition makes no sense:
            two parts that encode labels, one that does so after another has perturbed
            messages, or one that relies on rows of zero sum after another broke them.

    Example:
        >>> from vfljax.defenses import discrete_sgd, dp_gaussian
        >>> chain(dp_gaussian(0.01), discrete_sgd(12)).covers_label_party
        True
    """
    _check_order(defenses)
    perturbs = any(part.perturb is not _send_unchanged for part in defenses)

    def encode_labels(labels: Float[Array, "batch classes"]):
        for defense in defenses:
            labels = defense.encode_labels(labels)
        return labels

    def perturb(key: Key[Array, ""], state, gradients, labels, sample_ids):
        states = []
        for part_key, part, defense in zip(
            jax.random.split(key, len(defenses)), state, defenses, strict=True
        ):
            gradients, part = defense.perturb(
                part_key, part, gradients, labels, sample_ids
            )
            states.append(part)
        return gradients, tuple(states)

    def decode_logits(logits: Float[Array, "batch classes"]):
        for defense in reversed(defenses):
            logits = defense.decode_logits(logits)
        return logits

    return Defense(
        init=lambda: tuple(defense.init() for defense in defenses),
        encode_labels=encode_labels,
        perturb=perturb if perturbs else _send_unchanged,
        decode_logits=decode_logits,
        covers_label_party=any(defense.covers_label_party for defense in defenses),
        keeps_zero_sum=all(defense.keeps_zero_sum for defense in defenses),
        needs_zero_sum=any(defense.needs_zero_sum for defense in defenses),
        encodes_labels=any(defense.encodes_labels for defense in defenses),
    )


def _check_order(defenses):
    """Refuses compositions that make no sense."""
    if not defenses:
        raise ValueError("defenses=(): chain needs at least one defense")
    encoders = [place for place, part in enumerate(defenses) if part.encodes_labels]
    if len(encoders) > 1:
        raise ValueError(
            f"defenses: numbers {encoders} all encode the labels; allowed is one, as a "
            "code of a code confuses nobody further and is decoded less surely"
        )
    has_perturbed, keeps_zero_sum = False, True
    for place, part in enumerate(defenses):
        if part.encodes_labels and has_perturbed:
            raise ValueError(
                f"defenses: number {place} encodes labels after another has perturbed "
                "messages; labels are encoded before there are messages, put it first"
            )
        if part.needs_zero_sum and not keeps_zero_sum:
            raise ValueError(
                f"defenses: number {place} relies on rows that sum to zero, which one "
                "before it breaks; put it first, or choose its variant for any message"
            )
        has_perturbed |= part.perturb is not _send_unchanged
        keeps_zero_sum &= part.keeps_zero_sum


def check_number(
    name: str,
    value: Any,
    *,
    low: int | float,
    high: int | float = float("inf"),
    low_excluded: bool = False,
):
    """Raises a `ValueError` unless `low <= value <= high`; traced values pass.

    A number that is swept is traced inside a program; it was checked where it came in.
    """
    if isinstance(value, Tracer):
        return
    if not low <= value <= high or (low_excluded and value == low):
        bracket = "(" if low_excluded else "["
        raise ValueError(f"{name}={value}: must be in {bracket}{low:g}, {high:g}]")


def check_choice(name: str, value: str, allowed: tuple[str, ...]):
    """Raises a `ValueError` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


def count_entries(fraction: Number, total: int) -> Int[Array, ""]:
    """⌊fraction · total⌋, unharmed by the rounding of both to float32."""
    guard = 1.0 + 4.0 * jnp.finfo(jnp.float32).eps
    product = jnp.asarray(fraction, jnp.float32) * total * guard
    return jnp.minimum(jnp.floor(product).astype(jnp.int32), total)

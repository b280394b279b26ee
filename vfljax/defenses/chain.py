"""Several defenses one after another."""

import dataclasses
import math
from collections.abc import Generator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vfljax.defenses.base import UNCHANGED, Defense, check_defense

_TRUE_OF_ANY = (
    "covers_label_party",
    "needs_zero_sum",
    "drops_entries",
    "encodes_labels",
    "remembers_rows",
)
_OF_THE_SWEPT = ("swept", "strength_name", "strengths", "is_sweep")


@dataclasses.dataclass(frozen=True, init=False)
class Chain(Defense):
    """Several defenses, the first one acting first.

    Labels are encoded from first to last, logits decoded from last to first, messages
    perturbed from first to last with one key each, and penalties added up. The chain
    covers the label party if any part does, and keeps rows at zero sum if all parts do.
    Of a participant of horizontal learning, the parts that act in local steps do so in
    turn, and then each part perturbs the update that the one before it left.

    Its swept axis is that of the one part with several strengths; without such a part,
    that of the last part with a strength, a tuple of one number before a number alone.

    Raises:
        ValueError: If nothing is to be composed, if two parts have several strengths or
            clip the gradients of single samples, or if the composition makes no sense:
            two parts that encode labels, one that does so after another has perturbed
            messages, or one that relies on rows of zero sum after another broke them.

    Example:
        >>> from vfljax.defenses import DiscreteSGD, DPGaussian
        >>> both = Chain(DPGaussian(noise_std=(0.01, 0.1)), DiscreteSGD(bins=12))
        >>> both.covers_label_party, both.strength_name, both.strengths
        (True, 'noise_std', (0.01, 0.1))
    """

    parts: tuple[Defense, ...]
    """The defenses, of which one at most has several strengths."""
    swept: ClassVar[str | None] = None
    strength_name: ClassVar[str | None] = None
    strengths: ClassVar[tuple[Any, ...]] = (None,)
    is_sweep: ClassVar[bool] = False
    has_training_budget: ClassVar[Any] = False

    def __init__(self, *of: Defense, parts: tuple[Defense, ...] = ()):
        parts = (*of, *parts)
        for number, part in enumerate(parts):
            check_defense(f"Chain.parts[{number}]", part)
        _check_order(parts)
        swept = parts[_swept_place(parts)]
        limits = [part.only_classes for part in parts if part.only_classes is not None]
        facts: dict[str, Any] = {
            "parts": parts,
            "keeps_zero_sum": all(part.keeps_zero_sum for part in parts),
            "only_classes": limits[0] if limits else None,
            "has_training_budget": parts[0].has_training_budget,
            **{
                name: any(getattr(part, name) for part in parts)
                for name in _TRUE_OF_ANY
            },
            **{name: getattr(swept, name) for name in _OF_THE_SWEPT},
        }
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    def overrides(self, name: str) -> bool:
        """Whether any part does."""
        return any(part.overrides(name) for part in self.parts)

    def init(self):
        """What each part remembers."""
        return tuple(part.init() for part in self.parts)

    def encode_labels(self, labels: Float[Array, "batch classes"]):
        """Targets by each part in turn."""
        for part in self.parts:
            labels = part.encode_labels(labels)
        return labels

    def prepare_targets(self, key, labels: Float[Array, "samples classes"]):
        """Targets by each part in turn, with a key each."""
        keys = jax.random.split(key, len(self.parts))
        for part_key, part in zip(keys, self.parts, strict=True):
            labels = part.prepare_targets(part_key, labels)
        return labels

    def perturb(self, key, state, gradients, labels, sample_ids):
        """The message by each part in turn, with a key and a state each."""
        if not self.overrides("perturb"):
            return gradients, state
        keys, states = jax.random.split(key, len(self.parts)), []
        for part, part_key, before in zip(self.parts, keys, state, strict=True):
            gradients, after = part.perturb(
                part_key, before, gradients, labels, sample_ids
            )
            states.append(after)
        return gradients, tuple(states)

    def init_update(self, update):
        """What each part remembers of a participant."""
        return tuple(part.init_update(update) for part in self.parts)

    def perturb_update(self, key, state, update):
        """The update by each part in turn, with a key and a state each."""
        keys, states = jax.random.split(key, len(self.parts)), []
        for part, part_key, before in zip(self.parts, keys, state, strict=True):
            update, after = part.perturb_update(part_key, before, update)
            states.append(after)
        return update, tuple(states)

    def perturb_logits(self, key, logits: Float[Array, "batch classes"]):
        """Logits by each part in turn, with a key each."""
        keys = jax.random.split(key, len(self.parts))
        for part_key, part in zip(keys, self.parts, strict=True):
            logits = part.perturb_logits(part_key, logits)
        return logits

    def perturb_gradient(self, key, gradient, batch_size):
        """The gradient by each part in turn, with a key each."""
        keys = jax.random.split(key, len(self.parts))
        for part_key, part in zip(keys, self.parts, strict=True):
            gradient = part.perturb_gradient(part_key, gradient, batch_size)
        return gradient

    @property
    def example_clip_norm(self):
        """That of the one part that has it."""
        norms = [part.example_clip_norm for part in self.parts]
        return next((norm for norm in norms if norm is not None), None)

    @property
    def unfit_for_updates(self):
        """Why one of the parts can't defend an update."""
        return self._first_reason("unfit_for_updates")

    @property
    def unfit_for_messages(self):
        """Why one of the parts can't defend messages."""
        return self._first_reason("unfit_for_messages")

    def _first_reason(self, name):
        """Of a part that has one, with the part's name."""
        for part in self.parts:
            if (reason := getattr(part, name)) is not None:
                return f"has {type(part).__name__}, which {reason}"
        return None

    def penalty(self, embeddings, targets):
        """The sum of the parts' penalties."""
        penalties = [part.penalty(embeddings, targets) for part in self.parts]
        return sum(penalties, start=jnp.zeros(()))

    def decode_logits(self, logits: Float[Array, "batch classes"]):
        """Logits by each part in turn, the last first."""
        for part in reversed(self.parts):
            logits = part.decode_logits(logits)
        return logits

    def public(self, batch_size, num_classes):
        """What is known of each part, as if it acted alone: variances add up."""
        known = [part.public(batch_size, num_classes) for part in self.parts]
        return UNCHANGED.replace(
            noise_std=sum(one.get("noise_std", 0.0) ** 2 for one in known) ** 0.5,
            keep_fraction=math.prod(one.get("keep_fraction", 1.0) for one in known),
            replaced_by=max(one.get("replaced_by", 0.0) for one in known),
        )

    def budget(self, batch_size, num_classes, releases):
        """That of the first part, as what the others make of its message tells no more.

        A part after the first has no account: what comes before it changes the message.
        """
        return self.parts[0].budget(batch_size, num_classes, releases)

    def update_budget(self, releases):
        """That of the first part with one, as far as the other parts leave it.

        A part that perturbs single updates after it works on what each participant has
        noised, so that the account is one of single updates. A part that perturbs the
        gradients of local steps before it leaves nothing to account for.
        """
        for place, part in enumerate(self.parts):
            before, after = self.parts[:place], self.parts[place + 1 :]
            of_updates = any(map(_changes_updates, after)) and not part.acts_in_steps
            seen = releases._replace(seen=1) if of_updates else releases
            budget = part.update_budget(seen)
            steps_change = any(other.overrides("perturb_gradient") for other in before)
            if budget is not None and not (part.acts_in_steps and steps_change):
                return budget
        return None

    def at(self, strength, shapes, prepared=()):
        """The chain of all parts, the swept one at a, possibly traced, strength."""
        prepared = prepared or ((),) * len(self.parts)
        parts = zip(self.parts, self._strengths(strength), prepared, strict=True)
        return Chain(*(part.at(alone, shapes, found) for part, alone, found in parts))

    def prepare(self, num_classes: int) -> Generator[str, None, Any]:
        """Trains what the parts need; one at most needs something, a label code."""
        prepared = []
        for part in self.parts:
            prepared.append((yield from part.prepare(num_classes)))
        return tuple(prepared)

    def choice(self, strength, trial):
        """That of the part that was prepared; the others have 0."""
        parts = zip(self.parts, self._strengths(strength), strict=True)
        return max(part.choice(alone, trial) for part, alone in parts)

    def _strengths(self, strength):
        """One of each part."""
        strengths: list[Any] = [part.strengths[0] for part in self.parts]
        strengths[_swept_place(self.parts)] = strength
        return strengths


def _changes_updates(part):
    """Whether a part changes a whole update, rather than a local step."""
    return part.overrides("perturb") or part.overrides("perturb_update")


def _swept_place(parts):
    """Of the part with several strengths, else of the last with one, a tuple first."""

    def rank(place):
        part = parts[place]
        has_strength = part.strength_name is not None
        return len(part.strengths) > 1, part.is_sweep, has_strength, place

    return max(range(len(parts)), key=rank)


def _check_order(parts):
    """Refuses compositions that make no sense."""
    if not parts:
        raise ValueError("defenses=(): chain needs at least one defense")
    several = [place for place, part in enumerate(parts) if len(part.strengths) > 1]
    if len(several) > 1:
        raise ValueError(
            f"defenses: numbers {several} have several strengths each; one may, give "
            "the others one number each"
        )
    encoders = [place for place, part in enumerate(parts) if part.encodes_labels]
    if len(encoders) > 1:
        raise ValueError(
            f"defenses: numbers {encoders} all encode the labels; allowed is one, as a "
            "code of a code confuses nobody further and is decoded less surely"
        )
    clippers = [
        p for p, part in enumerate(parts) if part.overrides("example_clip_norm")
    ]
    if len(clippers) > 1:
        raise ValueError(
            f"defenses: numbers {clippers} all clip the gradients of single samples; "
            "allowed is one"
        )
    for place, part in enumerate(parts):
        before = parts[:place]
        if part.encodes_labels and any(other.overrides("perturb") for other in before):
            raise ValueError(
                f"defenses: number {place} encodes labels after another has perturbed "
                "messages; labels are encoded before there are messages, put it first"
            )
        if part.needs_zero_sum and not all(other.keeps_zero_sum for other in before):
            raise ValueError(
                f"defenses: number {place} relies on rows that sum to zero, which one "
                "before it breaks; put it first, or choose its variant for any message"
            )

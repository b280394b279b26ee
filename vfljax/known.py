"""What an adversary may know besides its view."""

from collections.abc import Collection, ItemsView, Iterator
from typing import Any

import jax

KNOWN_FIELDS = {
    "labels": "Class of each sample that is known, -1 for the others (batch,); of a "
    "trained model, the classes of `rows`.",
    "rows": "Numbers of the training samples whose labels are known (known,).",
    "other_features": "The adversary's own features of further samples to label.",
    "codebook": "Soft label of each class (classes, classes); the identity without a "
    "label encoder.",
    "noise_std": "Standard deviation of what is added to an entry of B·dL/dH.",
    "keep_fraction": "Share of the message's entries that is sent, in (0, 1].",
    "replaced_by": "Absolute value of entries that were replaced, in units of dL/dH.",
    "keeps_zero_sum": "Whether rows of a message still sum to zero, a Python bool.",
    "drops_entries": "Whether entries of a message are dropped, a Python bool.",
    "earlier": "Inferences of the same adversary at every step so far, this one "
    "included: pairs of scores and softmax(H^p), for attacks that combine them.",
    "auxiliary_features": "Features of samples that the adversary has of its own "
    "(auxiliary, ...), of none of which it sees an update.",
    "auxiliary_labels": "Their classes (auxiliary,).",
    "auxiliary_properties": "Whether these samples have the property that is to be "
    "inferred (auxiliary,), booleans.",
    "records": "Features of the records whose membership is asked (records, ...).",
    "simulate": "`simulate(key, features, labels)` to the update that a participant "
    "with these samples (steps, batch, ...) would send, its defense included, or to "
    "the mean of several, each with as many consecutive samples of a batch; a "
    "`jax.tree_util.Partial`.",
}
"""Every field of `Known` with its meaning. What is not given is withheld."""

OF_UPDATES = (
    *("auxiliary_features", "auxiliary_labels", "auxiliary_properties"),
    *("records", "simulate"),
)
"""What an attacker of updates may know; all others are of vertical learning."""

STATIC_FIELDS = ("keeps_zero_sum", "drops_entries")
"""Facts that decide which code runs; all other fields are data."""


class WithheldError(ValueError):
    """An attack read what it was not given."""


@jax.tree_util.register_pytree_node_class
class Known:
    """Fields of `KNOWN_FIELDS` by name; those not given are withheld.

    Reading a withheld field raises, so that an attack can't use by accident what its
    threat model doesn't let it know. A pytree whose leaves are the data.

    Example:
        >>> known = Known(noise_std=0.1)
        >>> known.noise_std, known.get("codebook")
        (0.1, None)
        >>> known.codebook
        Traceback (most recent call last):
        ...
        vfljax.known.WithheldError: Known.codebook: withheld, only noise_std is known; \
an attack is given the fields that its `uses` names
    """

    def __init__(self, **fields: Any):
        unknown = [name for name in fields if name not in KNOWN_FIELDS]
        if unknown:
            raise ValueError(
                f"Known: has no field {unknown[0]!r}: must be one of "
                f"{', '.join(KNOWN_FIELDS)}"
            )
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        """A field that was given."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._fields:
            return self._fields[name]
        given = ", ".join(self._fields) or "nothing"
        raise WithheldError(
            f"Known.{name}: withheld, only {given} is known; an attack is given the "
            "fields that its `uses` names"
        )

    def __iter__(self) -> Iterator[str]:
        """Names of the fields that were given."""
        return iter(self._fields)

    def items(self) -> ItemsView[str, Any]:
        """Names and values of the fields that were given."""
        return self._fields.items()

    def __repr__(self) -> str:
        """The fields that were given."""
        return f"Known({', '.join(f'{n}={v!r}' for n, v in self._fields.items())})"

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or `default` where it was not given."""
        return self._fields.get(name, default)

    def only(self, names: Collection[str]) -> "Known":
        """The same with all other fields withheld."""
        return Known(**{n: v for n, v in self._fields.items() if n in names})

    def replace(self, **fields: Any) -> "Known":
        """The same with some fields set."""
        return Known(**(self._fields | fields))

    def tree_flatten(self):
        """Data as children, static facts beside them."""
        data = {n: v for n, v in self._fields.items() if n not in STATIC_FIELDS}
        facts = {n: v for n, v in self._fields.items() if n in STATIC_FIELDS}
        return tuple(data.values()), (tuple(data), tuple(facts.items()))

    @classmethod
    def tree_unflatten(cls, names_and_facts, values):
        """The inverse of `tree_flatten`."""
        names, facts = names_and_facts
        return cls(**dict(zip(names, values, strict=True)), **dict(facts))


NOTHING = Known()
"""What an adversary knows that has its view and nothing else."""

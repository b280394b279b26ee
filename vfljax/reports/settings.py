"""What a figure needs a line or a panel for, and how it calls it."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import polars as pl

from vfljax.reports.columns import POINT, SCENE, view_of
from vfljax.reports.frame import UNDEFENDED, groups, varying

SETTINGS = (*POINT, "attack", "known_per_class", "adversary_optimizer")
"""The settings, with a defense and its strength as one, in the order of titles."""

# What goes without saying where these are said, if it is the same wherever they are.
_OF_VARIANT = tuple(name for name in SCENE if name not in ("variant", "view"))
_OF_ATTACK = ("view", "known_per_class", "adversary_optimizer")


def is_told(frame: pl.DataFrame, name: str, attack: str = "attack") -> bool:
    """Whether the variant or the attack (or its family) says this setting as well."""
    tellers = [("variant", _OF_VARIANT), (attack, _OF_ATTACK)]
    return any(
        name in told
        and frame.select(teller, name).n_unique() == frame[teller].n_unique()
        for teller, told in tellers
    )


def is_swept(frame: pl.DataFrame, name: str) -> bool:
    """Whether two settings differ in this one alone."""
    others = [other for other in SETTINGS if other != name]
    if name == "variant":  # where it changes, what it says changes with it
        others = [other for other in others if not is_told(frame, other)]
    if name == "known_per_class":
        others = ["attack_family" if each == "attack" else each for each in others]
    return any(varying(group, (name,)) for _, group in groups(frame, others))


def panel_settings(frame: pl.DataFrame, drawn: Sequence[str]) -> tuple[str, ...]:
    """The settings that need a panel per value: all that vary and are not drawn yet."""
    attack = "attack_family" if "attack_family" in drawn else "attack"
    return tuple(
        name
        for name in varying(frame, SETTINGS)
        if name not in drawn
        and not (name == "attack" and attack == "attack_family")
        and not is_told(frame, name, attack)
    )


def describe(row: Mapping[str, Any], names: Iterable[str], width: int = 999) -> str:
    """Some settings in words, such as `batch size 16, 4 classes`, in lines so wide."""
    return fill(", ".join(filter(None, (_in_words(n, row[n]) for n in names))), width)


def _in_words(name: str, value: Any) -> str:
    """One value, in words that say what it is, or ""."""
    if value is None:
        return "no known labels" if name == "known_per_class" else ""
    if name == "defense_label" and value == UNDEFENDED:
        return "no defense"
    if name == "view":
        return view_of(value).name
    if name == "adversary_optimizer":
        value = value.replace("_", " ")
    return _WORDS.get(name, "{}").format(value)


_WORDS = {
    "num_parties": "{} parties",
    "train_step": "step {}",
    "batch_size": "batch size {}",
    "num_classes": "{} classes",
    "known_per_class": "{:g} known per class",
    "adversary_optimizer": "{} optimizer",
}

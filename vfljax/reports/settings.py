"""What a figure needs a line or a panel for, and how it calls it."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import polars as pl

from vfljax.reports.columns import POINT, SCENE, view_of
from vfljax.reports.frame import UNDEFENDED, varying

SETTINGS = (*POINT, "attack", "known_per_class", "adversary_optimizer")
"""The settings, with a defense and its strength as one, in the order of titles."""

# What goes without saying where these are said, if it is the same wherever they are.
_OF_VARIANT = tuple(name for name in SCENE if name not in ("variant", "view"))
_OF_ATTACK = ("view", "known_per_class", "adversary_optimizer")


def groups(
    frame: pl.DataFrame, names: Sequence[str]
) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    """The rows that share their values in some columns, in order of first appearance.

    Without names, all rows are one group, of the values ().
    """
    if not names:
        return [((), frame)]
    parts = frame.partition_by(names, maintain_order=True, as_dict=True)
    return list(parts.items())


def is_told(frame: pl.DataFrame, name: str, attack: str = "attack") -> bool:
    """Whether the variant or the attack says the value of this setting as well.

    Args:
        frame: what is drawn, a row per setting.
        name: the setting.
        attack: the column that tells attacks apart, "attack" or "attack_family".
    """
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


def describe(frame: pl.DataFrame, names: Sequence[str], width: int = 999) -> str:
    """The values of some settings in words, as in the first row, in lines so wide."""
    row = frame.row(0, named=True)
    return fill(", ".join(in_words(name, row[name]) for name in names), width)


def in_words(name: str, value: Any) -> str:
    """One value, in words that say what it is."""
    if name == "defense_label" and value == UNDEFENDED:
        return "no defense"
    if name == "known_per_class" and value is None:
        return "no known labels"
    if name == "view":
        return view_of(value).name
    if name == "adversary_optimizer":
        return f"{value.replace('_', ' ')} optimizer"
    return _WORDS.get(name, "{}").format(value)


_WORDS = {
    "num_parties": "{} parties",
    "train_step": "step {}",
    "batch_size": "batch size {}",
    "num_classes": "{} classes",
    "known_per_class": "{:g} known per class",
}

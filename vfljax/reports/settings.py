"""What a figure needs a line or a panel for, and how it calls it."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import polars as pl

from vfljax.reports.columns import POINT, SCENE, UNDEFENDED, view_of
from vfljax.reports.frame import groups, told, varying

SETTINGS = (*POINT, "attack", "known_per_class", "adversary_optimizer")
"""The settings, with a defense and its strength as one, in the order of titles."""

OF_ATTACK = ("view", "known_per_class", "adversary_optimizer")
"""What goes without saying where the attack says it as well."""
_OF_VARIANT = [name for name in SCENE if name not in ("variant", "view")]


def is_swept(frame: pl.DataFrame, name: str) -> bool:
    """Whether two settings differ in this one alone."""
    others = set(SETTINGS) - {name}
    if name == "known_per_class":
        others = others - {"attack"} | {"attack_family"}
    if name == "variant":  # where it changes, what it says changes with it
        others -= told(frame, "variant", _OF_VARIANT)
    return any(varying(group, [name]) for _, group in groups(frame, sorted(others)))


def panel_settings(frame: pl.DataFrame, drawn: Sequence[str]) -> tuple[str, ...]:
    """The settings that need a panel per value: all that vary and are not drawn yet."""
    attack = "attack_family" if "attack_family" in drawn else "attack"
    said = {*drawn, *told(frame, attack, OF_ATTACK)}
    if attack == "attack_family":
        said.add("attack")
    return tuple(name for name in varying(frame, SETTINGS) if name not in said)


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

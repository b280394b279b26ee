"""Errors about arguments, in one phrasing: name, value, what is allowed."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from jax.core import Tracer


def require(is_met: Any, name: str, value: Any, allowed: str) -> None:
    """Raises a `ValueError` unless a condition is met."""
    if not is_met:
        raise ValueError(f"{name}={value!r}: must be {allowed}")


def check_number(
    name: str,
    value: Any,
    *,
    low: int | float,
    high: int | float = float("inf"),
    low_excluded: bool = False,
) -> None:
    """Raises a `ValueError` unless `low <= value <= high`; traced values pass.

    A number that is swept is traced inside a program; it was checked where it came in.
    """
    if isinstance(value, Tracer):
        return
    if not low <= value <= high or (low_excluded and value == low):
        bracket = "(" if low_excluded else "["
        raise ValueError(f"{name}={value}: must be in {bracket}{low:g}, {high:g}]")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raises a `ValueError` unless a word is one of those allowed."""
    require(value in allowed, name, value, f"one of {', '.join(allowed)}")


def require_all(
    name: str, values: Sequence[Any], is_met: Callable[[Any], bool], allowed: str
) -> None:
    """Raises a `ValueError` unless each value meets a condition and none repeats."""
    for value in values:
        require(is_met(value), name, value, allowed)
    require(len(set(values)) == len(values), name, values, "without repetitions")

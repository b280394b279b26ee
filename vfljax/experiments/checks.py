"""Errors of experiments: name, value and what is allowed."""

from collections.abc import Callable, Sequence
from typing import Any


def require(is_met: bool, name: str, value: Any, allowed: str) -> None:
    """Raises a `ValueError` unless a condition is met."""
    if not is_met:
        raise ValueError(f"{name}={value!r}: must be {allowed}")


def require_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises a `ValueError` unless a word is one of those allowed."""
    require(value in allowed, name, value, f"one of {', '.join(allowed)}")


def require_all(
    name: str, values: Sequence[Any], is_met: Callable[[Any], bool], allowed: str
) -> None:
    """Raises a `ValueError` unless each value meets a condition and none repeats."""
    for value in values:
        require(is_met(value), name, value, allowed)
    require(len(set(values)) == len(values), name, values, "without repetitions")

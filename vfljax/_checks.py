"""Errors about arguments, in one phrasing: name, value, what is allowed."""

import dataclasses
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from jax.core import Tracer

_MOST_LETTERS = 300  # of a value in a message
NOT_NEGATIVE = {"low": 0.0}
POSITIVE = {"low": 0.0, "low_excluded": True}
SHARE = {"low": 0.0, "high": 1.0, "low_excluded": True}


def require(is_met: Any, name: str, value: Any, allowed: str) -> None:
    """Raises a `ValueError` unless a condition is met."""
    if not is_met:
        shown = repr(value)
        shown = shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}..."
        raise ValueError(f"{name}={shown}: must be {allowed}")


def check_number(
    name: str,
    value: Any,
    *,
    low: int | float,
    high: int | float = float("inf"),
    low_excluded: bool = False,
    high_excluded: bool = False,
) -> None:
    """Raises a `ValueError` unless `low <= value <= high`; traced values pass.

    A number that is swept is traced inside a program; it was checked where it came in.
    """
    if isinstance(value, Tracer):
        return
    is_excluded = (low_excluded and value == low) or (high_excluded and value == high)
    if not low <= value <= high or is_excluded:
        first, last = "(" if low_excluded else "[", ")" if high_excluded else "]"
        raise ValueError(f"{name}={value}: must be in {first}{low:g}, {high:g}{last}")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raises a `ValueError` unless a word is one of those allowed."""
    require(value in allowed, name, value, f"one of {', '.join(allowed)}")


def check_fields(record: Any, ranges: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises a `ValueError` for a field of a dataclass that is not allowed.

    Words must be among those of the field's `Literal` type, numbers in the range that
    stands under the field's name: arguments of `check_number`, such as `POSITIVE`.
    """
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if typing.get_origin(field.type) is Literal:
            check_choice(field.name, value, typing.get_args(field.type))
        if field.name in ranges:
            check_number(field.name, value, **ranges[field.name])


def check_class(name: str, value: Any) -> None:
    """Raises a `ValueError` for a record whose class has fields, but no decorator.

    Without `@dataclass` its own fields are none, neither for a run's folder nor for
    the command line.
    """
    own = vars(type(value))
    is_plain = "__dataclass_fields__" not in own
    if is_plain and ("__init__" in own or own.get("__annotations__")):
        allowed = "decorated with @dataclass(frozen=True, kw_only=True)"
        require(False, name, f"class {type(value).__name__}", allowed)


def require_all(
    name: str, values: Sequence[Any], is_met: Callable[[Any], bool], allowed: str
) -> None:
    """Raises a `ValueError` unless each value meets a condition and none repeats."""
    for value in values:
        require(is_met(value), name, value, allowed)
    require(len(set(values)) == len(values), name, values, "without repetitions")

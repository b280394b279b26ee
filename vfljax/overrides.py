"""Fields of an experiment set from the command line, typed."""

import contextlib
import dataclasses
import io
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

import tyro
from tyro import constructors

from vfljax.data import Dataset
from vfljax.experiments import Experiment
from vfljax.models import PartyModel


class OverrideError(ValueError):
    """A field that can't be set so, in one line."""


def override(experiment: Experiment, arguments: Sequence[str]) -> Experiment:
    """The experiment with the fields that the arguments set; `--help` prints them.

    Raises:
        OverrideError: For an unknown field or a value that is none.
    """
    said = io.StringIO()
    registry = constructors.ConstructorRegistry()
    registry.primitive_rule(_without_arrays)
    try:
        with contextlib.redirect_stderr(said), registry:
            return tyro.cli(
                Experiment,
                default=experiment,
                args=list(arguments),
                prog="vfljax run CONFIG",
                description="",
                config=(tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed),
            )
    except SystemExit as stop:
        if not stop.code:
            return experiment
        words = " ".join(re.sub(r"[─│╭╮╰╯]+|-{3,}", " ", said.getvalue()).split())
        words = re.split("For full helptext|Argument helptext|Got errors:", words)[0]
        words = re.sub(r"^.*?(?=Error parsing|Unrecognized options:)", "", words)
        raise OverrideError(_without_help_texts(words.strip())) from None


def _without_help_texts(words: str) -> str:
    """The nearest options alone, of all that is said about them."""
    mistake, *said = re.split(r" Perhaps you meant: | Arguments similar to ", words)
    nearest = re.findall(r"(?<!\S)--[\w.-]+(?!\S)", " ".join(said))[:6]
    return f"{mistake}; did you mean {' or '.join(nearest)}?" if nearest else mistake


def _without_arrays(info: constructors.PrimitiveTypeInfo) -> Any:
    """A number that may also be traced, or a name that may also be a data set.

    On the command line it is the number or the name.
    """
    if typing.get_origin(info.type) not in (typing.Union, types.UnionType):
        return None
    members = typing.get_args(info.type)
    written = [  # on a command line
        member
        for member in members
        if member not in (Dataset, PartyModel)
        and not getattr(member, "__module__", "").startswith("jaxtyping")
    ]
    if len(written) == len(members) or not written:
        return None
    narrowed: Any = typing.Union[tuple(written)]  # noqa: UP007
    spec: Any = constructors.ConstructorRegistry.get_primitive_spec(
        constructors.PrimitiveTypeInfo.make(narrowed, info.markers)
    )
    if Dataset not in members:
        return spec
    return dataclasses.replace(
        spec,
        is_instance=lambda value: isinstance(value, str | Dataset),
        str_from_instance=lambda value: [getattr(value, "name", value)],
    )

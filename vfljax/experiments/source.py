"""The code of a user's own methods, so that rows of an earlier version are not kept."""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import inspect
import re
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_LIBRARIES = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)


def source_digest(thing: Any) -> str | None:
    """A digest of the file that a class or function is written in; None of a library's.

    Of the file count its classes, functions, imports and variables, but not comments,
    nor a config's own `make`, nor an `Experiment(...)`. What the file imports from
    other files does not count. Of code without a file, as in a notebook, the class or
    function alone counts.
    """
    try:
        file = inspect.getsourcefile(thing) or ""
        if any(Path(file).is_relative_to(library) for library in _LIBRARIES):
            return None
        is_file = Path(file).is_file()
        text = Path(file).read_text() if is_file else inspect.getsource(thing)
        return _digest(inspect.cleandoc(text))
    except (OSError, TypeError, SyntaxError):  # built in, or typed into a shell
        return None


def function_digest(function: Any) -> str | None:
    """The same of a function and of what it closes over, such as a linen module.

    Of a dataclass its fields count too, as it writes them.
    """
    held, parts = [function], []
    for thing in held:  # grows
        is_code = inspect.isroutine(thing) or inspect.isclass(thing)
        parts.append(source_digest(thing if is_code else type(thing)))
        if dataclasses.is_dataclass(thing):
            parts.append(re.sub(" at 0x[0-9a-f]+", "", repr(thing)))
        for cell in getattr(thing, "__closure__", None) or ():
            with contextlib.suppress(ValueError):  # an empty one
                inside = cell.cell_contents
                held += [] if any(inside is each for each in held) else [inside]
    known = [part for part in parts if part]
    return known[0] if len(known) == 1 else _hash(known) if known else None


@functools.lru_cache
def _digest(text: str) -> str:
    return _hash(ast.dump(node) for node in ast.parse(text).body if _counts(node))


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _counts(node: ast.stmt) -> bool:
    """Whether a statement may change what a class or function of the file does."""
    if isinstance(node, ast.FunctionDef):
        return node.name != "make"
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
        node.value, ast.Call
    ):
        return not ast.unparse(node.value.func).endswith("Experiment")
    kinds = ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    return isinstance(node, kinds)

"""What there is: every record of the library with its line of documentation.

Read from the source, so that listing needs none of the libraries behind it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent


def sections() -> dict[str, dict[str, str]]:
    """Names and documentation of attacks, defenses, networks, data sets and splits."""
    return {
        "attacks": _records("attacks", "Attack"),
        "defenses": _records("defenses", "Defense"),
        "networks": _records("models", "Network"),
        "protocols": _documented(_classes("protocol/vertical.py"))
        | _documented(_classes("protocol/federated.py")),
        "data sets": _sources(),
        "splits": _assigned("data/splits.py", "SPLITS"),
    }


def _records(room: str, base: str) -> dict[str, str]:
    """The classes that a room exports and that derive from its base."""
    exported, classes = _assigned(f"{room}/__init__.py", "__all__"), _classes(room)

    def derives(name: str) -> bool:
        bases = [_name(each) for each in classes[name].bases]
        return any(b == base or (b in classes and derives(b)) for b in bases)

    found = {n for n in classes if n in exported and n != base and derives(n)}
    return _documented({name: classes[name] for name in sorted(found)})


def _classes(place: str) -> dict[str, ast.ClassDef]:
    """The classes of a room or of a file."""
    nodes = [node for tree in _trees(place) for node in tree.body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def _documented(classes: dict[str, ast.ClassDef]) -> dict[str, str]:
    """Public names and documentation of some classes."""
    return {
        name: ast.get_docstring(node) or ""
        for name, node in classes.items()
        if not name.startswith("_")
    }


def _sources() -> dict[str, str]:
    """Data sets with their descriptions, from the calls that declare them."""
    found = {}
    for node in (node for tree in _trees("data") for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and _name(node.func) == "Source":
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if {"name", "description"} <= named.keys():
                name = ast.literal_eval(named["name"])
                found[name] = ast.literal_eval(named["description"])
    return dict(sorted(found.items()))


def _assigned(file: str, name: str) -> Any:
    """The list or table that a file assigns to a name."""
    (tree,) = _trees(file)
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if _name(target) == name:
                within = ast.walk(node.value)
                return ast.literal_eval(
                    next(n for n in within if isinstance(n, ast.Dict | ast.List))
                )
    raise LookupError(f"{file}: has no {name}")


def _trees(place: str) -> Iterator[ast.Module]:
    """The parsed files of a room, or a single file."""
    path = _PACKAGE / place
    for each in sorted(path.glob("*.py")) if path.is_dir() else [path]:
        yield ast.parse(each.read_text())


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return getattr(node, "id", None) or getattr(node, "attr", "")

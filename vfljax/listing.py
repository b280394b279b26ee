"""What there is: every record of the library with its line of documentation.

Read from the source, so that listing needs none of the libraries behind it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).parent


def sections() -> dict[str, dict[str, str]]:
    """Names and documentation of attacks, defenses, networks, data sets and splits."""
    return {
        "attacks": _records("attacks", "Attack"),
        "defenses": _records("defenses", "Defense"),
        "networks": _records("models", "Network"),
        "protocols": _dataclasses("protocol/vertical.py"),
        "data sets": _sources(),
        "splits": _splits(),
    }


def _records(room: str, base: str) -> dict[str, str]:
    """The classes that a room exports and that derive from its base."""
    exported = _exported(_PACKAGE / room / "__init__.py")
    classes = {
        node.name: node
        for tree in _trees(room)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }

    def derives(name: str) -> bool:
        bases = [_name(each) for each in classes[name].bases]
        return any(b == base or (b in classes and derives(b)) for b in bases)

    return {
        name: ast.get_docstring(node) or ""
        for name, node in sorted(classes.items())
        if name in exported and name != base and derives(name)
    }


def _exported(path: Path) -> set[str]:
    """The names in a module's `__all__`."""
    return next(
        set(ast.literal_eval(node.value))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and _name(node.targets[0]) == "__all__"
    )


def _dataclasses(file: str) -> dict[str, str]:
    """The classes of one file."""
    tree = ast.parse((_PACKAGE / file).read_text())
    return {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def _sources() -> dict[str, str]:
    """Data sets with their descriptions, from the calls that declare them."""
    found = {}
    for tree in _trees("data"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "Source":
                named = {k.arg: k.value for k in node.keywords}
                if "name" in named and "description" in named:
                    name, words = named["name"], named["description"]
                    found[ast.literal_eval(name)] = ast.literal_eval(words)
    return dict(sorted(found.items()))


def _splits() -> dict[str, str]:
    """Vertical splits by name, from their table."""
    for tree in _trees("data"):
        for node in tree.body:
            target = node.target if isinstance(node, ast.AnnAssign) else None
            if target is not None and _name(target) == "SPLITS":
                tables = [n for n in ast.walk(node) if isinstance(n, ast.Dict)]
                return ast.literal_eval(tables[0])
    return {}


def _trees(room: str) -> Iterator[ast.Module]:
    """The parsed files of a room."""
    for path in sorted((_PACKAGE / room).glob("*.py")):
        yield ast.parse(path.read_text())


def _name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    return getattr(node, "id", None) or getattr(node, "attr", "")

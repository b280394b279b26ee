"""Rooms above the methods take them as they are: nothing asks which method it has."""

import ast
import inspect
from pathlib import Path

import pytest

import vfljax
from vfljax import attacks, defenses, models, protocol

PACKAGE = Path(vfljax.__file__).parent
ABOVE = sorted(
    path
    for place in ("experiments", "reports", "cli.py", "overrides.py", "listing.py")
    for path in (
        (PACKAGE / place).rglob("*.py")
        if (PACKAGE / place).is_dir()
        else [PACKAGE / place]
    )
)
KINDS = {
    name
    for room in (attacks, defenses, models, protocol)
    for name, value in vars(room).items()
    if inspect.isclass(value) and value.__module__.startswith("vfljax.")
}


def asked_about(source: str) -> set[str]:
    """Names in the second argument of `isinstance` and `issubclass`, and beside
    `type(...) is`, that are classes of methods.
    """
    asked = set()
    for node in ast.walk(ast.parse(source)):
        questions = []
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", "")
            if called in ("isinstance", "issubclass"):
                questions = node.args[1:]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any("type(" in ast.unparse(side) for side in sides):
                questions = sides
        for question in questions:
            for part in ast.walk(question):
                asked.add(getattr(part, "id", getattr(part, "attr", "")))
    return asked & KINDS


@pytest.mark.parametrize(
    "source",
    [
        "isinstance(x, LabelFlip)",
        "isinstance(x, (int, defenses.DPGaussian))",
        "issubclass(type(x), models.ResNet | str)",
        "type(x) is ModelSplitting",
        "type(x) == attacks.ModelCompletion",
    ],
)
def test_the_question_is_found(source):
    assert asked_about(source)
    assert not asked_about("isinstance(x, (str, Dataset)) or type(x).__name__ == 'a'")


@pytest.mark.parametrize("path", ABOVE, ids=lambda path: path.name)
def test_no_room_above_asks_which_method_it_has(path):
    assert asked_about(path.read_text()) == set()


@pytest.mark.parametrize("path", ABOVE, ids=lambda path: path.name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 400


OTHER_THINGS = {
    "optimizer": "that of an attack's adversary, and an interference's",
    "reading": "of a publication, each defense its own",
}
"""Options of one name and default that are not one and the same."""


def defaults_of(node: ast.AST) -> list[tuple[str, ast.expr]]:
    """Names and defaults of a function's parameters, or of a class's fields."""
    if isinstance(node, ast.FunctionDef):
        of = node.args
        positional = [*of.posonlyargs, *of.args]
        first = len(positional) - len(of.defaults)
        arguments = [*positional[first:], *of.kwonlyargs]
        values = zip(arguments, [*of.defaults, *of.kw_defaults], strict=True)
        return [(argument.arg, value) for argument, value in values if value]
    if isinstance(node, ast.ClassDef):
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        return [
            (ast.unparse(each.target), each.value)
            for each in fields
            if each.value and "ClassVar" not in ast.unparse(each.annotation)
        ]
    return []


def test_a_default_stands_once():
    """Numbers and words that say something: not 0, 1, None, True, False."""
    places: dict[tuple[str, object], list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for name, value in defaults_of(node):
                plain = isinstance(value, ast.Constant) and value.value
                if plain not in (None, False, 0, 1, "") and name not in OTHER_THINGS:
                    where = f"{path.relative_to(PACKAGE)}: {getattr(node, 'name', '')}"
                    places.setdefault((name, plain), []).append(where)
    twice = {what: where for what, where in places.items() if len(where) > 1}
    assert not twice
    assert ("num_poisoned", 600) in places


def test_defaults_are_found():
    source = "def f(a, b=2, *, c=3): pass\nclass C:\n    d: int = 4\n    e: int"
    function, record = ast.parse(source).body
    assert [name for name, _ in defaults_of(function)] == ["b", "c"]
    assert [name for name, _ in defaults_of(record)] == ["d"]

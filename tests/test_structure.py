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

"""Every notebook runs as a script and checks its own claim."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))
NEED_DATA = (  # from the folder VFLJAX_DATA
    "gradients_told_who_wore_glasses",
    "the_defense_that_looked_perfect",
    "what_the_bottom_model_learned",
)
each_notebook = pytest.mark.parametrize(
    "notebook", NOTEBOOKS, ids=[notebook.stem for notebook in NOTEBOOKS]
)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_is_in_percent_format_and_asserts_something(notebook):
    source = notebook.read_text(encoding="utf-8")
    assert source.startswith("# %% [markdown]\n")
    assert "\n# %%\n" in source
    assert any(isinstance(node, ast.Assert) for node in ast.parse(source).body)


@pytest.mark.slow
@each_notebook
def test_runs_as_a_script(notebook, tmp_path, request):
    environment = {**os.environ, "VFLJAX_SMALL": "1", "MPLBACKEND": "Agg"}
    if notebook.stem in NEED_DATA:  # skipped without
        folder = request.getfixturevalue("data_dir")
        environment["VFLJAX_DATA"] = str(folder.resolve())
    environment.pop("VFLJAX_FIGURE_DIR", None)
    finished = subprocess.run(
        [sys.executable, str(notebook)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert finished.returncode == 0, finished.stderr

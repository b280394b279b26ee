"""The README's Python runs as written, and its commands exist."""

import re
from pathlib import Path

import pytest

from vfljax import cli

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_first_example_recovers_the_labels():
    exec(compile(BLOCKS[0], "README.md", "exec"), {})


def test_the_attack_itself_takes_under_ten_lines():
    view_and_attack = BLOCKS[0].split("# What you decrypt in the end")[1]
    assert len(view_and_attack.strip().splitlines()) < 10


@pytest.mark.slow
def test_the_config_runs(tmp_path):
    config = tmp_path / "mine.py"
    config.write_text(BLOCKS[1])
    out = str(tmp_path / "out")
    assert cli.main(["run", str(config), "--out", out, "--num-trials", "2"]) == 0
    assert (tmp_path / "out" / "report" / "summary.md").exists()


def test_configs_it_names_exist():
    shipped = {path.stem for path in cli._shipped_configs()}
    assert set(re.findall(r"vfljax run (\w+)(?= |\n)", README)) - {
        "CONFIG",
        "mine",
    } <= (shipped)

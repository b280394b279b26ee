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
def test_the_config_runs_and_its_rows_are_read(tmp_path, capsys):
    config, out = tmp_path / "mine.py", tmp_path / "out"
    config.write_text(BLOCKS[1])
    arguments = ["--out", str(out), "--num-trials", "2"]
    arguments += ["--attacks.linear.solver", "exact"]
    assert cli.main(["run", str(config), *arguments]) == 0
    assert (out / "report" / "report.html").exists()
    capsys.readouterr()
    exec(compile(BLOCKS[2].replace("DIR", str(out)), "README.md", "exec"), {})
    assert "smallest" in capsys.readouterr().out


def test_configs_it_names_exist():
    shipped = {path.stem for path in cli._shipped_configs()}
    assert set(re.findall(r"vfljax run (\w+)(?= |\n)", README)) - {
        "CONFIG",
        "mine",
    } <= (shipped)

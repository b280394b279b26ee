"""The pages in `docs` run as written, block after block, in an empty folder."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from vfljax import cli

_PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _needs(block):
    """The module that a block is about, if it says so; it may not be installed."""
    found = re.match(r"# needs (\S+)\n", block)
    return found and found.group(1)


def _is_installed(module):
    return importlib.util.find_spec(module) is not None


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("page", _PAGES, ids=[page.stem for page in _PAGES])
def test_page_runs(page, tmp_path, monkeypatch):
    """A block `# NAME.py` is also saved as that file, which later commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    blocks = _BLOCK.findall(page.read_text())
    assert {kind for kind, _ in blocks} == {"python", "sh"}
    namespace = {"__name__": "__main__"}
    for kind, block in blocks:
        if kind == "sh":
            for line in block.strip().splitlines():
                program, *arguments = shlex.split(line)
                assert program == "vfljax"
                assert cli.main(arguments) == 0, line
            continue
        if (module := _needs(block)) and not _is_installed(module):
            continue
        if saved := re.match(r"# (\w+\.py)\n", block):
            Path(saved.group(1)).write_text(block)
        exec(compile(block, f"{page.name}: {block[:30]!r}", "exec"), namespace)


@pytest.mark.parametrize("name", ["own_attack", "own_defense"])
def test_own_classes_are_short(name):
    """At most fifteen lines of code: without blank ones and documentation."""
    source = (_PAGES[0].parents[1] / "configs" / f"{name}.py").read_text()
    body = re.search(r"^@dataclass.*?(?=^\S(?!lass))", source, re.M | re.S)
    assert body is not None
    code = re.sub(r'^ *""".*?"""$', "", body.group(), flags=re.MULTILINE | re.DOTALL)
    assert 5 <= sum(bool(line.strip()) for line in code.splitlines()) <= 15

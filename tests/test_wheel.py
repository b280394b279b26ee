"""What an installation brings: one top-level package, with the configs inside."""

import tomllib
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


def test_the_wheel_is_told_to_install_one_package():
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["vfljax"]
    assert wheel["force-include"] == {"configs": "vfljax/configs"}
    # A second folder of this name would be written over
    assert not (_ROOT / "vfljax" / "configs").exists()


@pytest.mark.slow
def test_the_wheel_has_one_top_level_package_and_every_config(tmp_path):
    builders = pytest.importorskip("hatchling.builders.wheel")
    builder = builders.WheelBuilder(str(_ROOT))
    (path,) = builder.build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(path).namelist()
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if ".dist-info" not in folder} == {"vfljax"}
    configs = {f"vfljax/configs/{path.name}" for path in _ROOT.glob("configs/*.py")}
    assert configs
    assert configs <= set(names)

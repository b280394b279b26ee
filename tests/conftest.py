"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real data sets; tests that need it are skipped without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VFLJAX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; VFLJAX_DATA says where they are")
    return folder

"""Fixtures of the tests of experiments."""

import contextlib

import jax
import pytest

from vfljax import data
from vfljax.experiments import sweep


@pytest.fixture(scope="package", autouse=True)
def quick_compilation():
    """Compiles quickly rather than well: programs here run for milliseconds."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def watch_programs():
    """A context in which sweeps add the `Programs` that they make to a list."""

    @contextlib.contextmanager
    def watch():
        made = []

        class Watched(sweep.Programs):
            def __init__(self, experiment):
                super().__init__(experiment)
                made.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep, "Programs", Watched)
            yield made

    return watch


@pytest.fixture(scope="session")
def watch_victims():
    """A context in which sweeps add the victims of every chunk to a list."""

    @contextlib.contextmanager
    def watch():
        victims, of_attack = [], sweep._RunningChunk._victim

        def watched(self, label, attack):
            before = len(self._victims)
            result = of_attack(self, label, attack)
            if len(self._victims) > before:
                victims.append(result[0])
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep._RunningChunk, "_victim", watched)
            yield victims

    return watch


@pytest.fixture(scope="session")
def run_rows():
    """Runs a sweep to its end and returns its rows."""

    def run(experiment, dataset, folder):
        progress = list(sweep.run_sweep(experiment, dataset, folder))
        assert progress[-1].done == progress[-1].total
        return sweep.records.read_run(folder).rows

    return run

"""Strict JAX settings, and fixtures that several test files share."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import optax
import pytest

from vfljax import models, protocol


def _share_of_the_cores() -> None:
    """Each of several test processes keeps to cores of its own.

    Otherwise each has threads for all cores, and long programs wait for each other.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker.isdigit() and hasattr(os, "sched_setaffinity"):
        num_workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[int(worker) % len(cores) :: num_workers])


def _share_programs() -> None:
    """All test processes, and those that they start, compile a program only once."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="vfljax-programs-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    jax.config.update(
        "jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"]
    )
    seconds = os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float(seconds))


_share_of_the_cores()  # before JAX counts them
_share_programs()
jax.config.update("jax_num_cpu_devices", 2)  # so that sharding is tested everywhere
jax.devices()  # fixes the number, which a command line would set otherwise
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no process is left with one at the end.

    Whole files are given to a process (`--dist loadfile`): tests of one share programs.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real data sets; tests that need it are skipped without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VFLJAX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}; VFLJAX_DATA says where they are")
    return folder


@pytest.fixture
def unchecked_types():
    """Turns the run-time type checks off, to meet the errors that users meet."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


class Exchange(NamedTuple):
    """One batch through a two-party protocol, and both views on it."""

    sample: protocol.SampleGradientView
    batch: protocol.BatchGradientView
    truth: jax.Array
    transcript: protocol.Transcript


@pytest.fixture(scope="session")
def make_exchange() -> Callable[..., Exchange]:
    """Random features, two untrained networks; the parties' widths differ."""

    def make(
        seed=0,
        batch=8,
        classes=3,
        widths=(12, 7),
        hidden=(6,),
        defense=None,
    ) -> Exchange:
        keys = jax.random.split(jax.random.key(seed), 5)
        model = models.mlp(hidden, embed=classes)
        run = protocol.sum_of_logits(
            (model, model),
            (optax.sgd(0.1), optax.sgd(0.1)),
            num_classes=classes,
            defense=defense,
        )
        features = [
            jax.random.uniform(key, (batch, width))
            for key, width in zip(keys[:2], widths, strict=True)
        ]
        truth = jax.random.randint(keys[2], (batch,), 0, classes)
        state = run.init(keys[3], features)
        transcript, _ = run.exchange(keys[4], state, features, truth, jnp.arange(batch))
        return Exchange(
            sample=protocol.sample_gradient_view(run, state, features[0], transcript),
            batch=protocol.batch_gradient_view(run, state, features[0], transcript),
            truth=truth,
            transcript=transcript,
        )

    return make

"""Strict JAX settings, and fixtures that several test files share."""

import os
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


_share_of_the_cores()  # before JAX counts them
jax.config.update("jax_num_cpu_devices", 2)  # so that sharding is tested everywhere
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


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

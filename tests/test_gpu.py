"""Checks that need an accelerator; run with `pytest -m gpu` on a machine with one."""

import jax
import numpy as np
import pytest

from vfljax import attacks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(jax.default_backend() == "cpu", reason="no accelerator"),
]


@pytest.mark.parametrize("solver", ["cg", "exact"])
def test_linear_recovery_equals_the_cpu(solver, make_exchange):
    exchange = make_exchange(batch=20, hidden=(16,))
    recover = jax.jit(lambda view: attacks.linear_recovery(view, solver=solver))
    on_accelerator = recover(exchange.batch)
    with jax.default_device(jax.devices("cpu")[0]):
        on_cpu = recover(jax.device_put(exchange.batch, jax.devices("cpu")[0]))
    np.testing.assert_array_equal(on_accelerator.labels, exchange.truth)
    np.testing.assert_allclose(
        on_accelerator.scores, np.asarray(on_cpu.scores), atol=1e-2
    )


def test_gradient_inversion_finds_the_labels(make_exchange):
    exchange = make_exchange(batch=20, hidden=(16,))
    inference = jax.jit(
        lambda key, view: attacks.gradient_inversion(key, view, steps=2000)
    )(jax.random.key(0), exchange.batch)
    np.testing.assert_array_equal(inference.labels, exchange.truth)

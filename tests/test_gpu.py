"""Checks that need an accelerator; run with `pytest -m gpu` on a machine with one."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, data, models, protocol

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


@pytest.fixture(scope="module")
def cifar10(data_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these pickles may lack a key of the original
        return data.load("cifar10", data_dir)


@pytest.mark.parametrize(("batch", "bound"), [(128, 0.97), (512, 0.95)])
def test_linear_recovery_from_resnet18(batch, bound, cifar10):
    """Halves of CIFAR-10, untrained, running statistics: 9 unknowns per image.

    With 11 million parameters the gradient determines all of them. 200 steps of
    conjugate gradients find them in full float32, not with rounded factors.
    """
    halves = data.split_features(cifar10.train_features[:batch], "columns", 2)
    features = [jnp.asarray(half) for half in halves]
    labels = jnp.asarray(cifar10.train_labels[:batch])
    model = models.resnet18(embed=10)
    run = protocol.sum_of_logits(
        (model, model), (optax.identity(),) * 2, num_classes=10, mode="evaluation"
    )

    @jax.jit
    def infer(features, labels):
        state, rows = run.init(jax.random.key(1), features), jnp.arange(batch)
        transcript, _ = run.exchange(jax.random.key(2), state, features, labels, rows)
        view = protocol.batch_gradient_view(run, state, features[0], transcript)
        return attacks.linear_recovery(view, solver="cg", iterations=200)

    inference = infer(features, labels)
    found = np.mean(np.asarray(inference.labels) == np.asarray(labels))
    print(f"B = {batch}: {found:.3f}, residual {inference.info.residual:.2g}")
    assert found >= bound

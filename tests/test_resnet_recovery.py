"""Labels from the batch gradient of residual networks, in the mode they ran in.

Batch normalization and dropout change the gradient: an attack has to run the network as
the adversary did, with the statistics of the batch or with the running ones, and with
the same units dropped. A view says so in `forward`.
"""

import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vfljax import attacks, data, models, protocol

MODES = ("evaluation", "training")


def make_view(model, features, labels, num_classes, mode):
    """The first party's view of one exchange between untrained networks."""
    run = protocol.sum_of_logits(
        (model, model), (optax.identity(),) * 2, num_classes=num_classes, mode=mode
    )

    @jax.jit
    def view(features, labels):
        state = run.init(jax.random.key(1), features)
        rows = jnp.arange(len(labels))
        transcript, _ = run.exchange(jax.random.key(2), state, features, labels, rows)
        return protocol.batch_gradient_view(run, state, features[0], transcript)

    return view(features, labels)


def small_batch():
    """Twenty samples of two parties, three classes that differ in their numbers."""
    *keys, key_labels = jax.random.split(jax.random.key(0), 3)
    features = [jax.random.normal(key, (20, 8, 6, 3)) for key in keys]
    shares = jnp.array([0.3, 0.45, 0.25])
    return features, jax.random.choice(key_labels, 3, (20,), p=shares)


@functools.partial(jax.jit, static_argnames="iterations")
def recover(view, iterations=80):
    return attacks.linear_recovery(view, solver="cg", iterations=iterations)


@jax.jit
def recover_and_invert(view):
    key = jax.random.key(5)
    return recover(view), attacks.gradient_inversion(key, view, steps=3000)


def accuracy(inference, labels):
    return np.mean(np.asarray(inference.labels) == np.asarray(labels))


def test_attacks_need_the_mode_of_the_gradient():
    """Both attacks, on gradients of both modes, with each mode assumed.

    The gradient has 435 entries for 40 unknowns, so that the right mode explains it
    without a rest and finds every label; the wrong one leaves more than a third of it.
    """
    model = models.resnet(8, embed=3, width=4, stages=1)
    features, labels = small_batch()
    forwards = {
        mode: models.Forward(
            models.init_statistics(model, features[0]), is_training=mode == "training"
        )
        for mode in MODES
    }
    for mode in MODES:
        view = make_view(model, features, labels, 3, mode)
        assert view.forward.is_training == (mode == "training")
        for assumed in MODES:
            seen = dataclasses.replace(view, forward=forwards[assumed])
            recovery, inversion = recover_and_invert(seen)
            found = accuracy(recovery, labels), accuracy(inversion, labels)
            if assumed == mode:
                assert found == (1.0, 1.0)
                assert recovery.info.residual < 1e-4
            else:
                assert max(found) < 0.95
                assert recovery.info.residual > 1 / 3


@pytest.mark.slow
def test_attacks_need_the_dropped_units():
    """ResNet-18 drops half of its pooled units; the adversary's key says which."""
    features, labels = small_batch()
    model = models.resnet18(embed=3, width=4)
    view = make_view(model, features, labels, 3, "training")
    right = recover_and_invert(view)
    assert [accuracy(inference, labels) for inference in right] == [1.0, 1.0]
    assert right[0].info.residual < 1e-4
    forward = dataclasses.replace(view.forward, dropout_key=jax.random.key(9))
    wrong = recover_and_invert(dataclasses.replace(view, forward=forward))
    assert max(accuracy(inference, labels) for inference in wrong) < 0.8
    assert wrong[0].info.residual > 1 / 3


@pytest.fixture(scope="module")
def cifar_halves(data_dir):
    """Left and right halves of 32 training images, and their labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # these pickles may lack a key of the original
        dataset = data.load("cifar10", data_dir)
    halves = data.split_features(dataset.train_features[:32], "columns", 2)
    return [jnp.asarray(half) for half in halves], jnp.asarray(
        dataset.train_labels[:32]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "bound"), [("evaluation", 0.99), ("training", 0.9)])
def test_recovery_from_untrained_resnet18(mode, bound, cifar_halves):
    """Twenty conjugate-gradient steps, 11 million parameters, 288 unknowns.

    Zou et al. (2022) train this network on CIFAR-10; with the statistics of the batch
    and known dropout masks the labels are as exposed as with running statistics.
    """
    features, labels = cifar_halves
    view = make_view(models.resnet18(embed=10), features, labels, 10, mode)
    inference = recover(view, iterations=20)
    found = accuracy(inference, labels)
    print(f"{mode}: accuracy {found:.3f}, residual {inference.info.residual:.2g}")
    assert found >= bound

"""Head gradients of drawn batches and of a network on digits, for several files."""

import functools
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import data, models, protocol


def view_of(gradient, of_bias, weights, bias, batch):
    """What the attack reads of a round; the rest of the network plays no part."""
    params = {"output": {"kernel": jnp.asarray(weights.T), "bias": jnp.asarray(bias)}}
    update = {
        "output": {"kernel": jnp.asarray(gradient.T), "bias": jnp.asarray(of_bias)}
    }
    model = protocol.PartyModel(init=lambda key, x: (), apply=lambda params, x: x)
    return protocol.UpdateView(
        model, params, update, 0.1, len(weights), batch, (weights.shape[1],)
    )


def drawn(seed, n, batch, d, dtype=np.float64, scale=1.0):
    """Gradient of a random head on rectified normal inputs, and inputs and labels."""
    generator = np.random.default_rng(seed)
    inputs = np.maximum(generator.standard_normal((batch, d)), 0)
    weights = scale * generator.standard_normal((n, d)) / np.sqrt(d)
    bias = 0.1 * generator.standard_normal(n)
    labels = generator.integers(n, size=batch)
    inputs, weights, bias = (x.astype(dtype) for x in (inputs, weights, bias))
    return *gradients(inputs, labels, weights, bias), weights, bias, inputs, labels


def gradients(inputs, labels, weights, bias):
    """By the definition, in NumPy: (1/B) Σ δ hᵀ and (1/B) Σ δ."""
    logits = inputs @ weights.T + bias
    delta = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta /= delta.sum(axis=1, keepdims=True)
    delta[np.arange(len(labels)), labels] -= 1
    return delta.T @ inputs / len(labels), delta.mean(axis=0)


@functools.partial(jax.jit, static_argnums=(0, 6))
def run(attack, key, gradient, of_bias, weights, bias, batch):
    return attack(key, view_of(gradient, of_bias, weights, bias, batch))


def infer(attack, gradient, of_bias, weights, bias, batch, seed=0):
    key = jax.random.key(seed)
    found = run(attack, key, gradient, of_bias, weights, bias, batch)
    return jax.tree.map(np.asarray, found)


def errors_of(info, inputs, labels):
    """Relative error of each embedding, against a sample of its label of its own."""
    errors, free = np.full(len(labels), np.inf), set(range(len(labels)))
    for place, label in enumerate(info.labels):
        of = {
            b: np.linalg.norm(info.embeddings[place] - inputs[b])
            / np.linalg.norm(inputs[b])
            for b in free
            if labels[b] == label
        }
        if of:
            best = min(of, key=of.__getitem__)
            errors[place] = of[best]
            free.remove(best)
    return errors


@functools.partial(jax.jit, static_argnums=(0, 3))
def trained(network, features, labels, steps):
    """A single stream of SGD at rate .1 with batches of 8."""

    def one(params, key):
        rows = jax.random.randint(key, (8,), 0, len(features))
        gradient = protocol.batch_gradient(
            network, params, features[rows], labels[rows], 10
        )
        return jax.tree.map(lambda w, g: w - 0.1 * g, params, gradient), None

    params = network.init(jax.random.key(0), features[:1])
    return jax.lax.fori_loop(
        0,
        steps,
        lambda step, params: one(params, jax.random.fold_in(jax.random.key(1), step))[
            0
        ],
        params,
    )


@pytest.fixture(scope="session")
def digits(data_dir):
    """Head gradients of LLG's network on MNIST, at any step and for any batch size."""
    mnist = data.load("mnist", data_dir)
    network = models.SigmoidCNN(start_bound=0.5).make(10)

    @functools.lru_cache
    def params_at(steps):
        with jax.enable_x64(False), jax.numpy_rank_promotion("allow"):
            features = jnp.asarray(mnist.train_features)
            return trained(network, features, jnp.asarray(mnist.train_labels), steps)

    def make(steps, batch, seed):
        with jax.enable_x64(False), jax.numpy_rank_promotion("allow"):
            params = params_at(steps)
            rows = np.random.default_rng(seed).integers(
                len(mnist.test_labels), size=batch
            )
            features = jnp.asarray(mnist.test_features[rows])
            labels = mnist.test_labels[rows]
            update = protocol.batch_gradient(
                network, params, features, jnp.asarray(labels), 10
            )
            view = protocol.UpdateView(
                network, params, update, 0.1, 10, batch, (28, 28)
            )
            inputs = protocol.inputs_of_head(view, features, "output")
            weights, bias = protocol.head_of(params, "output")
            head = *protocol.head_of(update, "output"), weights, bias
            return *map(np.asarray, (*head, inputs)), labels

    return make


class Shares(NamedTuple):
    """What came out for a number of batches."""

    certain: float  # batches of which every sample is certified
    samples: float  # samples that are right, certified or not
    counts: float  # overlap of the label counts
    wrong: int  # samples certified wrongly


def certain_shares(attack, digits, steps, batch, num, *, noise=0.0, dtype=np.float32):
    """Runs an attack on `num` batches and prints what came out."""
    rows = []
    for seed in range(num):
        gradient, of_bias, weights, bias, inputs, labels = digits(steps, batch, seed)
        generator = np.random.default_rng(seed)
        draws = generator.standard_normal(gradient.shape)
        gradient = gradient + noise * np.sqrt(np.mean(gradient**2)) * draws
        gradient = gradient.astype(dtype).astype(np.float32)
        found = infer(attack, gradient, of_bias, weights, bias, batch, seed)
        errors = errors_of(found.info, inputs, labels)
        wrong = np.sum(found.info.certified & ~(errors < 0.1))
        true = np.bincount(labels, minlength=10)
        overlap = np.minimum(found.counts, true).sum() / batch
        rows.append((found.info.certified.all(), np.mean(errors < 0.1), overlap, wrong))
    certain, samples, counts, wrong = np.array(rows, float).T
    means = (float(share.mean()) for share in (certain, samples, counts))
    shares = Shares(*means, wrong=int(wrong.sum()))
    print(f"{type(attack).__name__}, B {batch}, step {steps}: {shares}")
    return shares


@pytest.fixture(scope="session")
def heads():
    """The functions of this file."""
    return SimpleNamespace(
        view_of=view_of,
        drawn=drawn,
        gradients=gradients,
        infer=infer,
        errors_of=errors_of,
        certain_shares=certain_shares,
    )

"""LLG's code of a gradient compression, against NumPy, on its own network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import models, protocol
from vfljax.defenses import ReleasedCompression, update_shapes

NAMES = [
    (layer, part)
    for layer in ("conv_0", "conv_1", "conv_2", "output")
    for part in ("kernel", "bias")
]


def compress(tensors, memory, share):
    """As the code says: for each class and tensor at one position in their lists.

    `tensors` are those of a network in PyTorch's order, the last but one the kernel of
    the last layer, (inputs, classes).
    """
    magnitudes = np.abs(tensors[-2].sum(axis=0))
    threshold = np.sort(magnitudes)[int(len(magnitudes) * share) - 1]
    sent, kept = [], []
    for place, (tensor, before) in enumerate(zip(tensors, memory, strict=True)):
        if place < len(magnitudes) and magnitudes[place] <= threshold:
            gathered = before + tensor
            if abs(gathered.sum()) < threshold:
                sent.append(0 * tensor)
                kept.append(gathered)
            else:
                sent.append(tensor)
                kept.append(0 * tensor)
        else:
            sent.append(tensor)
            kept.append(before)
    return sent, kept


def listed(tree):
    return [np.asarray(tree[layer][part]) for layer, part in NAMES]


@pytest.fixture(scope="module")
def updates():
    """Of five rounds, with labels that differ, on images that were drawn."""
    network = models.SigmoidCNN(start_bound=0.5).make(10)
    rows = np.random.default_rng(0)
    images = jnp.asarray(rows.uniform(size=(5, 8, 28, 28)), jnp.float32)
    labels = jnp.asarray(rows.integers(0, 10, (5, 8)))
    params = network.init(jax.random.key(0), images[0])

    @jax.jit
    def of_rounds(images, labels):
        return jax.lax.map(
            lambda batch: protocol.batch_gradient(
                network, params, batch[0], batch[1], 10
            ),
            (images, labels),
        )

    stacked = of_rounds(images, labels)
    return [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(5)]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.8])
def test_it_is_what_the_code_does(updates, share):
    defense = ReleasedCompression().at(share, update_shapes(updates[0]))
    state = defense.init_update(updates[0])
    memory = [0 * tensor for tensor in listed(updates[0])]
    withheld = 0
    for update in updates:
        sent, state = defense.perturb_update(jax.random.key(0), state, update)
        expected, memory = compress(listed(update), memory, share)
        for one, other in zip(listed(sent), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(listed(state), memory, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
        withheld += sum(not tensor.any() for tensor in expected)
    assert 0 < withheld < 5 * len(NAMES)


def test_the_last_kernel_is_withheld_or_sent_in_the_clear(updates):
    """Its entries sum to zero, so that it goes if the seventh class's sum is small."""
    fates = []
    for update in updates:
        kernel = np.asarray(update["output"]["kernel"])
        sums = np.abs(kernel.sum(axis=0))
        assert abs(kernel.sum()) < 1e-3 * sums.max()
        for share in (0.2, 0.4, 0.8):
            defense = ReleasedCompression().at(share, update_shapes(update))
            state = defense.init_update(update)
            sent, _ = defense.perturb_update(jax.random.key(0), state, update)
            is_withheld = sums[6] <= np.sort(sums)[int(10 * share) - 1]
            expected = np.zeros_like(kernel) if is_withheld else kernel
            np.testing.assert_array_equal(sent["output"]["kernel"], expected)
            fates.append(bool(is_withheld))
    assert 0 < sum(fates) < len(fates)


def test_two_classes_have_a_threshold_of_the_largest():
    """⌊.2 · 2⌋ is none, and the code then takes the last of the sorted sums.

    Class sums 3 and −1: the threshold is 3, and tensors 0 and 1 are compared with it.
    The kernel sums to 2 < 3 and is withheld, the bias to 5 and is sent.
    """
    kernel = jnp.array([[1.0, -2.0], [2.0, 1.0]])
    update = {"output": {"bias": jnp.array([5.0, 0.0]), "kernel": kernel}}
    defense = ReleasedCompression(withheld=0.2)
    sent, state = defense.perturb_update(
        jax.random.key(0), defense.init_update(update), update
    )
    np.testing.assert_array_equal(sent["output"]["kernel"], np.zeros((2, 2)))
    np.testing.assert_array_equal(state["output"]["kernel"], kernel)
    np.testing.assert_array_equal(sent["output"]["bias"], [5.0, 0.0])

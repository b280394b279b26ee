"""Algorithm 3 and Eq. 13 on ciphertexts equal the same on plain integers, exactly."""

import numpy as np
import pytest

from vfljax import encryption
from vfljax.protocol import encrypted
from vfljax.protocol.encrypted import RowOperations

_OPERATIONS = RowOperations(
    replace=((1, 4), (3, 0)),
    amplification=10,
    skip=(4, 2),
    add=((5, (1.0, 0.0, -1.0)), (0, (0.0, 0.75, -1.25))),
)


def poisoned_by_hand(training, operations):
    """The poisoned gradient of the first batch in integers, row by row.

    Embeddings are swapped before the softmax; then additions, replacements, skipping.
    """
    rows = training.batches[0]
    activations = np.rint(training.passive[0].activations[rows] * 2.0**14).astype(int)
    logits = {}
    for name, inputs in {
        "passive": training.passive[0],
        "active": training.active,
    }.items():
        layer = inputs.params["output"]
        of_party = inputs.activations[rows].astype(float)
        if name == "passive":
            of_party = activations / 2.0**14
        of_party = of_party @ layer["kernel"].astype(float)
        logits[name] = of_party + layer["bias"].astype(float)[None]
    sent = logits["passive"].copy()
    for i, j in operations.replace:
        sent[j] = logits["passive"][i]
    rounded = np.rint(sent * 2.0**20) + np.rint(logits["active"] * 2.0**20)
    total = np.float32(rounded / 2.0**20)
    softmax = np.exp(total - total.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    truth = np.eye(training.agreement.num_classes)[training.active.labels[rows]]
    message = np.rint((softmax - truth) * 2.0**20).astype(int)
    gamma = operations.amplification
    for row, change in operations.add:
        message[row] += np.rint(2**20 * np.array(change)).astype(int)
    used = message.copy()
    for row, _ in operations.add:
        used[row] = gamma * message[row]
    for i, j in operations.replace:
        used[i] = gamma * message[j]
    used[list(operations.skip)] = 0
    ones = np.full((len(rows), 1), 2**14)
    return np.concatenate([activations, ones], axis=1).T @ used


@pytest.mark.parametrize("layout", ["row", "compact"])
@pytest.mark.parametrize("backend", ["bfv", "plain_int"])
def test_poisoned_integers(make_training, layout, backend):
    """Exactly those of plain integers, and of NumPy by hand but for float32 softmax.

    The softmax may fall on another side of a half in a few entries: one unit of the
    20th bit times an activation below one times 10.
    """
    settings = {"operations": {0: _OPERATIONS}, "layout": layout}
    training = make_training(preset="default", backend=backend, **settings)
    plain = make_training(
        preset="default", backend="plain_int", operations={0: _OPERATIONS}
    )
    found = encrypted.run_here(*training).observations[0][0].integers
    expected = encrypted.run_here(*plain).observations[0][0].integers
    np.testing.assert_array_equal(found, expected)
    by_hand = poisoned_by_hand(plain, _OPERATIONS)
    assert np.abs(found - by_hand).max() <= 6 * 10 * 2**14
    assert np.abs(found).max() > 1000 * 6 * 10 * 2**14


@pytest.mark.parametrize(
    "operations",
    [
        RowOperations(replace=((1, 4),), amplification=1),
        RowOperations(add=((5, (1.0, 0.0, -1.0)),)),
        RowOperations(skip=(0, 1, 2, 3, 4, 5)),
    ],
    ids=["swap", "add", "nothing left"],
)
def test_each_operation_alone(make_training, operations):
    training = make_training(operations={0: operations}, num_iterations=1)
    found = encrypted.run_here(*training).observations[0][0].integers
    by_hand = poisoned_by_hand(training, operations)
    assert np.abs(found - by_hand).max() <= 6 * 2**14


def test_an_addition_moves_a_label_in_the_gradient(make_training):
    """From y to τ: the gradient's row m loses A_m/B at τ and gains it at y."""
    honest = make_training(backend="plain_int", num_iterations=1)
    flip = {0: RowOperations(add=((2, (-1.0, 1.0, 0.0)),))}
    flipped = make_training(backend="plain_int", num_iterations=1, operations=flip)
    difference = (
        encrypted.run_here(*flipped).observations[0][0].integers
        - encrypted.run_here(*honest).observations[0][0].integers
    )
    activations = honest.passive[0].activations[honest.batches[0][2]]
    column = np.append(np.rint(activations * 2.0**14), 2**14) * 2**20
    np.testing.assert_array_equal(difference[:, 1], column)
    np.testing.assert_array_equal(difference[:, 0], -column)
    np.testing.assert_array_equal(difference[:, 2], 0 * column)


def test_operations_belong_to_their_iteration(make_training):
    operations = {1: RowOperations(replace=((1, 4),), amplification=10)}
    settings = {"backend": "plain_int", "num_iterations": 2}
    honest = encrypted.run_here(*make_training(**settings)).observations[0]
    poisoned = encrypted.run_here(*make_training(operations=operations, **settings))
    first, second = (poisoned.observations[0][i].integers for i in (0, 1))
    np.testing.assert_array_equal(first, honest[0].integers)
    assert (second != honest[1].integers).any()


def test_amplification_counts_in_the_range(make_training):
    """Rows of 250 fit six times, but not with one of them ten thousand times."""
    operations = {0: RowOperations(add=((0, (1.0, -1.0, 0.0)),), amplification=10_000)}
    training = make_training(backend="plain_int", operations=operations)
    with pytest.raises(ValueError, match="amplification included"):
        encrypted.run_here(*training)


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        (RowOperations(replace=((0, 6),)), r"operations: row=6: must be in \[0, 5\]"),
        (RowOperations(skip=(-1,)), "operations: row=-1"),
        (RowOperations(add=((6, (1.0, -1.0, 0.0)),)), "operations: row=6: must be in"),
        (RowOperations(add=((0, (1.0, -1.0)),)), "entry for each of the 3 classes"),
        (RowOperations(amplification=0), "amplification=0: must be >= 1"),
        (
            RowOperations(replace=((0, 1), (0, 2))),
            "each row is the first of one at most",
        ),
        (
            RowOperations(replace=((0, 1), (2, 1))),
            "each row is the second of one at most",
        ),
    ],
)
def test_operations_that_make_no_sense_are_refused(make_training, operations, reason):
    training = make_training(backend="plain_int", operations={0: operations})
    with pytest.raises(ValueError, match=reason):
        encrypted.run_here(*training)


def test_residues_of_an_addition_are_exact():
    """2^20 and -2^20 mod 2^52."""
    residues = encryption.to_residues(np.array([2**20, -(2**20)]), 52)
    assert residues.tolist() == [2**20, 2**52 - 2**20]

"""Clusters and their names: by hand, at the edges, and through the protocol."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import attacks, metrics, protocol
from vfljax.defenses import Defense

cluster_rows = jax.jit(attacks.cluster_rows, static_argnames=("restarts", "iterations"))
cluster_matching = jax.jit(attacks.cluster_matching)
RECTANGLE = jnp.array([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 2.0]])
CODEBOOKS = {
    "permutation": np.eye(4, dtype=np.float32)[[2, 0, 3, 1]],
    "soft": np.array(
        [
            [0.00, 0.10, 0.60, 0.30],
            [0.45, 0.00, 0.15, 0.40],
            [0.25, 0.70, 0.00, 0.05],
            [0.90, 0.05, 0.05, 0.00],
        ],
        np.float32,
    ),
}


def test_by_hand():
    """Centers (0, 1) and (10, 1), each row at distance 1 from its own.

    The first row is known to be of class 1, so (0, 1) is its center. The squared
    distance of the first row to the other is 10² + 1.
    """
    known = jnp.array([1, -1, -1, -1])
    inference = cluster_rows(jax.random.key(0), RECTANGLE, known)
    np.testing.assert_allclose(inference.info.centers, [[10, 1], [0, 1]])
    np.testing.assert_allclose(inference.info.inertia, 1.0)
    np.testing.assert_allclose(inference.scores[0], [-101, -1])
    np.testing.assert_array_equal(inference.labels, [1, 1, 0, 0])


def test_known_rows_keep_their_label():
    """Row 1 is known to be of class 0 and lies with class 1.

    Mean squared distance of class 0's rows, 1 and 2, to either center: (1 + 101)/2. Of
    class 1's row 0: 1 and 101. In total least: (0, 1) is of class 1, as without row 1.
    """
    known = jnp.array([1, 0, 0, -1])
    labels = cluster_rows(jax.random.key(0), RECTANGLE, known).labels
    np.testing.assert_array_equal(labels, [1, 0, 0, 0])


def test_known_labels_may_be_constants_of_a_program():
    known = jnp.array([1, -1, -1, -1])
    inference = jax.jit(lambda key, rows: attacks.cluster_rows(key, rows, known))(
        jax.random.key(0), RECTANGLE
    )
    np.testing.assert_array_equal(inference.labels, [1, 1, 0, 0])


def test_renaming_the_known_labels_renames_the_answer():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), [9, 2, 5, 4])
    rows = 3.0 * np.eye(4)[truth] + 0.3 * rng.normal(size=(20, 4))
    first = np.array([0, 9, 11, 16])
    for names in ([0, 1, 2, 3], [2, 0, 3, 1]):
        names = np.array(names)
        known = np.full(20, -1)
        known[first] = names[truth[first]]
        inference = cluster_rows(
            jax.random.key(1),
            jnp.asarray(rows, jnp.float32),
            jnp.asarray(known),
            restarts=8,
        )
        np.testing.assert_array_equal(inference.labels, names[truth])


@pytest.mark.parametrize("present", [[0, 1, 2], [1, 2, 3], [3, 0, 2]])
def test_absent_classes_take_no_rows_of_others(present):
    """Four centers for three distinct rows: two are equal, the known class counts."""
    truth = np.repeat(present, [4, 2, 14])
    known = np.full(20, -1)
    known[[0, 4, 6]] = present
    rows = jnp.eye(4)[jnp.asarray((truth + 1) % 4)]
    labels = cluster_rows(
        jax.random.key(0), rows, jnp.asarray(known), restarts=8
    ).labels
    np.testing.assert_array_equal(labels, truth)


def test_all_rows_equal():
    known = jnp.full(20, -1).at[1].set(2)
    inference = cluster_rows(
        jax.random.key(0), jnp.full((20, 4), 0.2), known, restarts=8
    )
    np.testing.assert_array_equal(inference.labels, 2)
    assert inference.finite
    np.testing.assert_allclose(inference.info.inertia, 0.0, atol=1e-12)


@pytest.mark.parametrize("counts", [(10, 10, 10, 10), (28, 4, 4, 4)])
def test_shuffled_messages_give_no_more_than_the_largest_class(counts):
    """`metrics.chance_accuracy` is the chance level with named samples, too.

    Clear clusters of the classes' sizes, but other samples', a hundred times.
    """
    truth = np.repeat(np.arange(4), counts)
    known = np.full(40, -1)
    known[np.cumsum((0, *counts[:3]))] = range(4)
    counted = known < 0
    rng = np.random.default_rng(0)
    rows = 5 * np.eye(4)[[rng.permutation(truth) for _ in range(100)]]
    rows = jnp.asarray(rows + 0.3 * rng.normal(size=rows.shape), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 100)
    clustered = jax.jit(jax.vmap(attacks.cluster_rows, in_axes=(0, 0, None)))
    labels = np.asarray(clustered(keys, rows, jnp.asarray(known)).labels)
    found = np.mean(labels[:, counted] == truth[counted])
    largest = np.mean(truth[counted] == 0)
    assert found <= largest + 0.02  # the standard error of a hundred is .01
    if len(set(counts)) == 1:
        assert found == pytest.approx(largest, abs=0.04)


@pytest.mark.parametrize("broken", [jnp.nan, jnp.inf])
def test_rows_with_nan_are_left_out(broken):
    """Row 1 has no part in its center, which is row 0, and no answer though known."""
    known = jnp.array([1, 1, 0, -1])
    rows = RECTANGLE.at[1, 0].set(broken)
    inference = cluster_rows(jax.random.key(0), rows, known)
    np.testing.assert_array_equal(inference.labels, [1, -1, 0, 0])
    np.testing.assert_allclose(inference.info.centers, [[10, 1], [0, 0]])
    np.testing.assert_allclose(inference.info.inertia, 2 / 3)
    assert not inference.finite


def test_more_starts_find_no_worse_clusters():
    """The best of them is taken; 20 rows without structure, ten seeds."""
    rows, unknown = jax.random.normal(jax.random.key(3), (20, 4)), jnp.full(20, -1)
    one, many = (
        [
            float(
                cluster_rows(
                    jax.random.key(seed), rows, unknown, restarts=restarts
                ).info.inertia
            )
            for seed in range(10)
        ]
        for restarts in (1, 8)
    )
    assert np.mean(many) < np.mean(one)
    assert np.std(many) < np.std(one)


@pytest.mark.parametrize("name", CODEBOOKS)
def test_an_encoder_hides_names_not_classes(name, make_exchange):
    """Recovered arg-max right for nobody; one known sample per class names them all."""
    exchange = coded(make_exchange, name)
    recovered = attacks.direct_inference(exchange.sample).scores
    truth = np.asarray(exchange.truth)
    assert not np.any(np.argmax(recovered, axis=1) == truth)
    known = np.full(len(truth), -1)
    first = [int(np.flatnonzero(truth == label)[0]) for label in range(4)]
    known[first] = range(4)
    unknown = jnp.full(len(truth), -1)
    for given, reached in ((jnp.asarray(known), metrics.accuracy), (unknown, matched)):
        inference = cluster_matching(
            jax.random.key(0), exchange.sample, recovered, given
        )
        assert reached(inference.labels, exchange.truth) == 1.0


def test_the_adversarys_own_softmax_is_taken_out(make_exchange):
    """Rows are B·u − softmax(H^p), so that centers lie near −ỹ + (the rest of S)."""
    view = coded(make_exchange, "soft").sample
    recovered = attacks.direct_inference(view).scores
    own = jax.nn.softmax(view.model.apply(view.params, view.features))
    unknown = jnp.full(20, -1)
    expected = cluster_rows(jax.random.key(2), -recovered - own, unknown, restarts=8)
    inference = cluster_matching(jax.random.key(2), view, recovered, unknown)
    np.testing.assert_allclose(inference.scores, expected.scores, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"restarts": 0}, r"restarts=0: must be in \[1, inf\]"),
        ({"iterations": 0}, r"iterations=0: must be in \[1, inf\]"),
        ({"known_labels": jnp.array([0, 1])}, r"known_labels: shape \(2,\), must be"),
        ({"known_labels": jnp.full(8, 3)}, r"known_labels=.*: must be in \[0, 2\], or"),
        ({"known_labels": jnp.full(8, -2)}, "known_labels=.*: must be in"),
        ({"recovered": jnp.zeros((8, 4))}, r"recovered: shape \(8, 4\), must be"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_arguments(changes, message):
    model = protocol.PartyModel(
        init=lambda key, x: jnp.zeros((2, 3)), apply=lambda params, x: x @ params
    )
    view = protocol.SampleGradientView(
        model, jnp.zeros((2, 3)), jnp.ones((8, 2)), jnp.zeros((8, 3)), 3
    )
    arguments = {"recovered": jnp.zeros((8, 3)), **changes}
    with pytest.raises(ValueError, match=message):
        attacks.cluster_matching(jax.random.key(0), view, **arguments)


def coded(make_exchange, name):
    class Encoder(Defense):
        encodes_labels = True

        def encode_labels(self, labels):
            return labels @ jnp.asarray(CODEBOOKS[name])

    return make_exchange(batch=20, classes=4, hidden=(), defense=Encoder())


def matched(labels, truth):
    return metrics.matched_accuracy(np.asarray(labels), np.asarray(truth), 4)

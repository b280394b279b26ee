"""Who holds which samples, and batches whose labels are chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax import data

LABELS = np.repeat(np.arange(5), 40)


def own_rows(partition):
    """The rows of each participant, without what fills up the lines."""
    return [
        own[:count] for own, count in zip(partition.rows, partition.counts, strict=True)
    ]


def test_even_parts_are_disjoint_and_as_large():
    rows = own_rows(data.partition_evenly(len(LABELS), 7, seed=0))
    assert [len(own) for own in rows] == [28] * 7
    assert len(set(np.concatenate(rows))) == 28 * 7


@pytest.mark.parametrize("concentration", [0.05, 1.0, 100.0])
def test_dirichlet_parts_hold_every_row_once(concentration):
    partition = data.partition_by_dirichlet(LABELS, 6, concentration, seed=1)
    assert sorted(np.concatenate(own_rows(partition))) == list(range(len(LABELS)))


def test_smaller_concentration_means_fewer_classes():
    def classes_each(concentration):
        parts = data.partition_by_dirichlet(LABELS, 10, concentration, seed=0)
        return np.mean([len(set(LABELS[own])) for own in own_rows(parts)])

    assert classes_each(0.05) < 2.5 < 4.5 < classes_each(100.0)


def test_nobody_is_left_without_a_row():
    labels = np.array([0, 1, 0, 1])
    for seed in range(20):
        assert min(data.partition_by_dirichlet(labels, 4, 0.01, seed).counts) == 1


def test_own_rows_are_drawn():
    partition = data.partition_by_rows([[4, 5, 6], [1], [2, 9]])
    rows = data.draw_own_rows(jax.random.key(0), partition, jnp.array([2, 0]), (20, 10))
    assert rows.shape == (2, 20, 10)
    assert set(np.unique(rows[0])) == {2, 9}
    assert set(np.unique(rows[1])) == {4, 5, 6}


@pytest.mark.parametrize("batch", [1, 2, 8, 9])
def test_skewed_labels(batch):
    """Half of one class and a quarter of another, the same in all batches."""
    labels = data.draw_labels(jax.random.key(3), "skewed", (50, batch), 10)
    first, second = labels[:, : batch // 2], labels[:, batch // 2 :][:, : batch // 4]
    assert len(np.unique(first)) == min(batch // 2, 1)
    assert len(np.unique(second)) == min(batch // 4, 1)
    if batch >= 4:
        assert first[0, 0] != second[0, 0]
    rest = labels[:, batch // 2 + batch // 4 :]
    assert set(np.unique(rest)) == set(range(10))


def test_uniform_labels_are_uniform():
    labels = np.asarray(data.draw_labels(jax.random.key(1), "uniform", (100, 100), 4))
    shares = np.bincount(labels.ravel()) / labels.size
    np.testing.assert_allclose(shares, 0.25, atol=0.02)  # 5 standard deviations


def test_rows_of_given_classes():
    table = data.class_table(LABELS, 5)
    labels = jax.random.randint(jax.random.key(0), (3, 200), 0, 5)
    rows = data.draw_rows_of(jax.random.key(1), table, labels)
    np.testing.assert_array_equal(LABELS[np.asarray(rows)], labels)
    assert len(np.unique(rows)) > 150


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.partition_evenly(3, 4, seed=0), r"num_participants=4: must be"),
        (
            lambda: data.partition_by_dirichlet(LABELS, 2, 0.0, seed=0),
            "concentration=0.0",
        ),
        (
            lambda: data.partition_by_dirichlet(LABELS, 2, float("inf"), seed=0),
            r"concentration=inf: must be in \(0, inf\)",
        ),
        (lambda: data.partition_by_rows([[1], []]), r"rows=\[1, 0\]: must be one row"),
        (
            lambda: data.draw_labels(jax.random.key(0), "uniform", (0, 2), 3),
            r"shape=\(0, 2\)",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()

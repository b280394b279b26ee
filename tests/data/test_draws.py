import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax.data import (
    class_table,
    draw_batch,
    draw_classes,
    draw_known_labels,
    draw_known_rows,
)

# Classes.

# 5 rows of class 0, 1 of class 1, 3 of class 2, 8 of class 3, in no order
LABELS = np.array([3, 0, 3, 2, 0, 3, 3, 0, 1, 3, 2, 0, 3, 3, 0, 3, 2])


def test_class_table_lists_the_rows_of_each_class():
    table = class_table(LABELS, 4)
    assert table.counts.tolist() == [5, 1, 3, 8]
    assert table.starts.tolist() == [0, 5, 6, 9]
    assert table.order.tolist() == [
        1, 4, 7, 11, 14, 8, 3, 10, 16, 0, 2, 5, 6, 9, 12, 13, 15
    ]  # fmt: skip
    assert {column.dtype for column in table} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("labels", "num_classes", "reason"),
    [
        (LABELS, 3, r"labels\[0\]=3: must be an integer 0 to 2"),
        (LABELS - 1, 4, r"labels\[1\]=-1"),
        (LABELS, 5, r"labels=.*: must be 0 to 4, of which each"),
        (LABELS[LABELS != 1], 4, r"labels=.*: must be 0 to 3, of which each"),
    ],
)
def test_labels_without_a_table_are_refused(labels, num_classes, reason):
    with pytest.raises(ValueError, match=reason):
        class_table(labels, num_classes)


@pytest.mark.parametrize("classes", [[3, 1], [2, 0, 1], [0, 1, 2, 3], [3, 2, 1, 0]])
def test_drawn_labels_are_positions_among_the_chosen_classes(classes):
    indices, new_labels = draw_batch(
        jax.random.key(1), class_table(LABELS, 4), jnp.array(classes), 500
    )
    assert indices.shape == new_labels.shape == (500,)
    assert indices.dtype == new_labels.dtype == jnp.int32
    np.testing.assert_array_equal(
        np.array(classes)[np.asarray(new_labels)], LABELS[np.asarray(indices)]
    )
    # Every row of the chosen classes comes up: one in 17 is missed by 500 draws with
    # probability below 17 * (16/17)^500 = 1e-12
    assert set(np.asarray(indices)) == set(np.flatnonzero(np.isin(LABELS, classes)))


def frequencies_fit(indices, weights):
    """Whether a chi-square test at 1e-4 accepts draws of rows with these weights."""
    rows = np.flatnonzero(weights)
    observed = np.bincount(indices, minlength=len(weights))
    assert observed.sum() == observed[rows].sum()
    expected = weights[rows] / weights.sum() * observed.sum()
    return scipy.stats.chisquare(observed[rows], expected).pvalue > 1e-4


def test_rows_are_drawn_with_equal_probability():
    """Equal weights are accepted; equal weights of classes are rejected."""
    indices, _ = draw_batch(
        jax.random.key(2), class_table(LABELS, 4), jnp.array([3, 0, 1]), 4000
    )
    is_chosen = np.isin(LABELS, [3, 0, 1])
    assert frequencies_fit(np.asarray(indices), 1.0 * is_chosen)
    class_sizes = np.bincount(LABELS)[LABELS]
    assert not frequencies_fit(np.asarray(indices), is_chosen / class_sizes)


def test_draws_are_independent():
    """Neighbors in a batch are as independent as with replacement, not without."""
    table = class_table(LABELS, 4)
    keys = jax.random.split(jax.random.key(3), 4000)
    pairs, _ = jax.vmap(lambda key: draw_batch(key, table, jnp.array([2, 1]), 2))(keys)
    pairs = np.asarray(pairs)
    # Four rows, so that a fourth of the pairs are twice the same: 1000 of 4000 with a
    # standard deviation of 27
    assert abs((pairs[:, 0] == pairs[:, 1]).sum() - 1000) < 5 * 27


def test_mapped_draws_are_those_of_a_loop():
    table = class_table(LABELS, 4)
    keys = jax.random.split(jax.random.key(4), 6)
    classes = jnp.array([[0, 3], [3, 0], [1, 2], [2, 3], [0, 1], [3, 1]])

    def draw(key, classes):
        return draw_batch(key, table, classes, 9)

    mapped = jax.jit(jax.vmap(draw))(keys, classes)
    looped = [draw(key, chosen) for key, chosen in zip(keys, classes, strict=True)]
    for row in range(6):
        np.testing.assert_array_equal(mapped[0][row], looped[row][0])
        np.testing.assert_array_equal(mapped[1][row], looped[row][1])


def test_drawing_passes_jax_s_strict_settings():
    table = class_table(LABELS, 4)

    @jax.jit
    def draw(key, table):
        key_classes, key_batch = jax.random.split(key)
        classes = draw_classes(key_classes, 4, 3)
        return draw_batch(key_batch, table, classes, 11)

    with jax.numpy_rank_promotion("raise"), jax.debug_key_reuse(True):
        indices, new_labels = draw(jax.random.key(5), table)
    assert indices.shape == (11,)
    assert 0 <= new_labels.min() <= new_labels.max() <= 2


def test_one_compilation_serves_all_classes():
    table = class_table(LABELS, 4)
    num_traces = 0

    @jax.jit
    def draw(key, table, classes):
        nonlocal num_traces
        num_traces += 1
        return draw_batch(key, table, classes, 4)

    draw(jax.random.key(0), table, jnp.array([0, 1]))
    draw(jax.random.key(1), table, jnp.array([3, 2]))
    assert num_traces == 1


def test_batch_size_zero_is_refused():
    with pytest.raises(ValueError, match=r"batch_size=0: must be in \[1, inf\]"):
        draw_batch(jax.random.key(0), class_table(LABELS, 4), jnp.array([0, 1]), 0)


def test_drawn_classes_are_different_and_every_order_is_as_likely():
    keys = jax.random.split(jax.random.key(6), 6000)
    classes = np.asarray(jax.vmap(lambda key: draw_classes(key, 4, 2))(keys))
    assert (classes[:, 0] != classes[:, 1]).all()
    # 12 ordered pairs of different classes, 500 draws each
    pairs = 4 * classes[:, 0] + classes[:, 1]
    counts = np.bincount(pairs, minlength=16)[[1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]]
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_all_classes_can_be_drawn():
    assert sorted(draw_classes(jax.random.key(7), 5, 5).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("num_classes", [0, 5])
def test_impossible_numbers_of_classes_are_refused(num_classes):
    with pytest.raises(
        ValueError, match=rf"num_classes={num_classes}: must be in \[1, 4\]"
    ):
        draw_classes(jax.random.key(0), 4, num_classes)


# Known labels.


@pytest.mark.parametrize("per_class", [0, 1, 2, 4, 100])
def test_so_many_labels_of_each_class_are_known(per_class):
    """Of 5, 1, 3 and 8 samples, or all there are; none of a class that is absent."""
    known = draw_known_labels(jax.random.key(0), jnp.array(LABELS), 5, per_class)
    known = np.asarray(known)
    assert known.dtype == np.int32
    np.testing.assert_array_equal(known[known >= 0], LABELS[known >= 0])
    counts = np.bincount(known[known >= 0], minlength=5)
    np.testing.assert_array_equal(counts, np.minimum([5, 1, 3, 8, 0], per_class))
    assert set(known[known < 0]) <= {-1}


def test_all_samples_of_a_class_are_as_likely_to_be_known():
    """Two of 5, one of 1, two of 3 and two of 8, in 4000 draws."""
    keys = jax.random.split(jax.random.key(1), 4000)
    draw = jax.vmap(lambda key: draw_known_labels(key, jnp.array(LABELS), 4, 2))
    times = np.sum(np.asarray(jax.jit(draw)(keys)) >= 0, axis=0)
    chances = np.array([2 / 5, 1, 2 / 3, 2 / 8])[LABELS]
    error = np.sqrt(4000 * chances * (1 - chances))
    assert np.all(np.abs(times - 4000 * chances) <= 5 * error)


def test_known_labels_of_mapped_draws_are_those_of_a_loop():
    keys = jax.random.split(jax.random.key(2), 3)
    batches = jnp.array([[0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]])
    draw = functools.partial(draw_known_labels, num_classes=2, per_class=1)
    mapped = jax.jit(jax.vmap(draw))(keys, batches)
    looped = [draw(key, batch) for key, batch in zip(keys, batches, strict=True)]
    np.testing.assert_array_equal(mapped, np.stack(looped))


def test_negative_number_of_known_labels_is_refused():
    with pytest.raises(ValueError, match=r"per_class=-1: must be in \[0, inf\]"):
        draw_known_labels(jax.random.key(0), jnp.array([0, 1]), 2, -1)


def test_known_rows_are_as_many_of_each_class():
    labels = np.array([0, 1, 0, 2, 2, 0, 1, 2, 2])
    table = class_table(labels, 3)
    seen = set()
    for seed in range(30):
        rows = draw_known_rows(jax.random.key(seed), table, 2)
        np.testing.assert_array_equal(labels[rows], [0, 0, 1, 1, 2, 2])
        assert len(set(rows.tolist())) == 6
        seen.update(rows.tolist())
    assert seen == set(range(9))


def test_less_than_one_label_per_class():
    """0.4 of five classes: two of them have one known sample."""
    labels = np.arange(10) % 5
    table = class_table(labels, 5)
    chosen = set()
    for seed in range(20):
        rows = draw_known_rows(jax.random.key(seed), table, 0.4)
        assert len(set(labels[rows])) == len(rows) == 2
        chosen.update(labels[rows])
    assert chosen == set(range(5))
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=f"per_class={wrong}: must be a whole"):
            draw_known_rows(jax.random.key(0), table, wrong)

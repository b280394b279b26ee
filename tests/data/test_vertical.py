import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vfljax.data.sources import make_dataset
from vfljax.data.vertical import (
    SPLITS,
    class_table,
    draw_batch,
    draw_classes,
    draw_known_labels,
    draw_known_rows,
    select_classes,
    split_features,
)

# Two 3x5 images whose pixels say where they are: 100 * image + 10 * row + column
IMAGES = np.add.outer(
    100 * np.arange(2), np.add.outer(10 * np.arange(3), np.arange(5))
).astype(np.float32)
NAMES = tuple("abcdef")
TABLE = np.arange(12, dtype=np.float32).reshape(2, 6)

# Splits by name.


def test_rows_go_from_top_to_bottom():
    top, bottom = split_features(IMAGES, "rows")
    # 3 rows for 2 parties: the first has one more
    np.testing.assert_array_equal(top, IMAGES[:, :2])
    np.testing.assert_array_equal(bottom[1], [[120, 121, 122, 123, 124]])


def test_columns_go_from_left_to_right():
    parts = split_features(IMAGES, "columns", 3)
    assert [part.shape for part in parts] == [(2, 3, 2), (2, 3, 2), (2, 3, 1)]
    np.testing.assert_array_equal(parts[1][1], [[102, 103], [112, 113], [122, 123]])
    np.testing.assert_array_equal(parts[2][0], [[4], [14], [24]])


def test_quadrants_are_in_reading_order():
    parts = split_features(IMAGES, "quadrants")
    assert [part[0, 0, 0] for part in parts] == [0, 3, 20, 23]
    assert [part.shape[1:] for part in parts] == [(2, 3), (2, 2), (1, 3), (1, 2)]


def test_channels_stay_with_their_pixels():
    colored = np.stack([IMAGES, IMAGES + 1000, IMAGES + 2000], axis=-1)
    left, right = split_features(colored, "columns")
    assert left.shape == (2, 3, 3, 3)
    assert right.shape == (2, 3, 2, 3)
    assert right[1, 2, 0].tolist() == [123, 1123, 2123]
    for split in ("rows", "quadrants"):
        for part, gray in zip(
            split_features(colored, split), split_features(IMAGES, split), strict=True
        ):
            np.testing.assert_array_equal(part[..., 2], gray + 2000)


def test_features_are_blocks_of_flattened_columns():
    parts = split_features(TABLE, "features", 4)
    assert [part[1].tolist() for part in parts] == [[6, 7], [8, 9], [10], [11]]
    flat_parts = split_features(IMAGES, "features", 2)
    assert [part.shape for part in flat_parts] == [(2, 8), (2, 7)]
    assert flat_parts[1][0].tolist() == [13, 14, 20, 21, 22, 23, 24]


@pytest.mark.parametrize("split", SPLITS)
def test_every_feature_has_one_party(split):
    parts = split_features(IMAGES, split)
    pixels = np.concatenate([part[1].ravel() for part in parts])
    np.testing.assert_array_equal(np.sort(pixels), np.sort(IMAGES[1].ravel()))


@pytest.mark.parametrize("split", [*SPLITS, [[0, 1], [2, 3]]])
def test_no_party_s_array_refers_to_the_whole(split):
    images = IMAGES.copy()
    for part in split_features(images, split):
        assert not np.shares_memory(part, images)
        assert part.base is None or not np.shares_memory(part.base, images)


# Splits by lists of columns.


def test_lists_name_columns_by_number_or_name_in_their_order():
    first, second = split_features(TABLE, [[4, "a"], ["c"]], feature_names=NAMES)
    assert first.tolist() == [[4, 0], [10, 6]]
    assert second.tolist() == [[2], [8]]


def test_lists_count_the_flattened_columns_of_images():
    parts = split_features(IMAGES, [[14], [5, 1], [7]], num_parties=3)
    # Column 14 is row 2, column 4; 5 is row 1, column 0
    assert [part[1].tolist() for part in parts] == [[124], [110, 101], [112]]


def with_nan():
    table = TABLE.copy()
    table[1, 4] = np.nan
    return table


@pytest.mark.parametrize(
    ("features", "split", "num_parties", "names", "reason"),
    [
        (IMAGES, "quadrant", None, None, r"split is 'quadrant' .*mean 'quadrants'"),
        (IMAGES, "xyz", None, None, r"split is 'xyz'; allowed are rows, columns"),
        (IMAGES, "rows", 4, None, r"num_parties is 4, which leaves .*3 image rows"),
        (IMAGES, "columns", 6, None, r"num_parties is 6, .*5 image columns"),
        (TABLE, "features", 7, None, r"num_parties is 7, .*6 columns"),
        (IMAGES, "rows", 1, None, r"num_parties is 1; allowed is 2 or more"),
        (IMAGES, "quadrants", 2, None, r"num_parties is 2; allowed for .* is 4"),
        (IMAGES[:, :1], "quadrants", 4, None, r"shape \(2, 1, 5\), which leaves"),
        (TABLE, "rows", 2, None, r"'rows', but features has shape \(2, 6\)"),
        (TABLE, "columns", 2, None, r"'columns', but features has shape \(2, 6\)"),
        (TABLE, "quadrants", 4, None, r"'quadrants', but features has shape"),
        (TABLE[0], "features", 2, None, r"features has shape \(6,\)"),
        (with_nan(), "features", 2, None, r"features has nan at index \(1, 4\)"),
        (TABLE + np.inf, "features", 2, None, r"features has inf at index \(0, 0\)"),
        (TABLE.astype("U"), "features", 2, None, r"features has dtype <U32"),
        (TABLE, [[0, 1], [1, 2]], None, None, r"column 1 to party 0 and again .* 1;"),
        (TABLE, [[0, 0], [1]], None, None, r"column 0 to party 0 and again .* 0;"),
        (TABLE, [["b"], [1]], None, NAMES, r"column 1 to party 0 and again"),
        (TABLE, [[0], []], None, None, r"split has \[\] for party 1"),
        (TABLE, ["ab", "cd"], None, NAMES, r"split has 'ab' for party 0"),
        (TABLE, [[0], [6]], None, None, r"split has column 6; allowed are 0 to 5"),
        (TABLE, [[0], [-1]], None, None, r"split has column -1; allowed"),
        (TABLE, [["a"], ["g"]], None, NAMES, r"unknown column name 'g'"),
        (TABLE, [["a"], ["b"]], None, None, r"'a', but feature_names is None"),
        (TABLE, [["a"], ["b"]], None, NAMES[:5], r"feature_names has 5 names"),
        (TABLE, [[0], [1]], 3, None, r"num_parties is 3, but split has 2 lists"),
        (TABLE, [[0, 1]], None, None, r"num_parties is 1; allowed is 2 or more"),
    ],
)
def test_unfit_splits_are_refused(features, split, num_parties, names, reason):
    with pytest.raises(ValueError, match=reason):
        split_features(features, split, num_parties, names)


def test_misspelled_column_gets_the_nearest_name():
    with pytest.raises(ValueError, match=r"'incom' .did you mean 'income'"):
        split_features(
            TABLE[:, :2], [["incom"], ["age"]], feature_names=["age", "income"]
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
        (LABELS, 3, "labels has 3; allowed are the integers 0 to 2"),
        (LABELS - 1, 4, "labels has -1"),
        (LABELS, 5, "labels has no row of class 4"),
        (LABELS[LABELS != 1], 4, "labels has no row of class 1"),
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
    with pytest.raises(ValueError, match="batch_size is 0; allowed is 1 or more"):
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
    with pytest.raises(ValueError, match=f"num_classes is {num_classes}; allowed is 1"):
        draw_classes(jax.random.key(0), 4, num_classes)


def four_classes():
    return make_dataset(
        "four",
        np.arange(34.0).reshape(17, 2),
        LABELS,
        np.arange(8.0).reshape(4, 2),
        np.array([0, 3, 2, 1]),
        class_names=["w", "x", "y", "z"],
        origin="made up",
    )


def test_selected_classes_are_renumbered_in_the_order_given():
    selected = select_classes(four_classes(), [2, 0])
    # Rows 1, 3, 4, 7, 10, 11, 14, 16 have class 0 or 2; the first feature is 2 * row
    assert selected.train_features[:, 0].tolist() == [2, 6, 8, 14, 20, 22, 28, 32]
    assert selected.train_labels.tolist() == [1, 0, 1, 1, 0, 1, 1, 0]
    assert selected.test_features.tolist() == [[0, 1], [4, 5]]
    assert selected.test_labels.tolist() == [1, 0]
    assert selected.train_labels.dtype == np.int32
    assert selected.class_names == ("y", "w")
    assert selected.origin == "made up; only classes 2, 0"


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ([1], r"classes is \[1\]; allowed are two or more"),
        ([2, 2], r"classes is \[2, 2\]"),
        ([0, 4], "classes has 4; allowed are the integers 0 to 3"),
        ([0, -1], "classes has -1"),
    ],
)
def test_unknown_or_too_few_classes_are_refused(classes, reason):
    with pytest.raises(ValueError, match=reason):
        select_classes(four_classes(), classes)


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
    with pytest.raises(ValueError, match="per_class is -1; allowed is 0 or more"):
        draw_known_labels(jax.random.key(0), jnp.array([0, 1]), 2, -1)


def test_shares_of_columns_and_rest_to_nobody():
    """Eight columns: 1/4 and 1/2 of them are 2 and 4, two are left."""
    images = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    first, second = split_features(images, "columns", shares=(0.25, 0.5))
    np.testing.assert_array_equal(first, images[:, :, :2])
    np.testing.assert_array_equal(second, images[:, :, 2:6])
    table = images.reshape(2, 24)
    parts = split_features(table, "features", 3, shares=(0.5, 0.25, 0.25))
    assert [part.shape[1] for part in parts] == [12, 6, 6]


@pytest.mark.parametrize(
    ("shares", "split", "message"),
    [
        ((0.5,), "columns", "allowed are 2 positive numbers"),
        ((0.5, 0.6), "columns", "with a sum of at most 1"),
        ((0.5, -0.1), "columns", "positive numbers"),
        ((0.01, 0.9), "columns", "leaves a party without features"),
        ((0.5, 0.5), "quadrants", "allowed for it are rows, columns and features"),
    ],
)
def test_shares_that_make_no_sense(shares, split, message):
    with pytest.raises(ValueError, match=message):
        split_features(np.zeros((2, 8, 8)), split, shares=shares)


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
        with pytest.raises(ValueError, match=f"per_class is {wrong}"):
            draw_known_rows(jax.random.key(0), table, wrong)

import numpy as np
import pytest

from vfljax.data import SPLITS, split_features

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
        (IMAGES, "quadrant", None, None, r"split='quadrant': .*mean 'quadrants'"),
        (IMAGES, "xyz", None, None, r"split='xyz': must be one of rows, columns"),
        (IMAGES, "rows", 4, None, r"num_parties=4: must be at most 3, .* image rows"),
        (
            IMAGES,
            "columns",
            6,
            None,
            r"num_parties=6: must be at most 5, .* image columns",
        ),
        (TABLE, "features", 7, None, r"num_parties=7: must be at most 6, .* columns"),
        (IMAGES, "rows", 1, None, r"num_parties=1: must be 2 or more"),
        (IMAGES, "quadrants", 2, None, r"num_parties=2: must be 4 for quadrants"),
        (
            IMAGES[:, :1],
            "quadrants",
            4,
            None,
            r"shape=\(2, 1, 5\): must be of at least 2",
        ),
        (TABLE, "rows", 2, None, r"shape=\(2, 6\): .* split='rows'"),
        (TABLE, "columns", 2, None, r"shape=\(2, 6\): .* split='columns'"),
        (TABLE, "quadrants", 4, None, r"shape=\(2, 6\): .* split='quadrants'"),
        (TABLE[0], "features", 2, None, r"features.shape=\(6,\)"),
        (with_nan(), "features", 2, None, r"features\[1, 4\]=nan"),
        (TABLE + np.inf, "features", 2, None, r"features\[0, 0\]=inf"),
        (TABLE.astype("U"), "features", 2, None, r"features.dtype='<U32'"),
        (TABLE, [[0, 1], [1, 2]], None, None, r"split\[1\]=1: .*; party 0 has it"),
        (TABLE, [[0, 0], [1]], None, None, r"split\[0\]=0: .*; party 0 has it"),
        (TABLE, [["b"], [1]], None, NAMES, r"split\[1\]=1: .*; party 0 has it"),
        (TABLE, [[0], []], None, None, r"split\[1\]=\[\]: must be a list"),
        (TABLE, ["ab", "cd"], None, NAMES, r"split\[0\]='ab': must be a list"),
        (TABLE, [[0], [6]], None, None, r"split\[1\]=6: must be of columns 0 to 5"),
        (TABLE, [[0], [-1]], None, None, r"split\[1\]=-1: must"),
        (TABLE, [["a"], ["g"]], None, NAMES, r"split\[1\]='g': must be of names in"),
        (
            TABLE,
            [["a"], ["b"]],
            None,
            None,
            r"split\[0\]='a': must be of column numbers",
        ),
        (
            TABLE,
            [["a"], ["b"]],
            None,
            NAMES[:5],
            r"feature_names=.*: must be one name for each",
        ),
        (TABLE, [[0], [1]], 3, None, r"num_parties=3: must be None or 2"),
        (TABLE, [[0, 1]], None, None, r"num_parties=1: must be 2 or more"),
    ],
)
def test_unfit_splits_are_refused(features, split, num_parties, names, reason):
    with pytest.raises(ValueError, match=reason):
        split_features(features, split, num_parties, names)


def test_misspelled_column_gets_the_nearest_name():
    with pytest.raises(ValueError, match=r"'incom': .*did you mean 'income'"):
        split_features(
            TABLE[:, :2], [["incom"], ["age"]], feature_names=["age", "income"]
        )


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
        ((0.5,), "columns", "must be 2 positive numbers"),
        ((0.5, 0.6), "columns", "of sum 1 or less"),
        ((0.5, -0.1), "columns", "positive numbers"),
        ((0.01, 0.9), "columns", "so that each party has features"),
        ((0.5, 0.5), "quadrants", "must be None for quadrants"),
    ],
)
def test_shares_that_make_no_sense(shares, split, message):
    with pytest.raises(ValueError, match=message):
        split_features(np.zeros((2, 8, 8)), split, shares=shares)

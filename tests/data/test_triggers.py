"""Published triggers land where they are published, split like the samples."""

import numpy as np
import pytest

from vfljax import data


def test_mnist_in_the_lower_half():
    """Global rows 25 to 27 are rows 11 to 13 of the lower half."""
    mask, values = data.trigger_mask(data.TRIGGERS["mnist"], (28, 28))
    assert int(mask.sum()) == 4
    np.testing.assert_array_equal(values, mask)
    upper, lower = data.split_features(mask[None].astype(np.float32), "rows")
    assert not upper.any()
    assert np.argwhere(lower[0]).tolist() == [[11, 27], [12, 26], [13, 25], [13, 27]]


@pytest.mark.parametrize(("name", "size"), [("mnist", 28), ("cifar", 32)])
def test_quadrants_but_the_first_have_one_pixel_each(name, size):
    shape = (size, size) if name == "mnist" else (size, size, 3)
    mask, _ = data.trigger_mask(data.TRIGGERS[f"{name}_quadrants"], shape)
    parts = data.split_features(mask[None].astype(np.float32), "quadrants")
    corner = size // 2 - 1
    assert not parts[0].any()
    for part in parts[1:]:
        assert {tuple(place[1:3]) for place in np.argwhere(part)} == {(corner, corner)}


def test_cifar_colors():
    _, values = data.trigger_mask(data.TRIGGERS["cifar"], (32, 32, 3))
    np.testing.assert_array_equal(values[29, 31], [0, 1, 0])
    np.testing.assert_array_equal(values[31, 31], [1, 0, 1])


def test_only_the_places_change():
    trigger = data.Trigger([(-1,)], [(1.0,)])
    mask, values = data.trigger_mask(trigger, (4,))
    rows = np.arange(8.0, dtype=np.float32).reshape(2, 4)
    marked = np.asarray(data.add_trigger(rows, mask, values))
    np.testing.assert_array_equal(marked[:, :3], rows[:, :3])
    np.testing.assert_array_equal(marked[:, 3], [1, 1])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mnist", (8, 8)),
        ("mnist", (100,)),
        ("cifar", (32, 32)),
        ("cifar", (32, 32, 1)),
        ("cifar", (32, 32, 4)),
    ],
)
def test_what_does_not_fit(name, shape):
    with pytest.raises(ValueError, match=r"trigger has .* samples have shape"):
        data.trigger_mask(data.TRIGGERS[name], shape)

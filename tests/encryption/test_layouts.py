"""Both layouts give the batch gradient, by polynomial products in exact integers."""

import numpy as np
import pytest

from vfljax import encryption

_SIZES = [  # samples, columns, classes, coefficients
    (5, 4, 3, 64),
    (7, 9, 2, 32),  # compact: one sample per ciphertext and one left over
    (3, 30, 3, 32),  # the columns take several answers
    (1, 1, 2, 16),
]


def product(left, right):
    """Modulo X^N + 1, by Python's integers."""
    size = len(left)
    result = [0] * size
    for i, a in enumerate(left.tolist()):
        for j, b in enumerate(right.tolist()):
            sign = 1 if i + j < size else -1
            result[(i + j) % size] += sign * a * b
    return np.array(result)


def make(name, sizes):
    layouts = {"row": encryption.row_layout, "compact": encryption.compact_layout}
    return layouts[name](*sizes)


def answers_of(layout, gradients, activations):
    """All coefficients of every answer."""
    answers = np.zeros((layout.num_answers, layout.num_coefficients), int)
    for answer in range(layout.num_answers):
        for place in range(layout.num_ciphertexts):
            answers[answer] += product(
                layout.gradient_polynomial(gradients, place),
                layout.activation_polynomial(activations, place, answer),
            )
    return answers


@pytest.mark.parametrize("name", ["row", "compact"])
@pytest.mark.parametrize("sizes", _SIZES)
def test_gradient_of_random_integers(name, sizes):
    samples, columns, classes, _ = sizes
    random = np.random.default_rng(0)
    gradients = random.integers(-9, 9, (samples, classes))
    activations = random.integers(-9, 9, (samples, columns))
    layout = make(name, sizes)
    answers = answers_of(layout, gradients, activations)
    released = [
        answer[: layout.num_released(place)] for place, answer in enumerate(answers)
    ]
    expected = activations.T @ gradients
    np.testing.assert_array_equal(layout.batch_gradient(released), expected)
    assert sum(map(len, released)) == classes * columns


def test_row_layout_holds_nothing_else():
    sizes = (5, 4, 3, 64)
    random = np.random.default_rng(1)
    layout = make("row", sizes)
    gradients = random.integers(1, 9, (5, 3))
    (answer,) = answers_of(layout, gradients, random.integers(1, 9, (5, 4)))
    assert not answer[layout.num_released(0) :].any()


def test_compact_layout_holds_products_that_must_not_be_released():
    sizes = (5, 4, 3, 64)
    random = np.random.default_rng(1)
    layout = make("compact", sizes)
    gradients = random.integers(1, 9, (5, 3))
    (answer,) = answers_of(layout, gradients, random.integers(1, 9, (5, 4)))
    assert answer[layout.num_released(0) :].any()


def test_sizes_at_eight_thousand_coefficients():
    """33 columns of 10 classes: 8192 // 330 = 24 samples; 513 take 8 answers of 65."""
    compact = encryption.compact_layout(128, 33, 10, 8192)
    assert (compact.samples_per_ciphertext, compact.num_ciphertexts) == (24, 6)
    assert compact.num_answers == 1
    wide = encryption.compact_layout(128, 513, 10, 8192)
    assert (wide.num_ciphertexts, wide.num_answers) == (11, 8)
    assert encryption.row_layout(128, 513, 10, 8192).num_answers == 1


def test_packing_keeps_rows_whole():
    """16 // 3 = 5 rows each: 5 + 2 of seven."""
    rows = np.arange(21).reshape(7, 3)
    polynomials = encryption.pack(rows, 16)
    sizes = encryption.packed_sizes(7, 3, 16)
    assert tuple(map(len, polynomials)) == sizes == (15, 6)
    np.testing.assert_array_equal(np.concatenate(polynomials), rows.reshape(-1))

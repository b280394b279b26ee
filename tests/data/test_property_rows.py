"""Who holds samples with a property, and batches of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vfljax.data import draw_batches_with, partition_with_property

CODES = np.repeat([0, 1, 2], [200, 40, 20])


@pytest.mark.parametrize("number", [2, 3, 7, 30])
def test_only_target_and_adversary_have_it_and_nobody_shares_a_sample(number):
    rows = partition_with_property(CODES, number, seed=3)
    own = [
        line[:count]
        for line, count in zip(rows.partition.rows, rows.partition.counts, strict=True)
    ]
    joined = np.concatenate(own)
    assert len(set(joined.tolist())) == len(joined)
    for place, line in enumerate(own):
        found = [int(np.sum(CODES[line] == code)) for code in (1, 2)]
        assert found == ([20, 10] if place in (0, number - 1) else [0, 0])
        assert np.sum(CODES[line] == 0) >= 1
    sizes = rows.partition.counts[1:-1]
    assert len(set(sizes.tolist())) <= 1


@pytest.mark.parametrize("number", [2, 4])
def test_as_many_samples_for_all_where_that_can_be(number):
    counts = partition_with_property(CODES, number, seed=0).partition.counts
    assert np.ptp(counts) <= number


@pytest.mark.parametrize("code", [0, 1, 2])
def test_batches_have_as_many_samples_of_a_code_as_asked(code):
    rows = partition_with_property(CODES, 3, seed=1)
    drawn = draw_batches_with(
        jax.random.key(0), rows.of_target, jnp.array(code), 3, (4, 8)
    )
    own = rows.partition.rows[0][: rows.partition.counts[0]]
    assert set(np.asarray(drawn).ravel().tolist()) <= set(own.tolist())
    codes = CODES[np.asarray(drawn)]
    np.testing.assert_array_equal(codes[:, :3], code)
    np.testing.assert_array_equal(codes[:, 3:], 0)


@pytest.mark.parametrize(
    ("codes", "words"),
    [(np.array([0, 1, 0]), "1 samples of it"), (np.array([1, 1, 0]), "of which 2")],
)
def test_refusals(codes, words):
    with pytest.raises(ValueError, match=words):
        partition_with_property(codes, 2, seed=0)

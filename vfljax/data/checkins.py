"""Synthetic check-ins: nobody was ever at any of these places.

They have the sizes of the FourSquare data of Melis et al., "Exploiting Unintended
Feature Leakage in Collaborative Learning", S&P 2019, https://arxiv.org/abs/1805.04049,
and nothing else of them.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.rows import split_rows
from vfljax.data.source import Source

NUM_PLACES = 30_000
NUM_USERS = 15_548
NUM_CHECKINS = 528_878
LEAST_PLACES = 10
LENGTH = 100
_PREFERENCE = 0.1  # the deviation of what gender adds to a place's log weight


def _read(name: str, folder: Path) -> Dataset:
    """Draws the places of 15,548 synthetic users from Zipf's law, with seed 0.

    A place of rank r has the weight 1 / r, times e^z for women and e^-z for men, where
    z is normal with deviation 0.1, one for each place. Users are women or men with
    equal chance, have 10 to 100 check-ins, the first ten at different places, and
    528,878 in all. How many a user has is 10 and a share of the rest that is
    exponentially distributed, up to 100.

    A fifth of the users are test rows. Places are numbered by how often they occur in
    training rows, and called by their rank r.
    """
    del folder  # nothing is read
    rng = np.random.default_rng(0)
    gender = rng.integers(0, 2, NUM_USERS)
    tastes = rng.normal(0, _PREFERENCE, NUM_PLACES)
    counts = _draw_counts(rng)
    places = np.full((NUM_USERS, LENGTH), -1)
    for number, sign in enumerate((1, -1)):
        weights = np.exp(sign * tastes) / np.arange(1, NUM_PLACES + 1)
        users = np.flatnonzero(gender == number)
        places[users] = _draw_places(rng, counts[users], weights / weights.sum())
    train, test = split_rows(gender, seed=0)
    seen = places[train]
    frequency = np.bincount(seen[seen >= 0], minlength=NUM_PLACES)
    order = np.argsort(-frequency, kind="stable")
    numbers = np.zeros(NUM_PLACES + 1, np.int64)  # the last one stands for no place
    numbers[order] = np.arange(1, NUM_PLACES + 1)
    tokens = numbers[places]
    return from_arrays(
        tokens[train],
        gender[train],
        tokens[test],
        gender[test],
        name=name,
        class_names=("woman", "man"),
        task_name="gender",
        vocabulary=("", *(f"place_{place + 1}" for place in order)),
        origin="synthetic, drawn with seed 0; no person and no place is real",
    )


def _draw_counts(rng: np.random.Generator) -> Int64[np.ndarray, " users"]:
    """How many check-ins each user has: all of them together, none above the length."""
    shares = rng.exponential(size=NUM_USERS)
    counts = np.full(NUM_USERS, LEAST_PLACES)
    while rest := NUM_CHECKINS - int(counts.sum()):
        more = rng.multinomial(rest, shares / shares.sum())
        counts = np.minimum(counts + more, LENGTH)
    return counts


def _draw_places(rng, counts, chances):
    """The places of users row by row, -1 after the last; the first ten differ."""
    bounds = np.cumsum(chances)
    bounds /= bounds[-1]

    def draw(number):
        return np.searchsorted(bounds, rng.random(number), side="right")

    places = draw(len(counts) * LENGTH).reshape(-1, LENGTH)
    places[np.arange(LENGTH) >= counts[:, None]] = -1
    first = places[:, :LEAST_PLACES]
    while (is_repeated := _repeats(first)).any():
        first[is_repeated] = draw(int(is_repeated.sum()))
    return places


def _repeats(places):
    """Where a row has a place that it has further left as well."""
    is_same = places[:, :, None] == places[:, None, :]
    return np.tril(is_same, -1).any(axis=2)


CHECKINS_SYNTHETIC = Source(
    name="checkins_synthetic",
    description="synthetic check-ins of synthetic users, 100 tokens of 30,000 places, "
    "2 genders; stands in for FourSquare, with nothing real but its sizes",
    read=_read,
)

"""FourSquare check-ins of users of known gender, as numbers of places.

Yang et al. collected them, "NationTelescope", 2015, and "PrivCheck", UbiComp 2016:
https://sites.google.com/site/yangdingqi/home/foursquare-dataset. Prepared as in Melis
et al., "Exploiting Unintended Feature Leakage in Collaborative Learning", S&P 2019,
https://arxiv.org/abs/1805.04049.
"""

import collections
from pathlib import Path

import numpy as np

from vfljax.data.checkins import LEAST_PLACES, LENGTH, NUM_PLACES
from vfljax.data.columns import read_fields
from vfljax.data.dataset import Dataset
from vfljax.data.own import from_arrays
from vfljax.data.rows import split_rows
from vfljax.data.source import DataError, Source, require_file
from vfljax.data.words import most_frequent, number_words

CHECKINS = "dataset_TIST2015_Checkins.txt"
PROFILES = "dataset_UbiComp2016_UserProfile_NYC.txt"
_GENDERS = ("female", "male")


def _read(name: str, folder: Path) -> Dataset:
    """Reads the first 100 check-ins of each user with ten different places or more.

    Both files have texts between tabs: user and gender first in that of the profiles,
    user and place first in that of the check-ins. Users of whom no gender is known are
    left out. The vocabulary is the 30,000 places with most check-ins among the training
    rows. A fifth of the users are test rows, with equal shares of both genders and a
    fixed seed. Check-ins stand in the order of their file, and those outside of New
    York, which the paper leaves out, are kept: the file of check-ins has no positions.
    """
    profiles = require_file(name, folder, PROFILES)
    genders: dict[str, int] = {}
    for line, (user, gender, *_) in enumerate(read_fields(profiles, 2), 1):
        if user in genders:
            raise DataError(f"{profiles} has the user {user} again in line {line}")
        if gender in _GENDERS:
            genders[user] = _GENDERS.index(gender)
    path = require_file(name, folder, CHECKINS)
    visits: dict[str, list[str]] = collections.defaultdict(list)
    for user, place, *_ in read_fields(path, 2):
        if user in genders:
            visits[user].append(place)
    users = [user for user in visits if len(set(visits[user])) >= LEAST_PLACES]
    if not users:
        raise DataError(
            f"{path} has no user of known gender with {LEAST_PLACES} places or more"
        )
    labels = np.array([genders[user] for user in users], np.int64)
    train, test = split_rows(labels, seed=0)
    vocabulary = most_frequent((visits[users[row]] for row in train), NUM_PLACES)
    tokens = number_words([visits[user] for user in users], vocabulary, LENGTH)
    return from_arrays(
        tokens[train],
        labels[train],
        tokens[test],
        labels[test],
        name=name,
        class_names=_GENDERS,
        task_name="gender",
        vocabulary=vocabulary,
        origin=f"original files in {folder}, split with seed 0",
    )


FOURSQUARE = Source(
    name="foursquare",
    description="check-ins of users, 100 tokens of 30,000 places, 2 genders",
    read=_read,
    folders=("foursquare", "dataset_TIST2015"),
    files=(CHECKINS,),
)

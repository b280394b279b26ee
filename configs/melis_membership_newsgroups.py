"""Melis et al., Table II, texts: precision of membership against the batch size.

Newsgroup articles stand in for Yelp-health: vocabulary 5,000, a GRU, an even split
between two participants, 3,000 rounds. The narrow network of the small scale changes
nothing: whether a word's row moves does not depend on the width.
"""

from typing import Literal

import _melis

from vfljax.experiments import Experiment


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """Five trainings for each batch size; small: one of a narrow network."""
    small = scale == "small"
    return Experiment(
        name="melis_membership_newsgroups",
        title="Membership from embedding gradients, 20 Newsgroups",
        data=_melis.records("newsgroups_groups"),
        model=_melis.articles(small),
        protocol=_melis.participants(),
        training=_melis.training(3000, rate=0.05),
        batch_sizes=(32, 64, 128, 256) if small else (32, 64, 128, 256, 512),
        attacks=_melis.membership_by_last(),
        num_trials=1 if small else 5,
    )

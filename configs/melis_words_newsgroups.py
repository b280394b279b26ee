"""Melis et al., Table IV: the words that tell a property.

Newsgroup articles stand in for Yelp-health: the main task is a coarse group, the
property one newsgroup. Which rows of the table of words move is the bag of words of a
batch; rows have the words with the largest weights of a logistic regression on it.
"""

from typing import Literal

import _melis

from vfljax.attacks import PropertyInference, PropertyReader
from vfljax.experiments import Experiment, TargetProperty, Variant


def make(scale: Literal["full", "small"] = "full") -> Experiment:
    """One training of 3,000 rounds for each of ten groups; small: 100 for three."""
    small = scale == "small"
    groups = ("sci.med", "rec.sport.hockey", "talk.politics.mideast")
    if not small:
        groups += ("sci.space", "sci.crypt", "rec.autos", "rec.motorcycles")
        groups += ("misc.forsale", "comp.graphics", "soc.religion.christian")

    def holding(group: str):
        target = TargetProperty(name="newsgroup", values=(group,))
        return _melis.with_property("newsgroups_groups", target)

    bag = PropertyReader(features="words", fractions=(1.0,) * 2, num_negatives=2)
    return Experiment(
        name="melis_words_newsgroups",
        title="Words that tell a newsgroup",
        data=holding(groups[0]),
        model=_melis.articles(small),
        protocol=_melis.participants(),
        training=_melis.training(100 if small else 3000, rate=0.05),
        variants={group: Variant(data=holding(group)) for group in groups},
        batch_sizes=(_melis.BATCH,),
        watch_every=2 if small else 10,
        attacks={"words": PropertyInference(reader=bag, classifier="logistic")},
        record_confusion=True,
        num_trials=1,
    )

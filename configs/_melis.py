"""What the configs of Melis et al. have in common: who holds what, networks, attacks.

Melis, Song, De Cristofaro, Shmatikov, "Exploiting Unintended Feature Leakage in
Collaborative Learning" (S&P 2019): K participants send the gradient of one batch each
in every round, and the last one, which watches, is the adversary. The published rates
are of the sum of all gradients, those here of their mean, so that they are K times as
large. Data sets stand in for those of the paper. At small scale networks are narrow and
a part of the rounds is watched.
"""

import dataclasses
from typing import Any

from vfljax.attacks import (
    MembershipFromEmbedding,
    PropertyCounts,
    PropertyInference,
    PropertyReader,
)
from vfljax.experiments import Data, Horizontal, TargetProperty, Training
from vfljax.models import FaceCNN, GRUClassifier, TextCNN
from vfljax.protocol import FederatedSGD

BATCH = 32
WARM_UP = 100
FEWER = PropertyReader(fractions=(1.0, 1.0, 0.6, 0.6), num_negatives=4)


def participants(number: int = 2) -> FederatedSGD:
    """So many participants, the last of which is the adversary."""
    return FederatedSGD(num_participants=number, observer="participant")


def training(steps: int, rate: float = 0.01, number: int = 2) -> Training:
    """SGD with batches of the attacked size, at a rate for the sum of gradients."""
    return Training(
        steps=steps, batch_size=None, optimizer="sgd", learning_rate=number * rate
    )


def records(dataset: str, number: int | None = None, **options: Any) -> Data:
    """Data of whose records the first participant's are told from test samples."""
    return Data(dataset=dataset, horizontal=Horizontal(records=number), **options)


def with_property(
    dataset: str, target: TargetProperty, own: int | None = None, **options: Any
) -> Data:
    """Data of which the adversary has its own part, or so many samples of it."""
    horizontal = Horizontal(
        target=target, auxiliary_from="participant", auxiliary_samples=own
    )
    return Data(dataset=dataset, horizontal=horizontal, **options)


def opinions(target: TargetProperty) -> Data:
    """Hotel reviews: sentiment is the main task."""
    return with_property("deceptive_opinions", target)


def animals(target: TargetProperty, small: bool) -> Data:
    """Animals or vehicles, and as property one of the ten kinds of them."""
    sizes = {"train_samples": 4000, "test_samples": 500} if small else {}
    return with_property("cifar10_animals", target, **sizes)


def faces(small: bool, **options: Any) -> FaceCNN:
    """The network for faces; small: a quarter as wide."""
    if small:
        options = {"filters": (8, 16, 16), "hidden": 32, **options}
    return FaceCNN(**options)


def texts(small: bool, vocabulary_size: int = 4001, **options: Any) -> TextCNN:
    """The network for short reviews; small: with short vectors of words."""
    if small:
        options = {"embedding": 16, "filters": 25, **options}
    return TextCNN(vocabulary_size=vocabulary_size, hidden=None, **options)


def checkins(small: bool) -> TextCNN:
    """The network for lists of places; small: narrow, but with enough filters.

    A token has a gradient only if a window with it is the largest of some filter.
    """
    if small:
        return TextCNN(vocabulary_size=30_001, embedding=4, filters=40, hidden=16)
    return TextCNN(vocabulary_size=30_001)


def articles(small: bool) -> GRUClassifier:
    """The recurrent network; small: of width four, as every token moves its row."""
    narrow = {"embedding": 4, "hidden": 4} if small else {}
    return GRUClassifier(vocabulary_size=5001, **narrow)


def membership() -> dict[str, Any]:
    """The rule that calls a record a member if a round has all of its tokens."""
    return {"all_tokens": MembershipFromEmbedding()}


def membership_by_last() -> dict[str, Any]:
    """The same, and by a record's last tokens, which a recurrent network remembers."""
    return membership() | {"last_60": MembershipFromEmbedding(last_tokens=60)}


def inference(small: bool) -> dict[str, Any]:
    """Ours, from half as many simulations at small scale; at full the others too."""
    if small:
        return {"ridge": PropertyInference(reader=FEWER)}
    ridge = {"ridge": PropertyInference()}
    return ridge | {"forest": forest(small), "counts": counts()}


def forest(small: bool) -> PropertyInference:
    """The published classifier on the published features."""
    reader = FEWER if small else PropertyReader()
    reader = dataclasses.replace(reader, features="published")
    return PropertyInference(reader=reader, classifier="forest")


def projected(small: bool) -> PropertyInference:
    """Ours on a linear map of the whole update, which noise harms least."""
    reader = FEWER if small else PropertyReader()
    return PropertyInference(reader=dataclasses.replace(reader, features="projected"))


def counts() -> PropertyCounts:
    """Least squares on the simplex, which counts the samples with the property."""
    return PropertyCounts()

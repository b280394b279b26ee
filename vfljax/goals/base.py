"""The goal record: what is inferred, what the truth of it is, how an answer scores."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Truth(NamedTuple):
    """What a goal may look at to judge an answer; arrays in host memory.

    Attributes:
        labels: True classes of the samples asked about: of the batch, of all training
            samples, or of the test samples that the model was asked about.
        test_labels: True classes of all test samples.
        is_known: Samples whose labels the adversary was given (samples,).
        num_classes: C.
        facts: What the interference says about itself, by name.
        train_labels: True classes of all training samples; None where no goal that
            needs them is judged.
    """

    labels: np.ndarray
    test_labels: np.ndarray
    is_known: np.ndarray
    num_classes: int
    facts: Mapping[str, Any] = {}
    train_labels: np.ndarray | None = None


class Goal(NamedTuple):
    """What is inferred, and how it is judged.

    Attributes:
        name: One word, such as "labels".
        score: `score(answer, truth, with_confusion)` to columns of the row, rates in
            [0, 1] among them `attack_accuracy`; `answer` is an `Inference` of one
            trial in host memory. Where the goal has a chance level of its own, also
            `chance_accuracy`; else it is that of the most frequent class.
        words: What `attack_accuracy` is the share of, for reports: "finds 97.5 % of
            the {words}".
        answer: Field of an answer that it is judged by: "labels", or "counts".
        wants: What the truth has to hold besides labels, among its facts: of updates
            "head_inputs", what the last layer was given for each sample. Of a training
            that is watched the labels are then something else: "property_counts", how
            many of the target's samples have the property in each round; or "members",
            whether each record was trained on.
    """

    name: str
    score: Callable[[Any, Truth, bool], dict[str, Any]]
    words: str
    answer: str = "labels"
    wants: tuple[str, ...] = ()

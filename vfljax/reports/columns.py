"""Every column of a row and of a summary: its name, heading, unit and words, once.

A row is one line of `trials.jsonl`; a summary is one line per setting (see
`frame.summarize`). A column's `kind` says how trials are summed up: a setting tells one
from another; of a rate there are the mean, `_low`, `_high` (95 % interval) and
`_number` (trials that have it); first, account: what all trials agree on; judgment,
derived: worked out from the others; trial: not summed up, as it belongs to one trial.
"""

from typing import Any, NamedTuple

import polars as pl

from vfljax.goals import ALL_LABELS, BACKDOOR, LABELS

_TYPES: dict[str, Any] = {
    **dict.fromkeys(("setting", "first", "derived", "trial"), pl.String),
    **dict.fromkeys(("rate", "median", "account"), pl.Float64),
    "judgment": pl.Boolean,
}
UNDEFENDED, BENIGN = "none", "benign"
TRAINED_MODEL, MESSAGE_ROWS = "trained_model", "message_rows"
DEFAULTS = {"variant": "", "adversary_optimizer": BENIGN, "is_adaptive": False}
"""What a row has that lacks the field, where that is not null."""
USUAL_GOALS = dict.fromkeys(goal.words for goal in (LABELS, ALL_LABELS, BACKDOOR))
"""What is found, where the words for a view say it already; null in a summary."""
BLIND = {
    "matched_accuracy": "matched_chance",
    "mutual_information": "mutual_information_chance",
    "count_error": "count_error_chance",
    "precision": "chance_precision",
}
"""The columns of what blind guesses get of a rate, which is shown in brackets."""


class Column(NamedTuple):
    """A field of rows and summaries, its heading in a table, its words, a sentence.

    Rates are fractions in [0, 1].
    """

    kind: str
    name: str
    heading: str
    type: Any
    words: str

    @property
    def is_percent(self) -> bool:
        """Whether a table shows a fraction in percent."""
        return "%" in self.heading


SCORES = {
    "accuracy": ("", "Share of labels found"),
    "top5": (" top-5", "Share of samples with the label among the five likeliest"),
    "f1": (" F1", "F1 score"),
    "fu_batch_f1": (" batch F1", "F1 score of mini-batches, as Fu et al. 2022 take it"),
}
"""What a completed model is scored by; which of them makes sense, the data say."""
READINGS = {
    "attack": ("train{} % last", "{} on samples trained on, after the last epoch."),
    "best_attack": ("train{} % best", "{} on samples trained on, at the best epoch."),
    "test_attack": ("test{} % last", "{} on test samples, after the last epoch."),
    "best_test_attack": ("test{} % best", "{} on test samples, at the best epoch."),
}
"""Which samples a completed model is scored on, after which epoch of the attack."""
COMPLETION = tuple(f"{reading}_{score}" for score in SCORES for reading in READINGS)

# By kind, name, heading and type, if it is not the one of the kind.
_WORDS: dict[tuple[Any, ...], str] = {
    ("setting", "dataset", "data"): "Name of the data set.",
    ("setting", "num_parties", "parties", pl.Int64): "Number of parties.",
    ("setting", "variant", "variant"): "What else varies in the experiment.",
    ("setting", "protocol", "protocol"): "Name of the protocol.",
    ("setting", "view", "the attacker sees"): "What the attacker sees.",
    ("setting", "goal", "found are"): "What found % is the share of, if not labels.",
    ("setting", "train_step", "step", pl.Int64): "Training step at which it looks.",
    ("setting", "batch_size", "batch", pl.Int64): "Samples in a batch that it sees.",
    ("setting", "num_classes", "classes", pl.Int64): "Classes it decides among.",
    ("setting", "defense", "defense"): "Label of the defense, or none.",
    ("setting", "strength_name", "strength of"): "What the strength of the defense is.",
    ("setting", "defense_strength", "strength", pl.Float64): "Strength of the defense.",
    ("setting", "attack", "attack"): "Label of the attack.",
    ("setting", "known_per_class", "known per class", pl.Float64): "Labels of training "
    "samples that the attacker knows, for each class; below 1 it is the share of the "
    "classes that have a known label at all.",
    ("setting", "adversary_optimizer", "optimizer"): "How the attacker trains: benign, "
    "as all do; malicious, in a training of its own, to make its bottom model learn "
    "more than its share; all malicious, where every party does.",
    ("setting", "amplification", "amplification", pl.Float64): "Factor on messages.",
    ("first", "attack_family", "family"): "Attacks that differ in labels known.",
    ("first", "is_adaptive", "adaptive", pl.Boolean): "Knows the defense.",
    ("first", "adds_noise", "noise", pl.Boolean): "Whether the defense adds noise.",
    ("first", "knowledge", "knows"): "What the attacker knows beyond its view.",
    ("derived", "defense_label", "defense"): "The defense with its strength.",
    ("derived", "num_trials", "trials", pl.Int64): "Trials, failed ones too.",
    ("derived", "num_failed", "failed", pl.Int64): "Trials that failed.",
    ("derived", "failures", "why"): "Why trials failed, each reason once.",
    ("rate", "attack_accuracy", "found %"): "Labels found by the attack, of the "
    "samples whose labels it was not given; of label counts, their overlap with the "
    "true ones.",
    ("rate", "published_accuracy", "published %"): "The same attack read as published.",
    ("rate", "matched_accuracy", "up to names % (chance)"): "Labels found under the "
    "best one-to-one renaming of the classes, and in brackets what blind guesses get "
    "of that.",
    ("rate", "matched_chance", "blind up to names %"): "Of blind guesses.",
    ("rate", "mutual_information", "information (chance)"): "Mutual information of "
    "inferred and true labels over the mean of their entropies, from 0 to 1, and in "
    "brackets what blind guesses get of that.",
    ("rate", "mutual_information_chance", "blind information"): "Of blind guesses.",
    ("rate", "auc", "AUC"): "Area under the ROC curve of the attack's scores: 0.5 "
    "without any knowledge, below it with the classes mistaken for each other.",
    ("rate", "recovered_accuracy", "recovered %"): "Share of samples of which the "
    "attack has the label and the embedding, up to a twentieth of its norm.",
    (
        "rate",
        "certified_share",
        "certified %",
    ): "Share of samples that the attack calls certain, without having seen the truth.",
    ("rate", "wrongly_certified", "wrongly certified %"): "Share of samples that it "
    "calls certain and of which label or embedding is wrong.",
    ("rate", "negative_present", "negative present %"): "Of the classes whose row of "
    "the last layer's gradient has a negative sum, the share that is present; all "
    "where features before that layer are not negative (property 1 of LLG).",
    ("rate", "present_negative", "present negative %"): "Of the classes that are "
    "present, the share whose row has a negative sum.",
    ("rate", "raw_explained", "explained %"): "Squared correlation of the row sums "
    "with the label counts over the classes (property 2 of LLG).",
    ("rate", "corrected_explained", "corrected explained %"): "The same after the "
    "offset, what samples of other classes add, has been taken off.",
    (
        "rate",
        "mean_score",
        "mean score",
    ): "Mean over watched rounds of the score that "
    "one has the property, by which a property of the whole training is told.",
    ("rate", "count_error", "count error % (chance)"): "Mean absolute error of the "
    "number of samples with the property in a round, as a share of the target's "
    "samples, and in brackets that of always answering the mean number.",
    ("rate", "count_error_chance", "blind count error %"): "Of the mean number.",
    ("rate", "precision", "precision % (chance)"): "Of the records that are called "
    "members, the share that is, and in brackets that of calling all members.",
    ("rate", "chance_precision", "blind precision %"): "Of calling all members.",
    ("rate", "recall", "recall %"): "Of the members, the share that is called so.",
    ("rate", "main_accuracy", "main task %"): "Test accuracy of the trained model, "
    "which is what a defense costs.",
    ("rate", "main_auc", "main task AUC"): "Area under the ROC curve of the trained "
    "model on test samples, of a main task with two classes.",
    ("rate", "main_top5", "main task top-5 %"): "Top-5 test accuracy of that model.",
    ("rate", "main_f1", "main task F1 %"): "Test F1 score of that model.",
    ("rate", "chance_accuracy", "chance %"): "Always guessing the most frequent class.",
    ("rate", "alone_accuracy", "attacker alone %"): "Test accuracy of a model of the "
    "attacker's features alone that was trained with all true labels; an upper bound "
    "for test %.",
    ("rate", "floor_accuracy", "alone %"): "Test accuracy that the label party, or one "
    "participant, reaches alone; a defense that leaves less than that buys nothing.",
    ("rate", "presence_accuracy", "presence %"): "Share of classes of which it is told "
    "rightly whether any sample is of them.",
    ("rate", "count_accuracy", "counts %"): "Share of classes whose number of samples "
    "is told exactly.",
    ("rate", "inferred_accuracy", "labels inferred %"): "Labels it infers first.",
    **{
        ("rate", f"{reading}_{score}", heading.format(short)): words.format(long)
        for score, (short, long) in SCORES.items()
        for reading, (heading, words) in READINGS.items()
        if (reading, score) != ("attack", "accuracy")  # which every attack has
    },
    ("median", "seconds", "s/trial"): "Seconds per trial.",
    ("account", "label_epsilon", "ε per message"): "Label differential privacy of one "
    "message; infinite where nothing is bounded.",
    ("account", "label_delta", "δ"): "Its δ.",
    ("account", "label_epsilon_training", "ε over training"): "Label differential "
    "privacy of all messages about a sample.",
    ("account", "allowed_accuracy", "allowed %"): "Share of labels that a sample's own "
    "message can give away in expectation, if labels are uniform whatever the features "
    "are.",
    ("account", "budget", "account", pl.String): "The privacy account in a sentence.",
    ("account", "protects", "protected is", pl.String): "Whose replacement by another "
    "the guarantee is about: a participant, or a record of one.",
    ("account", "epsilon", "ε"): "Differential privacy of all that is seen of a "
    "participant's updates, in training and attack; infinite where nothing is bounded.",
    ("account", "delta", "δ of it"): "The δ of that guarantee.",
    ("account", "guarantee", "guarantee", pl.String): "That guarantee in a sentence.",
    ("judgment", "below_chance", "below chance"): "No trial failed and the attack "
    "finds less than blind uniform guessing (1 / classes): read it as leakage, not "
    "protection. With its whole interval, so the attacker knows more than nothing; or "
    "with its mean, where the labels are found up to names or by an attacker who knows "
    "the defense.",
    ("judgment", "labels_are_found", "labels are found"): "It finds classes, or one "
    "that knows the defense finds labels of the model.",
    ("judgment", "finds_classes", "finds classes"): "Labels found up to a renaming of "
    "the classes are clearly above chance: by 5 points and with the whole interval, or "
    "more than halfway from there to all.",
    ("judgment", "hides_names_only", "hides names only"): "The labels leak up to the "
    "names of the classes: under the best renaming they are found, clearly above "
    "chance. What is hidden is names, and one sample of known label in each class "
    "gives them back.",
    ("judgment", "says_nothing", "says nothing"): "The 95 % interval includes chance "
    "and is at least half as wide as the room between chance and all labels, so the "
    "row says nothing either way.",
    ("trial", "trial", "trial", pl.Int64): "Number of the trial.",
    ("trial", "seed", "seed", pl.Int64): "Seed of the experiment.",
    ("trial", "status", "status"): "ok, or why the trial failed.",
    ("trial", "train_seconds", "s", pl.Float64): "Seconds of training.",
    ("trial", "residual", "residual", pl.Float64): "What the attack leaves.",
    ("trial", "bound_held", "bound", pl.Boolean): "Its guarantee held.",
    **{
        ("trial", name, "counts", pl.List(pl.Int64)): "By true and given class."
        for name in ("confusion", "published_confusion")
    },
    ("trial", "first_watched", "first", pl.Int64): "First watched round.",
    ("trial", "watch_every", "every", pl.Int64): "Rounds from one watched to the next.",
    ("trial", "score_series", "scores", pl.List(pl.Float64)): "Of watched rounds.",
    (
        "trial",
        "count_series",
        "found",
        pl.List(pl.Float64),
    ): "Samples with the property that are found in each watched round.",
    ("trial", "true_series", "there", pl.List(pl.Int64)): "Samples with the "
    "property that there are in each watched round.",
}
COLUMNS = tuple(
    Column(kind, name, heading, type_[0] if type_ else _TYPES[kind], words)
    for (kind, name, heading, *type_), words in _WORDS.items()
)


def names_of(*kinds: str) -> tuple[str, ...]:
    """The names of the columns of some kinds, in order."""
    return tuple(column.name for column in COLUMNS if column.kind in kinds)


BY_NAME = {column.name: column for column in COLUMNS}
SETTINGS = names_of("setting")
RATES = names_of("rate")
ENDS = ("low", "high", "number")
SCENE = SETTINGS[:9]
"""A setting without its defense and attack: what a defense is compared with none in."""
POINT = (*SCENE, "defense_label")
"""One attacked model under one threat model: a defense of one strength, one view."""
MODEL = tuple(name for name in POINT if name not in ("view", "goal"))
"""One trained model, whatever the attacker sees of it and infers."""


OF_UPDATES = ("protects", "epsilon", "delta", "guarantee")
"""The account of updates; the other one is of messages."""


class View(NamedTuple):
    """What an attacker sees, what an attack does to a share `{}`, and what chance."""

    name: str
    words: str
    finds: str = "finds {} of the {}"
    chance: str = "chance is {}"


VIEWS = {
    "sample_gradient": View(
        "plaintext messages",
        "The label party sends one gradient per sample in the clear, and the attacker "
        "reads each of them.",
    ),
    "batch_gradient": View(
        "encrypted messages",
        "Messages are encrypted: the attacker sees no gradient of a sample, only the "
        "gradient of its own model summed over the batch, which it needs to train.",
    ),
    TRAINED_MODEL: View(
        "trained bottom model",
        "After training, the attacker keeps its own bottom model and completes it with "
        "a few labels that it knows.",
    ),
    "predictions": View(
        "answers of the trained model",
        "After training, the attacker asks the trained model about samples of its "
        "choice and is told the logits.",
    ),
    "update": View(
        "updates",
        "Participants send updates of the shared model, and the attacker reads one of "
        "them, or the mean of several where the protocol aggregates them.",
    ),
    MESSAGE_ROWS: View(
        "manipulated messages",
        "The attacker departs from the protocol: it swaps messages during training, to "
        "plant a trigger that later leads a sample to the class of its choice.",
        "leads {} of the samples with its trigger to its class",
        "without the trigger it is {}",
    ),
}


def view_of(name: str) -> View:
    """The view of that name; one that is not listed is called by its name."""
    words = name.replace("_", " ")
    return VIEWS.get(name, View(words, f"The attacker sees {words}."))

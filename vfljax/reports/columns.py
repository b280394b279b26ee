"""Every column of a row and of a summary: its name, heading, unit and words, once.

A row is one line of `trials.jsonl`; a summary is one line per setting (see
`frame.summarize`). How a column of rows becomes one of a summary is its `kind`:

| kind | in the summary |
|---|---|
| setting | tells one setting from another |
| first | the first value of the setting's trials, which all agree |
| rate | its mean, and `_low`, `_high` (95 % interval) and `_number` (trials with it) |
| median | its median |
| account | the privacy account, the same in all trials |
| judgment | worked out from the others, true or false |
| derived | worked out from the others, any other type |
| trial | not summed up: it belongs to one trial |
"""

from typing import Any, Literal, NamedTuple

import polars as pl

Kind = Literal[
    "setting", "first", "rate", "median", "account", "judgment", "derived", "trial"
]
READINGS = {
    "attack": ("train", "last"),
    "best_attack": ("train", "best"),
    "test_attack": ("test", "last"),
    "best_test_attack": ("test", "best"),
}
"""Which samples a completed model is scored on, after which epoch of the attack."""
SCORES = {
    "accuracy": "",
    "top5": " top-5",
    "f1": " F1",
    "fu_batch_f1": " batch F1",
}
"""What a completed model is scored by; which of them makes sense, the data say."""


class Column(NamedTuple):
    """One column.

    Attributes:
        name: of the field in rows and summaries.
        heading: in a table that a person reads.
        kind: how trials are summed up.
        words: what it says, as a sentence that stands alone.
        type: of the values.
        unit: "%" for a fraction shown in percent, "s" for seconds, or "".
        default: what a row has that lacks the field.
    """

    name: str
    heading: str
    kind: Kind
    words: str
    type: Any = pl.String
    unit: str = ""
    default: Any = None


def _setting(name: str, heading: str, words: str, *args: Any, **more: Any) -> Column:
    return Column(name, heading, "setting", words, *args, **more)


def _rate(name: str, heading: str, words: str, unit: str = "%") -> Column:
    return Column(name, heading, "rate", words, pl.Float64, unit)


def _completion_rates() -> tuple[Column, ...]:
    """What a completed model scores, beyond the accuracy that every attack has."""
    samples = {
        "train": "training samples whose labels the attacker does not know",
        "test": "test samples, which nobody trained on",
    }
    epochs = {
        "last": "after the last epoch of the attack, which is what an attacker has",
        "best": "at the epoch that is best by the true labels, which no attacker can "
        "choose and published figures do",
    }
    scores = {
        "accuracy": "Share of labels found",
        "top5": "Share of samples whose label is among the five likeliest",
        "f1": "F1 score",
        "fu_batch_f1": "F1 score averaged over mini-batches as in the code of Fu et "
        "al. 2022",
    }
    return tuple(
        _rate(
            f"{reading}_{score}",
            f"{where}{short} % {when}",
            f"{scores[score]}, on the {samples[where]}, {epochs[when]}.",
        )
        for score, short in SCORES.items()
        for reading, (where, when) in READINGS.items()
        if (reading, score) != ("attack", "accuracy")
    )


COLUMNS = (
    _setting("dataset", "data", "Name of the data set."),
    _setting("num_parties", "parties", "Number of parties.", pl.Int64),
    _setting("variant", "variant", "What else varies in the experiment.", default=""),
    _setting("protocol", "protocol", "Name of the protocol."),
    _setting("view", "the attacker sees", "What the attacker sees."),
    _setting("train_step", "step", "Training step at which it looks.", pl.Int64),
    _setting("batch_size", "batch", "Samples in a batch that it sees.", pl.Int64),
    _setting("num_classes", "classes", "Classes it decides among.", pl.Int64),
    _setting("defense", "defense", "Label of the defense; none is without one."),
    _setting("strength_name", "strength of", "What the strength of the defense is."),
    _setting("defense_strength", "strength", "Strength of the defense.", pl.Float64),
    _setting("attack", "attack", "Label of the attack."),
    _setting(
        "known_per_class",
        "known per class",
        "Labels of training samples that the attacker knows, for each class; below 1 "
        "it is the share of the classes that have a known label at all.",
        pl.Float64,
    ),
    _setting(
        "adversary_optimizer",
        "optimizer",
        "How the attacker trains: benign, as all do; malicious, in a training of its "
        "own, to make its bottom model learn more than its share; all malicious, where "
        "every party does.",
        default="benign",
    ),
    _setting(
        "amplification",
        "amplification",
        "Factor on a message that the attacker replaces.",
        pl.Float64,
    ),
    Column("attack_family", "family", "first", "Attacks that differ in labels known."),
    Column("is_adaptive", "knows it", "first", "Knows the defense.", pl.Boolean),
    Column("knowledge", "knows", "first", "What the attacker knows beyond its view."),
    Column("defense_label", "defense", "derived", "The defense with its strength."),
    Column("num_trials", "trials", "derived", "Trials, failed ones too.", pl.Int64),
    Column("num_failed", "failed", "derived", "Trials that failed.", pl.Int64),
    Column("failures", "why", "derived", "Why trials failed, each reason once."),
    _rate(
        "attack_accuracy",
        "found %",
        "Labels found by the attack, of the samples whose labels it was not given.",
    ),
    _rate("published_accuracy", "published %", "The same attack read as published."),
    _rate(
        "matched_accuracy",
        "up to names %",
        "Labels found under the best one-to-one renaming of the classes.",
    ),
    _rate("matched_chance", "blind up to names %", "What blind guesses get of that."),
    _rate(
        "mutual_information",
        "information",
        "Mutual information of inferred and true labels over the mean of their "
        "entropies, from 0 to 1.",
        unit="",
    ),
    _rate(
        "mutual_information_chance",
        "blind information",
        "What blind guesses get of that.",
        unit="",
    ),
    _rate(
        "auc",
        "AUC",
        "Area under the ROC curve of the attack's scores: 0.5 without any knowledge, "
        "below it with the classes mistaken for each other.",
        unit="",
    ),
    _rate("main_accuracy", "main task %", "Test accuracy of the trained model."),
    _rate("main_top5", "main task top-5 %", "Top-5 test accuracy of that model."),
    _rate("main_f1", "main task F1 %", "Test F1 score of that model."),
    _rate("chance_accuracy", "chance %", "Always guessing the most frequent class."),
    _rate(
        "alone_accuracy",
        "attacker alone %",
        "Test accuracy of a model of the attacker's own features that was trained with "
        "all true labels; an upper bound for what it can do on test samples.",
    ),
    _rate(
        "floor_accuracy",
        "label party alone %",
        "Test accuracy that the label party reaches alone; a defense that leaves less "
        "than that buys nothing.",
    ),
    _rate(
        "inferred_accuracy",
        "labels inferred %",
        "Labels that the attacker inferred first, to know which messages to replace.",
    ),
    *_completion_rates(),
    Column("seconds", "s/trial", "median", "Seconds per trial.", pl.Float64, "s"),
    Column(
        "label_epsilon",
        "ε per message",
        "account",
        "Label differential privacy of one message; infinite where nothing is bounded.",
        pl.Float64,
    ),
    Column("label_delta", "δ", "account", "Its δ.", pl.Float64),
    Column(
        "label_epsilon_training",
        "ε over training",
        "account",
        "Label differential privacy of all messages about a sample.",
        pl.Float64,
    ),
    Column(
        "allowed_accuracy",
        "allowed %",
        "account",
        "Share of labels that a sample's own message can give away in expectation, if "
        "labels are uniform whatever the features are.",
        pl.Float64,
        "%",
    ),
    Column("budget", "account", "account", "The privacy account in a sentence."),
    Column(
        "below_chance",
        "below chance",
        "judgment",
        "No trial failed and the attack finds less than blind uniform guessing (1 / "
        "classes): read it as leakage, not protection. With its whole interval, so the "
        "attacker knows more than nothing; or with its mean, where the labels are "
        "found up to names or by an attacker who knows the defense.",
        pl.Boolean,
    ),
    Column(
        "labels_are_found",
        "labels are found",
        "judgment",
        "The attack finds the classes, or one that knows the defense finds labels of "
        "the same model from the same view.",
        pl.Boolean,
    ),
    Column(
        "finds_classes",
        "finds classes",
        "judgment",
        "Labels found up to a renaming of the classes are clearly above chance: by 5 "
        "points and with the whole interval, or more than halfway from there to all.",
        pl.Boolean,
    ),
    Column(
        "hides_names_only",
        "hides names only",
        "judgment",
        "The labels leak up to the names of the classes: under the best renaming they "
        "are found, clearly above chance. What is hidden is names, and one sample of "
        "known label in each class gives them back.",
        pl.Boolean,
    ),
    Column(
        "says_nothing",
        "says nothing",
        "judgment",
        "The 95 % interval includes chance and is at least half as wide as the room "
        "between chance and all labels, so the row says nothing either way.",
        pl.Boolean,
    ),
    Column("trial", "trial", "trial", "Number of the trial.", pl.Int64),
    Column("seed", "seed", "trial", "Seed of the experiment.", pl.Int64),
    Column("status", "status", "trial", "ok, or why the trial failed."),
    Column("train_seconds", "s", "trial", "Seconds of training.", pl.Float64, "s"),
    Column("residual", "residual", "trial", "What the attack leaves.", pl.Float64),
    Column("bound_held", "bound", "trial", "Its guarantee held.", pl.Boolean),
    Column(
        "confusion", "counts", "trial", "By true and given class.", pl.List(pl.Int64)
    ),
    Column(
        "published_confusion",
        "counts",
        "trial",
        "By true and given class, as published.",
        pl.List(pl.Int64),
    ),
)


def _names(*kinds: Kind) -> tuple[str, ...]:
    return tuple(column.name for column in COLUMNS if column.kind in kinds)


BY_NAME = {column.name: column for column in COLUMNS}
SETTINGS = _names("setting")
RATES = _names("rate")
SUMMARY = _names("setting", "first", "derived", "rate", "median", "account", "judgment")
"""The columns of a summary in order, before the three that each rate adds."""
ENDS = ("low", "high", "number")
POINT = (*SETTINGS[:8], "defense_label")
"""One attacked model under one threat model: a defense of one strength, one view."""
SCENE = POINT[:8]
"""The same without the defense: what a defense is compared with none in."""
MODEL = tuple(name for name in POINT if name != "view")
"""One trained model, whatever the attacker sees of it."""


class View(NamedTuple):
    """What an attacker sees, in words.

    Attributes:
        name: the only one that reports use.
        words: who sees what, as a sentence.
        finds: what an attack does; `{}` is a share in percent.
        chance: what it would be without an attack.
    """

    name: str
    words: str
    finds: str = "finds {} of the labels"
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
    "trained_model": View(
        "trained bottom model",
        "After training, the attacker keeps its own bottom model and completes it with "
        "a few labels that it knows.",
    ),
    "message_rows": View(
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

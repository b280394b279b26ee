"""Every column of a row and of a summary: its name, heading, unit and words, once.

A row is one line of `trials.jsonl`; a summary is one line per setting (see
`frame.summarize`). A column's `kind` says how trials are summed up: a setting tells one
from another; of a rate there are the mean, `_low`, `_high` (95 % interval) and
`_number` (trials that have it); first, account: what all trials agree on; judgment,
derived: worked out from the others; trial: not summed up, as it belongs to one trial.
"""

from typing import Any, Literal, NamedTuple

import polars as pl

Kind = Literal[
    "setting", "first", "rate", "median", "account", "judgment", "derived", "trial"
]
_COUNTS = pl.List(pl.Int64)


class Column(NamedTuple):
    """One column.

    Attributes:
        name: of the field in rows and summaries.
        kind: how trials are summed up.
        heading: in a table that a person reads; "%" is of fractions shown in percent.
        words: what it says, as a sentence that stands alone.
        type: of the values; rates are fractions in [0, 1].
        default: what a row has that lacks the field.
        has_ends: a table shows the half-width of its interval.
        blind: the column of what blind guesses get of it, shown in brackets.
    """

    name: str
    kind: Kind
    heading: str
    words: str
    type: Any = pl.String
    default: Any = None
    has_ends: bool = False
    blind: str | None = None

    @property
    def is_percent(self) -> bool:
        """Whether a table shows a fraction in percent."""
        return "%" in self.heading


def _setting(name: str, heading: str, words: str, type: Any = pl.String) -> Column:  # noqa: A002
    default = {"variant": "", "adversary_optimizer": "benign"}.get(name)
    return Column(name, "setting", heading, words, type, default=default)


def _rate(name: str, heading: str, words: str, **more) -> Column:
    return Column(name, "rate", heading, words, pl.Float64, **more)


def _judgment(name: str, words: str) -> Column:
    return Column(name, "judgment", name.replace("_", " "), words, pl.Boolean)


def _account(name: str, heading: str, words: str) -> Column:
    return Column(name, "account", heading, words, pl.Float64)


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
COMPLETION = tuple(
    _rate(
        f"{reading}_{score}",
        heading.format(short),
        words.format(long),
        has_ends=reading == "attack",
    )
    for score, (short, long) in SCORES.items()
    for reading, (heading, words) in READINGS.items()
)

COLUMNS = (
    _setting("dataset", "data", "Name of the data set."),
    _setting("num_parties", "parties", "Number of parties.", pl.Int64),
    _setting("variant", "variant", "What else varies in the experiment."),
    _setting("protocol", "protocol", "Name of the protocol."),
    _setting("view", "the attacker sees", "What the attacker sees."),
    _setting("train_step", "step", "Training step at which it looks.", pl.Int64),
    _setting("batch_size", "batch", "Samples in a batch that it sees.", pl.Int64),
    _setting("num_classes", "classes", "Classes it decides among.", pl.Int64),
    _setting("defense", "defense", "Label of the defense, or none."),
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
    ),
    _setting("amplification", "amplification", "Factor on its messages.", pl.Float64),
    Column("attack_family", "first", "family", "Attacks that differ in labels known."),
    Column("is_adaptive", "first", "adaptive", "Knows the defense.", pl.Boolean),
    Column("knowledge", "first", "knows", "What the attacker knows beyond its view."),
    Column("defense_label", "derived", "defense", "The defense with its strength."),
    Column("num_trials", "derived", "trials", "Trials, failed ones too.", pl.Int64),
    Column("num_failed", "derived", "failed", "Trials that failed.", pl.Int64),
    Column("failures", "derived", "why", "Why trials failed, each reason once."),
    _rate(
        "attack_accuracy",
        "found %",
        "Labels found by the attack, of the samples whose labels it was not given.",
        has_ends=True,
    ),
    _rate("published_accuracy", "published %", "The same attack read as published."),
    _rate(
        "matched_accuracy",
        "up to names % (chance)",
        "Labels found under the best one-to-one renaming of the classes, and in "
        "brackets what blind guesses get of that.",
        has_ends=True,
        blind="matched_chance",
    ),
    _rate("matched_chance", "blind up to names %", "What blind guesses get of that."),
    _rate(
        "mutual_information",
        "information (chance)",
        "Mutual information of inferred and true labels over the mean of their "
        "entropies, from 0 to 1, and in brackets what blind guesses get of that.",
        blind="mutual_information_chance",
    ),
    _rate("mutual_information_chance", "blind information", "Of blind guesses."),
    _rate(
        "auc",
        "AUC",
        "Area under the ROC curve of the attack's scores: 0.5 without any knowledge, "
        "below it with the classes mistaken for each other.",
        has_ends=True,
    ),
    _rate(
        "main_accuracy",
        "main task %",
        "Test accuracy of the trained model, which is what a defense costs.",
        has_ends=True,
    ),
    _rate("main_top5", "main task top-5 %", "Top-5 test accuracy of that model."),
    _rate("main_f1", "main task F1 %", "Test F1 score of that model."),
    _rate("chance_accuracy", "chance %", "Always guessing the most frequent class."),
    _rate(
        "alone_accuracy",
        "attacker alone %",
        "Test accuracy of a model of the attacker's features alone that was trained "
        "with all true labels; an upper bound for test %.",
    ),
    _rate(
        "floor_accuracy",
        "label party alone %",
        "Test accuracy that the label party reaches alone; a defense that leaves less "
        "than that buys nothing.",
    ),
    _rate("inferred_accuracy", "labels inferred %", "Labels a backdoor infers first."),
    *COMPLETION[1:],
    Column("seconds", "median", "s/trial", "Seconds per trial.", pl.Float64),
    _account(
        "label_epsilon",
        "ε per message",
        "Label differential privacy of one message; infinite where nothing is bounded.",
    ),
    _account("label_delta", "δ", "Its δ."),
    _account(
        "label_epsilon_training",
        "ε over training",
        "Label differential privacy of all messages about a sample.",
    ),
    _account(
        "allowed_accuracy",
        "allowed %",
        "Share of labels that a sample's own message can give away in expectation, if "
        "labels are uniform whatever the features are.",
    ),
    Column("budget", "account", "account", "The privacy account in a sentence."),
    _judgment(
        "below_chance",
        "No trial failed and the attack finds less than blind uniform guessing (1 / "
        "classes): read it as leakage, not protection. With its whole interval, so the "
        "attacker knows more than nothing; or with its mean, where the labels are "
        "found up to names or by an attacker who knows the defense.",
    ),
    _judgment(
        "labels_are_found",
        "It finds classes, or one that knows the defense finds labels of the model.",
    ),
    _judgment(
        "finds_classes",
        "Labels found up to a renaming of the classes are clearly above chance: by 5 "
        "points and with the whole interval, or more than halfway from there to all.",
    ),
    _judgment(
        "hides_names_only",
        "The labels leak up to the names of the classes: under the best renaming they "
        "are found, clearly above chance. What is hidden is names, and one sample of "
        "known label in each class gives them back.",
    ),
    _judgment(
        "says_nothing",
        "The 95 % interval includes chance and is at least half as wide as the room "
        "between chance and all labels, so the row says nothing either way.",
    ),
    Column("trial", "trial", "trial", "Number of the trial.", pl.Int64),
    Column("seed", "trial", "seed", "Seed of the experiment.", pl.Int64),
    Column("status", "trial", "status", "ok, or why the trial failed."),
    Column("train_seconds", "trial", "s", "Seconds of training.", pl.Float64),
    Column("residual", "trial", "residual", "What the attack leaves.", pl.Float64),
    Column("bound_held", "trial", "bound", "Its guarantee held.", pl.Boolean),
    Column("confusion", "trial", "counts", "By true and given class.", _COUNTS),
    Column("published_confusion", "trial", "counts", "As published.", _COUNTS),
)


def names_of(*kinds: Kind) -> tuple[str, ...]:
    """The names of the columns of some kinds, in order."""
    return tuple(column.name for column in COLUMNS if column.kind in kinds)


BY_NAME = {column.name: column for column in COLUMNS}
SETTINGS = names_of("setting")
RATES = names_of("rate")
ENDS = ("low", "high", "number")
SCENE = SETTINGS[:8]
"""A setting without its defense and attack: what a defense is compared with none in."""
POINT = (*SCENE, "defense_label")
"""One attacked model under one threat model: a defense of one strength, one view."""
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

"""From one row per trial to one row per setting, and to one per attacked model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from scipy.special import stdtrit

from vfljax.experiments.frame import rows_to_frame
from vfljax.reports.columns import (
    COLUMNS,
    ENDS,
    MODEL,
    POINT,
    RATES,
    SETTINGS,
    names_of,
)

CONFIDENCE = 0.95
UNDEFENDED = "none"
BENIGN = "benign"
TRAINED_MODEL, MESSAGE_ROWS = "trained_model", "message_rows"
_REQUIRED = {
    *("dataset", "view", "train_step", "batch_size", "num_classes", "defense"),
    *("attack", "trial", "attack_accuracy", "chance_accuracy", "status"),
}
_CLEAR_MARGIN = 0.05  # of a rate above its chance level


class Frame(NamedTuple):
    """What a report is made from.

    Attributes:
        summary: one row per setting; its columns are those of `columns.py` but those of
            a trial, and for each rate R also `R_low`, `R_high` (its 95 % interval, null
            for one trial) and `R_number` (trials that have it). Rates are fractions.
        raw: one row per trial, with the confusion matrices where they were recorded.
        engines: what each training on ciphertexts recorded of itself; see `Run`.
    """

    summary: pl.DataFrame
    raw: pl.DataFrame
    engines: Sequence[Mapping[str, Any]] = ()

    def only(self, condition: pl.Expr) -> "Frame":
        """The rows of both tables that meet a condition on their settings."""
        tables = self.summary.filter(condition), self.raw.filter(condition)
        return Frame(*tables, self.engines)

    def has(self, name: str) -> bool:
        """Whether any row of the summary has a value in that column."""
        return self.summary[name].null_count() < self.summary.height


def summarize(rows: Sequence[Mapping[str, Any]]) -> Frame:
    """Summarizes the trials of every setting, in order of first appearance.

    Failed trials stay in every mean and in the denominator, with the accuracy they
    have: a mean over the trials that went well would flatter the defense or the attack,
    whichever makes trials fail. The interval of a rate is `mean ± t(0.975, n - 1) s /
    sqrt(n)` with the sample standard deviation s of the n per-trial rates, clipped to
    [0, 1]: the spread between trials, as samples of one batch share a model and are not
    independent. One trial has no interval; trials that all agree have one of zero
    width, which does not mean that a further trial could not differ.

    Args:
        rows: one per trial, as in `trials.jsonl`; fields it does not know are ignored.

    Returns:
        One row per distinct value of `columns.SETTINGS`, and the trials themselves.

    Raises:
        ValueError: without rows; if a row lacks a field; if a rate is not in [0, 1]; or
            if two rows of one setting have the same trial number. Counting one trial
            twice, or pooling a swept value that is no setting, would make the interval
            too narrow.
    """
    raw = _typed(rows)
    failures = pl.col("status").filter(pl.col("status") != "ok")
    summary = raw.group_by(*SETTINGS, "defense_label", maintain_order=True).agg(
        *(pl.col(name).drop_nulls().first() for name in names_of("first")),
        pl.col("knowledge").drop_nulls().unique(maintain_order=True).alias("known"),
        pl.len().cast(pl.Int64).alias("num_trials"),
        failures.len().cast(pl.Int64).alias("num_failed"),
        failures.unique().sort().alias("failures"),
        pl.col("seconds").median(),
        *(expression for name in RATES for expression in _spread(name)),
        *_account(),
    )
    summary = summary.with_columns(
        pl.col("attack_family").fill_null(pl.col("attack")),
        pl.col("is_adaptive").fill_null(value=False),
        pl.col("failures").list.join(" "),
        pl.when(pl.col("known").list.len() > 0)
        .then(pl.col("known").list.join(" or "))
        .alias("knowledge"),
        *(expression for name in RATES for expression in _interval(name)),
    )
    kinds = ("setting", "first", "derived", "rate", "median", "account", "judgment")
    ends = [f"{name}_{end}" for name in RATES for end in ENDS]
    return Frame(_judged(summary).select(*names_of(*kinds), *ends), raw)


def _typed(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows with every column that a row can have and the defense's label, checked.

    The label is `dp_gaussian noise_std=0.001`.
    """
    if not rows:
        raise ValueError("rows is empty; allowed: at least one finished trial")
    for index, row in enumerate(rows):
        missing = sorted(name for name in _REQUIRED if row.get(name) is None)
        if missing:
            raise ValueError(f"rows[{index}] lacks {missing}; required: {_REQUIRED}")
    found = rows_to_frame(rows)
    columns = [c for c in COLUMNS if c.kind not in ("derived", "judgment")]
    absent = [pl.lit(None).alias(c.name) for c in columns if c.name not in found]
    raw = found.with_columns(absent).select(
        pl.col(c.name).cast(c.type).fill_null(pl.lit(c.default)) for c in columns
    )
    for name in RATES:
        wrong = raw[name].filter(~raw[name].is_between(0, 1))
        if wrong.len():
            raise ValueError(f"{name}={wrong[0]}: must be in [0, 1]")
    twice = raw.filter(raw.select(*SETTINGS, "trial").is_duplicated())
    if twice.height:
        raise ValueError(
            f"rows contains a trial twice in setting {twice.row(0)[: len(SETTINGS)]}; "
            "allowed: each trial once, and attacks or defenses that differ in another "
            "value under different labels"
        )
    strength = pl.col("defense_strength").map_elements(
        lambda value: f"{value:g}", return_dtype=pl.String
    )
    label = pl.format("{} {}={}", "defense", "strength_name", strength)
    return raw.with_columns(label.fill_null(pl.col("defense")).alias("defense_label"))


def _spread(name: str) -> list[pl.Expr]:
    """What the mean and the interval of a rate need of a group."""
    rate = pl.col(name)
    agree = rate.min() == rate.max()  # a rounded mean would give a tiny width
    return [
        pl.when(agree).then(rate.min()).otherwise(rate.mean()).alias(name),
        pl.when(agree).then(0.0).otherwise(rate.std()).alias(f"{name}_spread"),
        rate.count().cast(pl.Int64).alias(f"{name}_number"),
    ]


def _interval(name: str) -> list[pl.Expr]:
    """The 95 % Student-t interval, null for fewer than two trials."""
    number = pl.col(f"{name}_number")
    quantile = number.map_elements(
        lambda n: float(stdtrit(max(n - 1, 1), (1 + CONFIDENCE) / 2)),
        return_dtype=pl.Float64,
    )
    half = quantile * pl.col(f"{name}_spread") / number.sqrt()
    ends = {"low": pl.col(name) - half, "high": pl.col(name) + half}
    return [
        pl.when(number > 1).then(end.clip(0, 1)).alias(f"{name}_{which}")
        for which, end in ends.items()
    ]


def _account() -> list[pl.Expr]:
    """The privacy account, the same in every trial; no field of it without a sentence.

    JSON has no infinity, so an ε that is null beside a sentence is infinite.
    """
    has_one = pl.col("budget").is_not_null()
    fields = []
    for name in names_of("account"):
        field = pl.col(name).filter(has_one).first()
        if "epsilon" in name:
            field = pl.when(has_one.any()).then(field.fill_null(float("inf")))
        fields.append(field.alias(name))
    return fields


def _judged(summary: pl.DataFrame) -> pl.DataFrame:
    """The judgments; what an attack that knows a defense finds counts for all of it."""
    knows = pl.col("is_adaptive") & _clearly_above("attack_accuracy", "chance_accuracy")
    return (
        summary.with_columns(
            _clearly_above("matched_accuracy", "matched_chance").alias("finds_classes"),
            knows.alias("found"),
        )
        .with_columns(
            labels_are_found=pl.col("finds_classes") | pl.col("found").any().over(POINT)
        )
        .with_columns(_of_reading())
    )


def _clearly_above(name: str, chance: str) -> pl.Expr:
    """Whether a rate is above its chance level beyond doubt and by a relevant margin.

    With its whole interval, which one trial does not have and of two is wide; or its
    mean is more than halfway from chance to 1.
    """
    rate, low, level = pl.col(name), pl.col(f"{name}_low"), pl.col(chance)
    is_above = (low > level).fill_null(value=False) & (rate >= level + _CLEAR_MARGIN)
    return ((rate > (1 + level) / 2) | is_above).fill_null(value=False)


def _of_reading() -> list[pl.Expr]:
    """The judgments on `attack_accuracy`, from the columns beside it."""
    rate, chance = pl.col("attack_accuracy"), pl.col("chance_accuracy")
    low, high = pl.col("attack_accuracy_low"), pl.col("attack_accuracy_high")
    end = pl.when("labels_are_found").then(rate).otherwise(high)
    beyond = pl.col("matched_accuracy") - pl.col("matched_chance")
    is_guess = pl.col("view") != MESSAGE_ROWS  # a backdoor that fails tells no labels
    is_below = (pl.col("num_failed") == 0) & (end < 1 / pl.col("num_classes"))
    judgments = {
        "below_chance": is_guess & is_below,
        "hides_names_only": pl.col("finds_classes") & (rate - chance < beyond / 2),
        "says_nothing": chance.is_between(low, high) & (high - low >= (1 - chance) / 2),
    }
    return [
        judgment.fill_null(value=False).alias(name)
        for name, judgment in judgments.items()
    ]


def distinct(table: pl.DataFrame, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The different values of some columns, in order of first appearance."""
    return table.select(names).unique(maintain_order=True).rows() if names else [()]


def matching(
    table: pl.DataFrame, names: Sequence[str], values: Sequence[Any]
) -> pl.DataFrame:
    """The rows that have those values in some columns; null equals null."""
    return table.filter(
        pl.col(name).eq_missing(pl.lit(value, dtype=table.schema[name]))
        for name, value in zip(names, values, strict=True)
    )


def varying(table: pl.DataFrame, names: Iterable[str] = SETTINGS) -> tuple[str, ...]:
    """Those of the columns with several values that the variant does not tell."""
    found = [name for name in names if table[name].n_unique() > 1]
    if "variant" not in found:
        return tuple(found)
    num_variants = table["variant"].n_unique()
    return tuple(
        name
        for name in found
        if name == "variant" or table.select("variant", name).n_unique() > num_variants
    )


def _readings(summary: pl.DataFrame) -> pl.DataFrame:
    """The attacks, and each published readout that every trial has as one of its own.

    A published readout is called so in `attack`, and `attack_accuracy` is its rate.
    That of a backdoor counts samples that need no trigger, so it is none.
    """
    published = summary.filter(
        pl.col("published_accuracy_number") == pl.col("num_trials"),
        pl.col("view") != MESSAGE_ROWS,
    ).with_columns(
        pl.col("attack") + " (published)",
        *(
            pl.col(f"published_accuracy{end}").alias(f"attack_accuracy{end}")
            for end in ("", "_low", "_high", "_number")
        ),
    )
    return pl.concat([summary, published.with_columns(_of_reading())])


def strongest(summary: pl.DataFrame, *, is_naive: bool = False) -> pl.DataFrame:
    """The strongest reading on each model under each threat model.

    By its mean; on a tie one that ignores the defense, then the first. That choice
    among noisy means is slightly in the attacks' favor. An attacker who knows the
    defense may always use an attack that ignores it, so this is what it finds. The main
    task is that of the model, from whichever attack's rows have it, of a training by
    benign optimizers if any. `hides_names_only` is by what any of the attacks finds up
    to a renaming.

    Args:
        summary: of a `Frame`.
        is_naive: of the attacks that ignore the defense only.

    Returns:
        One row per distinct value of `columns.POINT` that has such an attack, in order
        of first appearance, with the columns of `summary` and two more:
        `is_knowing_tried` (some attack on it knows the defense, or there is none to
        know) and `any_failed` (a trial of any attack on it did).
    """
    attacks = summary.filter(~pl.col("is_adaptive")) if is_naive else summary
    best = []
    for point in distinct(attacks, POINT):
        here, everything = (matching(t, POINT, point) for t in (attacks, summary))
        order = ("attack_accuracy", "is_adaptive")
        ordered = _readings(here).sort(
            order, descending=[True, False], maintain_order=True
        )
        row = ordered.row(0, named=True)
        row["hides_names_only"] = _hides_names_only(row, up_to_names(here))
        is_knowing = row["defense"] == UNDEFENDED or any(everything["is_adaptive"])
        row["is_knowing_tried"] = is_knowing
        row["any_failed"] = any(everything["num_failed"])
        model = matching(summary, MODEL, [row[name] for name in MODEL])
        main = main_of(pl.concat([everything, model])) or {}
        row |= {
            name: main[name] for name in main if name.startswith(("main_", "floor_"))
        }
        best.append(row)
    more = dict.fromkeys(("is_knowing_tried", "any_failed"), pl.Boolean)
    return pl.DataFrame(best, schema=summary.schema | more)


def naive(summary: pl.DataFrame) -> pl.DataFrame:
    """The strongest reading that ignores the defense; without one there is no row."""
    return strongest(summary, is_naive=True)


def main_of(attacks: pl.DataFrame) -> dict[str, Any] | None:
    """The first with a main-task accuracy, of a training by benign optimizers if any.

    An active attack has a training of its own, which is not what a defense costs.
    """
    trained = attacks.filter(pl.col("main_accuracy").is_not_null())
    ordered = trained.sort(pl.col("adversary_optimizer") != BENIGN, maintain_order=True)
    return ordered.row(0, named=True) if ordered.height else None


def up_to_names(attacks: pl.DataFrame) -> dict[str, Any] | None:
    """The attack that finds most up to a renaming, one clearly above chance first."""
    matched = attacks.filter(pl.col("matched_accuracy").is_not_null())
    order = ("finds_classes", "matched_accuracy")
    ordered = matched.sort(order, descending=True, maintain_order=True)
    return ordered.row(0, named=True) if ordered.height else None


def _hides_names_only(reading, found):
    """Whether identity shows less than half of what is found up to a renaming."""
    if found is None or not found["finds_classes"]:
        return False
    beyond_chance = found["matched_accuracy"] - (found["matched_chance"] or 0.0)
    return reading["attack_accuracy"] - reading["chance_accuracy"] < beyond_chance / 2

"""From one row per trial to one row per setting, and to one per attacked model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from scipy.special import stdtrit

from vfljax.reports import columns
from vfljax.reports.columns import MODEL, POINT, RATES, SETTINGS, UNDEFENDED, names_of

_REQUIRED = {
    *("dataset", "view", "train_step", "batch_size", "num_classes", "defense"),
    *("attack", "trial", "attack_accuracy", "chance_accuracy", "status"),
}
_CLEAR_MARGIN = 0.05  # of a rate above its chance level
_IN_TITLES = (*POINT, "attack", "known_per_class", "adversary_optimizer")
_UNBOUNDED = {"mean_score"}  # of a regression, which may answer beyond 0 and 1
_OF_ATTACK = ("view", "known_per_class", "adversary_optimizer")


class Frame(NamedTuple):
    """What a report is made from.

    `summary` has a row per setting and the columns of `columns.py` but those of a
    trial; of each rate R also `R_low`, `R_high` (its 95 % interval, null for one trial)
    and `R_number` (trials that have it). `raw` has a row per trial.
    `engines` is what each training on ciphertexts recorded of itself; see `Run`.
    """

    summary: pl.DataFrame
    raw: pl.DataFrame
    engines: Sequence[Mapping[str, Any]] = ()

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

    Raises:
        ValueError: without rows; if a row lacks a field; if a rate is not in [0, 1]; or
            if two rows of one setting have the same trial number: to count one twice,
            or pool a swept value that is no setting, makes the interval too narrow.
    """
    raw = _typed(rows)
    status, knowledge = pl.col("status"), pl.col("knowledge").drop_nulls()
    failures = status.filter(status != "ok")
    known = knowledge.unique(maintain_order=True).str.join(" or ")
    summary = raw.group_by(*SETTINGS, "defense_label", maintain_order=True).agg(
        pl.col("attack_family", "is_adaptive", "adds_noise").first(),
        known.replace("", None).alias("knowledge"),
        pl.len().cast(pl.Int64).alias("num_trials"),
        failures.len().cast(pl.Int64).alias("num_failed"),
        failures.unique().sort().str.join(" ").alias("failures"),
        pl.col("seconds").median(),
        *(column for name in RATES for column in _spread(name)),
        *map(_accounted, names_of("account")),
    )
    # What an attack that knows a defense finds counts for all of its attacks.
    found = pl.col("is_adaptive") & _clearly_above("attack_accuracy", "chance_accuracy")
    finds_classes = _clearly_above("matched_accuracy", "matched_chance")
    labels_are_found = finds_classes | found.any().over(POINT)
    summary = summary.with_columns(
        finds_classes=finds_classes, labels_are_found=labels_are_found
    ).with_columns(_of_reading())
    kinds = ("setting", "first", "derived", "rate", "median", "account", "judgment")
    ends = [f"{name}_{end}" for name in RATES for end in columns.ENDS]
    return Frame(summary.select(*names_of(*kinds), *ends), raw)


def _typed(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The rows, checked, with every column and labels as `gaussian noise_std=0.1`."""
    if not rows:
        raise ValueError("rows is empty; allowed: at least one finished trial")
    for index, row in enumerate(rows):
        missing = sorted(name for name in _REQUIRED if row.get(name) is None)
        if missing:
            raise ValueError(f"rows[{index}] lacks {missing}; required: {_REQUIRED}")
    kinds = ("setting", "first", "rate", "median", "account", "trial")
    types = {name: columns.BY_NAME[name].type for name in names_of(*kinds)}
    raw = pl.DataFrame(list(rows), schema=types)
    for name in set(RATES) - _UNBOUNDED:
        wrong = raw[name].filter(~raw[name].is_between(0, 1))
        if wrong.len():
            raise ValueError(f"{name}={wrong[0]}: must be in [0, 1]")
    strength = pl.col("defense_strength").map_elements(
        lambda value: f"{value:g}", return_dtype=pl.String
    )
    label = pl.format("{} {}={}", "defense", "strength_name", strength)
    raw = raw.with_columns(
        *(pl.col(name).fill_null(value) for name, value in columns.DEFAULTS.items()),
        pl.col("attack_family").fill_null(pl.col("attack")),
        pl.col("goal").replace(columns.USUAL_GOALS),
        label.fill_null(pl.col("defense")).alias("defense_label"),
    )
    twice = raw.filter(raw.select(*SETTINGS, "trial").is_duplicated())
    if twice.height:
        raise ValueError(
            f"rows contains a trial twice in setting {twice.row(0)[: len(SETTINGS)]}: "
            "attacks or defenses that differ in another value must have other labels"
        )
    return raw


def _spread(name: str) -> list[pl.Expr]:
    """The mean of a rate, its 95 % Student-t interval, null for one trial, and n."""
    rate, number = pl.col(name), pl.col(name).count()
    agree = rate.min() == rate.max()  # a rounded mean would give a tiny width
    mean = pl.when(agree).then(rate.min()).otherwise(rate.mean())
    quantile = number.map_elements(
        lambda n: float(stdtrit(max(n - 1, 1), 0.975)), return_dtype=pl.Float64
    )
    spread = pl.when(agree).then(0.0).otherwise(rate.std())
    half = quantile * spread / number.cast(pl.Int64).sqrt()
    low, high = mean - half, mean + half
    if name not in _UNBOUNDED:
        low, high = low.clip(0, 1), high.clip(0, 1)
    has_ends = pl.when(number > 1)
    return [
        mean.alias(name),
        has_ends.then(low).alias(f"{name}_low"),
        has_ends.then(high).alias(f"{name}_high"),
        number.cast(pl.Int64).alias(f"{name}_number"),
    ]


def _accounted(name: str) -> pl.Expr:
    """A field of the privacy account, the same in every trial; none without a sentence.

    JSON has no infinity, so an ε that is null beside a sentence is infinite.
    """
    sentence = "guarantee" if name in columns.OF_UPDATES else "budget"
    has_one = pl.col(sentence).is_not_null()
    field = pl.col(name).filter(has_one).first()
    if "epsilon" in name:
        field = pl.when(has_one.any()).then(field.fill_null(float("inf")))
    return field.alias(name)


def _clearly_above(name: str, chance: str) -> pl.Expr:
    """Whether a rate is above its chance level beyond doubt and by a relevant margin.

    With its whole interval, which one trial does not have and of two is wide; or its
    mean is more than halfway from chance to 1.
    """
    rate, low, level = pl.col(name), pl.col(f"{name}_low"), pl.col(chance)
    is_above = (low > level) & (rate >= level + _CLEAR_MARGIN)
    return ((rate > (1 + level) / 2) | is_above).fill_null(value=False)


def _of_reading() -> list[pl.Expr]:
    """The judgments on `attack_accuracy`, from the columns beside it."""
    rate, chance = pl.col("attack_accuracy"), pl.col("chance_accuracy")
    low, high = pl.col("attack_accuracy_low"), pl.col("attack_accuracy_high")
    end = pl.when("labels_are_found").then(rate).otherwise(high)
    beyond = pl.col("matched_accuracy") - pl.col("matched_chance")
    # A backdoor that fails tells no labels, nor does an answer to something else.
    is_guess = (pl.col("view") != columns.MESSAGE_ROWS) & pl.col("goal").is_null()
    is_below = (pl.col("num_failed") == 0) & (end < 1 / pl.col("num_classes"))
    hides = pl.col("finds_classes") & (rate - chance < beyond / 2)
    silent = chance.is_between(low, high) & (high - low >= (1 - chance) / 2)
    return [
        (is_guess & is_below).fill_null(value=False).alias("below_chance"),
        hides.fill_null(value=False).alias("hides_names_only"),
        silent.fill_null(value=False).alias("says_nothing"),
    ]


def groups(
    table: pl.DataFrame, names: Sequence[str]
) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    """The rows that share values, in order of first appearance; all without names."""
    return list(table.group_by(names, maintain_order=True)) if names else [((), table)]


def varying(table: pl.DataFrame, names: Iterable[str] = _IN_TITLES) -> tuple[str, ...]:
    """Those of the columns with several values that the variant does not tell."""
    found = [name for name in names if table[name].n_unique() > 1]
    known = _told(table, "variant", found) if "variant" in found else ()
    return tuple(name for name in found if name not in known)


def untold(table: pl.DataFrame, names: Iterable[str], attack: str) -> tuple[str, ...]:
    """Those that vary but for what a column with names of attacks says as well."""
    said = _told(table, attack, _OF_ATTACK)
    return tuple(name for name in varying(table, names) if name not in said)


def in_titles(table: pl.DataFrame, drawn: Sequence[str]) -> tuple[str, ...]:
    """The settings that need axes per value: all that vary and are not drawn yet."""
    attack = "attack_family" if "attack_family" in drawn else "attack"
    shown = {*drawn, "attack"} if attack == "attack_family" else {*drawn}
    return tuple(n for n in untold(table, _IN_TITLES, attack) if n not in shown)


def is_swept(table: pl.DataFrame, name: str) -> bool:
    """Whether two settings differ in this one alone."""
    others = set(_IN_TITLES) - {name}
    if name == "known_per_class":
        others = others - {"attack"} | {"attack_family"}
    if name == "variant":  # where it changes, what it says changes with it
        others -= _told(table, "variant", set(columns.SCENE) - {"view"})
    return any(varying(group, [name]) for _, group in groups(table, sorted(others)))


def _told(table: pl.DataFrame, teller: str, names: Iterable[str]) -> set[str]:
    """Those of the columns whose value another one says as well."""
    number, others = table[teller].n_unique(), set(names) - {teller}
    return {n for n in others if table.select(teller, n).n_unique() == number}


def _readings(summary: pl.DataFrame) -> pl.DataFrame:
    """The attacks, and each published readout that every trial has as one of its own.

    A published readout is called so in `attack`, and `attack_accuracy` is its rate.
    That of a backdoor counts samples that need no trigger, so it is none.
    """
    published = summary.filter(
        pl.col("published_accuracy_number") == pl.col("num_trials"),
        pl.col("view") != columns.MESSAGE_ROWS,
    ).with_columns(
        pl.col("attack") + " (published)",
        pl.col("^published_accuracy.*$").name.replace("^published", "attack"),
    )
    return pl.concat([summary, published])


def strongest(summary: pl.DataFrame) -> pl.DataFrame:
    """The strongest reading on each model under each threat model.

    By its mean; on a tie one that ignores the defense, then the first. That choice
    among noisy means is slightly in the attacks' favor. An attacker who knows the
    defense may always use an attack that ignores it, so this is what it finds. The main
    task is that of the model, from whichever attack's rows have it, of a training by
    benign optimizers if any. What is found up to a renaming, and `hides_names_only`,
    are by whichever of the attacks finds most of it.

    Two columns are added: `is_knowing_tried` (some attack on the model knows the
    defense, or there is none to know), and `any_failed` (a trial of any attack on it).
    """
    models, best = dict(groups(summary, MODEL)), []
    for _, attacks in groups(summary, POINT):
        model = models[tuple(attacks[name][0] for name in MODEL)]
        readings, rate = _readings(attacks), "attack_accuracy"
        row = _first(readings, rate, pl.col(rate), ~pl.col("is_adaptive"))
        matched = pl.col("matched_accuracy")
        named = _first(attacks, "matched_accuracy", pl.col("finds_classes"), matched)
        main = main_of(pl.concat([attacks, model]))
        row |= {n: main[n] for n in main if n.startswith(("main_", "floor_"))}
        row |= {n: named[n] for n in named if n.startswith(("matched_", "finds_"))}
        is_known = row["defense"] == UNDEFENDED or any(attacks["is_adaptive"])
        tried = {"is_knowing_tried": is_known, "any_failed": any(attacks["num_failed"])}
        best.append(row | tried)
    more = dict.fromkeys(("is_knowing_tried", "any_failed"), pl.Boolean)
    return pl.DataFrame(best, schema=summary.schema | more).with_columns(_of_reading())


def naive(summary: pl.DataFrame) -> pl.DataFrame:
    """The strongest reading that ignores the defense; without one there is no row."""
    return strongest(summary.filter(~pl.col("is_adaptive")))


def main_of(attacks: pl.DataFrame) -> dict[str, Any]:
    """The first with a main-task accuracy, of a training by benign optimizers if any.

    An active attack has a training of its own, which is not what a defense costs.
    """
    is_benign = pl.col("adversary_optimizer") == columns.BENIGN
    return _first(attacks, "main_accuracy", is_benign)


def _first(attacks: pl.DataFrame, rate: str, *order: pl.Expr) -> dict[str, Any]:
    """Of the rows that have a rate the highest in some columns, or {}."""
    ordered = attacks.drop_nulls(rate).sort(order, descending=True, maintain_order=True)
    return next(ordered.iter_rows(named=True), {})

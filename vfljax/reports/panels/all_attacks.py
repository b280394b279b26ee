"""Every attack on messages in every setting."""

import polars as pl

from vfljax.reports.columns import BY_NAME, SCENE
from vfljax.reports.frame import Frame
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Field, Table, field, knows, lay_out, with_chance

ON_MESSAGES = ~pl.col("view").is_in(["trained_model", "message_rows"])
_INFORMATION = with_chance("mutual_information", "mutual_information_chance")


def _table(frame: Frame) -> Table:
    """A line per setting and attack."""
    fields = (
        *(field(name) for name in (*SCENE, "defense_label", "attack")),
        field("known_per_class"),
        field("adversary_optimizer"),
        Field("knows", knows, is_number=False, is_result=False),
        field("num_trials"),
        field("num_failed"),
        field("attack_accuracy"),
        field("auc"),
        field("published_accuracy", with_ends=False),
        field("chance_accuracy", with_ends=False),
        Field(
            "up to names % (chance)",
            with_chance("matched_accuracy", "matched_chance"),
            is_number=True,
            is_result=True,
        ),
        Field("information (chance)", _INFORMATION, is_number=True, is_result=True),
        field("main_accuracy"),
        field("floor_accuracy", with_ends=False),
        field("seconds"),
    )
    return lay_out(fields, frame.summary.filter(ON_MESSAGES).to_dicts())


def _notes(frame: Frame) -> list[str]:
    """What the columns mean, of those that there are."""
    here = frame.only(ON_MESSAGES)
    names = (
        "attack_accuracy",
        "chance_accuracy",
        "auc",
        "published_accuracy",
        "matched_accuracy",
        "mutual_information",
        "main_accuracy",
        "floor_accuracy",
    )
    return [
        f"{BY_NAME[name].heading}: {BY_NAME[name].words}"
        for name in names
        if here.has(name)
    ]


ALL_ATTACKS = Panel(
    name="all_attacks",
    title="All attacks",
    wants=lambda frame: frame.summary.filter(ON_MESSAGES).height > 0,
    table=_table,
    notes=_notes,
)

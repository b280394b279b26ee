"""Every column is declared once, and the rows of finished runs hold no other."""

import json
from pathlib import Path

import polars as pl
import pytest

from vfljax.reports.columns import COLUMNS, VIEWS, view_of

RUNS = Path(__file__).parents[2] / "benchmarks" / "results" / "runs"


def test_no_column_is_declared_twice():
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_has_a_heading_and_a_sentence(column):
    assert column.heading
    assert column.words[0].isupper() or column.words.startswith("ok,")
    assert column.words.endswith(".")
    assert column.type == pl.Float64 or not column.is_percent  # a fraction


@pytest.mark.parametrize("folder", sorted(RUNS.iterdir()), ids=lambda path: path.name)
def test_every_field_of_committed_rows_is_a_column(folder):
    lines = (folder / "trials.jsonl").read_text().splitlines()
    fields = {name for line in lines for name in json.loads(line)}
    assert fields <= {column.name for column in COLUMNS}


def test_a_view_has_one_name():
    names = [view.name for view in VIEWS.values()]
    assert len(names) == len(set(names))
    assert view_of("of_tomorrow").name == "of tomorrow"
    assert "{}" in view_of("of_tomorrow").finds

"""Who sees what: the threat models of a run, and what its attackers know besides."""

from vfljax.reports.columns import view_of
from vfljax.reports.frame import Frame, distinct, matching
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import Table, knows


def _table(frame: Frame) -> Table:
    """A line per threat model."""
    cells = []
    for (name,) in distinct(frame.summary, ("view",)):
        rows = matching(frame.summary, ("view",), (name,)).to_dicts()
        known = dict.fromkeys(knows(row) for row in rows)
        view = view_of(name)
        attacks = dict.fromkeys(row["attack"] for row in rows)
        cells.append(
            (
                view.name,
                view.words,
                "; ".join(words for words in known if words != "-") or "nothing",
                ", ".join(attacks),
            )
        )
    return Table(
        constants=[],
        headings=["the attacker sees", "that is", "it may know", "attacks tried"],
        is_number=[False] * 4,
        cells=cells,
        footnotes=[],
    )


WHO_SEES = Panel(
    name="who_sees",
    title="Who sees what",
    wants=lambda frame: True,
    table=_table,
)

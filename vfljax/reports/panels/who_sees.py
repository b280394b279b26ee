"""Who sees what: the threat models of a run, and what its attackers know besides."""

from vfljax.reports.columns import view_of
from vfljax.reports.frame import Frame, groups
from vfljax.reports.panels.base import Panel
from vfljax.reports.table import NOTHING, Table, cell


def _table(frame: Frame) -> Table:
    """A line per threat model."""
    cells = []
    for (name,), attacks in groups(frame.summary, ["view"]):
        rows = attacks.to_dicts()
        known = dict.fromkeys(cell(row, "knowledge") for row in rows)
        known.pop(NOTHING, None)
        view = view_of(name)
        attacks = ", ".join(dict.fromkeys(row["attack"] for row in rows))
        cells.append((view.name, view.words, "; ".join(known) or "nothing", attacks))
    headings = ["the attacker sees", "that is", "it may know", "attacks tried"]
    return Table(headings, [False] * 4, cells)


WHO_SEES = Panel("who_sees", "Who sees what", table=_table)

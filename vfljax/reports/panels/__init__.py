"""The panels of a report, in the order in which a reader meets them."""

from vfljax.reports.panels.all_attacks import ALL_ATTACKS
from vfljax.reports.panels.backdoors import BACKDOORS
from vfljax.reports.panels.base import Panel
from vfljax.reports.panels.budget import BUDGET
from vfljax.reports.panels.completion import COMPLETION
from vfljax.reports.panels.defenses import DEFENSES
from vfljax.reports.panels.who_sees import WHO_SEES

PANELS = (
    DEFENSES,
    WHO_SEES,
    ALL_ATTACKS,
    COMPLETION,
    BACKDOORS,
    BUDGET,
)

__all__ = ["PANELS", "Panel"]

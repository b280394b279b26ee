"""The panels of a report, in the order in which a reader meets them."""

from vfljax.reports.panels.all_attacks import ALL_ATTACKS, BACKDOORS, COMPLETION_PANEL
from vfljax.reports.panels.amplification import AMPLIFICATION
from vfljax.reports.panels.budget import BUDGET, UPDATE_BUDGET
from vfljax.reports.panels.curves import CURVES
from vfljax.reports.panels.defenses import DEFENSES
from vfljax.reports.panels.restored import RESTORED
from vfljax.reports.panels.rounds import ROUNDS
from vfljax.reports.panels.trade_off import BACKDOOR_TRADE_OFF, TRADE_OFF
from vfljax.reports.panels.watched import WATCHED
from vfljax.reports.panels.who_learned import WHO_LEARNED
from vfljax.reports.panels.who_sees import WHO_SEES

PANELS = (
    WHO_SEES,
    TRADE_OFF,
    *CURVES,
    WATCHED,
    ROUNDS,
    DEFENSES,
    ALL_ATTACKS,
    COMPLETION_PANEL,
    BACKDOOR_TRADE_OFF,
    AMPLIFICATION,
    BACKDOORS,
    BUDGET,
    UPDATE_BUDGET,
    WHO_LEARNED,
    RESTORED,
)

"""Tables and figures of a finished run, from its records alone."""

from vfljax.reports.encrypted import print_encrypted, write_encrypted_figure
from vfljax.reports.figures import choose_figures
from vfljax.reports.report import print_summary, write_report
from vfljax.reports.statistics import Summary, summarize

__all__ = [
    "Summary",
    "choose_figures",
    "print_encrypted",
    "print_summary",
    "summarize",
    "write_encrypted_figure",
    "write_report",
]

"""Page, tables and figures of a finished run, from its records alone."""

from vfljax.reports.frame import Frame, summarize
from vfljax.reports.report import print_summary, write_report

__all__ = ["Frame", "print_summary", "summarize", "write_report"]

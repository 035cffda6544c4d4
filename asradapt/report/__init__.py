"""A report to look at: one HTML file that needs nothing else, for a browser, a phone and paper."""

from __future__ import annotations

from asradapt.report.options import ReportOptions
from asradapt.report.write import check_report, write_report

__all__ = ["ReportOptions", "check_report", "write_report"]

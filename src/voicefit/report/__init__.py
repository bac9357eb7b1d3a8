"""A sweep's trials as figures, tables and one page."""

from voicefit.report.build import build_report
from voicefit.report.compare import compare_runs
from voicefit.report.figures import k_curve_figure
from voicefit.report.formats import parse_formats, rich_table
from voicefit.report.text import headline
from voicefit.report.watch import watch_report

__all__ = ["build_report", "compare_runs", "headline", "k_curve_figure", "parse_formats", "rich_table", "watch_report"]

"""A sweep's trials as figures, tables and one page."""

from voicefit.report.build import build_report
from voicefit.report.figures import k_curve_figure
from voicefit.report.text import headline
from voicefit.report.watch import watch_report

__all__ = ["build_report", "headline", "k_curve_figure", "watch_report"]

"""The report as one HTML file that needs nothing else: no network, no fonts, no script to be read."""

from harness.report.html.page import render, write

__all__ = ["render", "write"]

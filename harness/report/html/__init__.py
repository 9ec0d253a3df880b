"""The report as one self-contained HTML file: no network, no fonts, readable without scripts."""

from harness.report.html.page import render, write

__all__ = ["render", "write"]

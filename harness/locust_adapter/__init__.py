"""Scenarios as Locust users. Only this package imports Locust.

Importing Locust patches the process, and what is measured in a patched process is another program. So nothing is measured here:
Locust brings the command line, the web UI and the distribution, and each of its local or worker processes supervises one unpatched
engine process over a pipe (`harness.load`), telling it how much load there is and hearing every block's histograms.
"""

from __future__ import annotations

from harness.locust_adapter import listeners  # noqa: F401 - hears Locust's events from here on
from harness.locust_adapter.classes import users
from harness.locust_adapter.statistics import install

install()

__all__ = ["users"]

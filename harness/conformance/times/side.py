"""One version of the workload as a side of `harness.against`: `side.py PERCENT` does so much more."""

from __future__ import annotations

import sys
from functools import partial

from harness.against.channel import serve
from harness.conformance.times import workload
from harness.conformance.times.workload import World

if __name__ == "__main__":
    queries = workload.QUERIES * (100 + int(sys.argv[1])) // 100
    serve({"queries": partial(workload.operation, World(workload.database(), queries))})

"""One version of the workload for `harness.gate.against`: `side.py PERCENT` does that much more work."""

import sys
from functools import partial

from harness.gate.against.protocol import serve
from tools.validation.times import workload
from tools.validation.times.workload import QueryWorkload

if __name__ == "__main__":
    queries = workload.QUERIES * (100 + int(sys.argv[1])) // 100
    serve({"queries": partial(workload.operation, QueryWorkload(workload.database(), queries))})

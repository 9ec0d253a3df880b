"""k6's own metrics, and the warnings that its summary and its points share."""

import re
from collections.abc import Mapping

from harness.importers.reading import Benchmarks, Reading
from harness.results.names import shortened
from harness.results.run import RunWarning
from harness.results.warning_names import WarningName

TOOL = "k6"
REQUESTS, ITERATIONS, FAILED, CHECKS = "http_req_duration", "iteration_duration", "http_req_failed", "checks"
TIMES = {
    *(REQUESTS, ITERATIONS, "group_duration", "grpc_req_duration"),
    *("ws_connecting", "ws_ping", "ws_session_duration", "browser_http_req_duration"),
    *(f"browser_web_vital_{vital}" for vital in ("fcp", "fid", "inp", "lcp", "ttfb")),
}
"""k6's own times of a whole operation; the phases of an HTTP request are parts of the first."""
OWN = {
    *(FAILED, CHECKS, "http_reqs", "iterations", "dropped_iterations", "vus", "vus_max", "data_sent", "data_received"),
    *("ws_sessions", "ws_msgs_sent", "ws_msgs_received", "grpc_streams", "grpc_streams_msgs_sent", "grpc_streams_msgs_received"),
    *("browser_data_sent", "browser_data_received", "browser_http_req_failed", "checks_total", "checks_succeeded", "checks_failed"),
}
"""k6's own counters, rates and gauges."""
PHASES = re.compile(r"http_req_(?:blocked|connecting|looking_up|tls_handshaking|sending|waiting|receiving)\b")


def finished(
    found: Benchmarks, thresholds: list[str], failed_checks: Mapping[str, int], dropped: int, settings: dict[str, str], form: str
) -> Reading:
    """Return what was read, with warnings about failed thresholds and checks and about iterations that did not start."""
    checks = {f"threshold of {threshold}": "" for threshold in thresholds}
    checks |= {f"check {name}": f" ({fails:,} failed)" for name, fails in failed_checks.items()}
    if checks:
        message = f"failed: {'; '.join(f'{shortened(check)}{count}' for check, count in checks.items())}"
        found.warnings.append(RunWarning(WarningName.FAILED_CHECKS, message, "fix what they check before times are compared"))
    if dropped:
        message = f"{dropped:,} iterations were due and did not start: the load was lower than planned"
        found.warnings.append(RunWarning(WarningName.DROPPED_ITERATIONS, message, "give k6 more VUs (maxVUs), or lower the rate"))
    return found.reading(
        TOOL,
        form,
        failed_checks=tuple(f"threshold of {threshold}" for threshold in thresholds),
        dropped=dropped,
        load_settings=settings,
    )


def failures_warning(errors: int, requests: int, *, left_out: bool) -> RunWarning:
    """Return the warning about failed requests and their times; `left_out` says that the file separates them."""
    times = "their times are left out, but not those of their iterations" if left_out else "their times are included"
    share = f"{errors / requests:.2%} of the requests failed ({errors:,} of {requests:,})"
    return RunWarning(WarningName.FAILED_REQUESTS, f"{share}: {'there are no times' if errors >= requests else times}", "fix them")

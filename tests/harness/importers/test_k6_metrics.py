"""What k6's summary and its points share: warnings about failures, and the outcome of checks."""

import pytest

from harness.importers.k6_metrics import failures_warning, finished
from harness.importers.reading import Benchmarks, raw_timing


@pytest.mark.parametrize(
    ("errors", "left_out", "message"),
    [
        (5, True, "5.00% of the requests failed (5 of 100): their times are left out, but not those of their iterations"),
        (5, False, "5.00% of the requests failed (5 of 100): their times are included"),
        (100, True, "100.00% of the requests failed (100 of 100): there are no times"),
    ],
)
def test_the_warning_states_what_happened_to_the_times_of_failed_requests(errors: int, left_out: bool, message: str) -> None:
    """A reader has to know whether the figures include them."""
    assert failures_warning(errors, 100, left_out=left_out).message == message


def test_the_text_of_a_failed_check_does_not_depend_on_its_count() -> None:
    """Two files with the same failed check agree; the warning has the count."""
    found = Benchmarks()
    found.add(raw_timing("http_req_duration", [1.0]))
    read = finished(found, ["http_req_duration: p(95)<1"], {"status is 200": 1_234}, 0, {"users": "3"}, "form")
    assert read.failed_checks == ("threshold of http_req_duration: p(95)<1",)
    assert read.warnings[0].message == "failed: threshold of http_req_duration: p(95)<1; check status is 200 (1,234 failed)"
    assert (read.load_settings, read.dropped) == ({"users": "3"}, 0)

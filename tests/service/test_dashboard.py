"""The dashboard runs eight of the service's queries."""

from service.prompts import API, DASHBOARD, Subject, queries


def test_a_dashboard_has_eight_queries_of_the_service() -> None:
    """Each is one of the service's queries, and none occurs twice."""
    assert len(queries(Subject("", "", "", "", "", ""))) == len(DASHBOARD) == 8
    assert DASHBOARD.items() < API.items()
    assert len(set(API.values())) == len(API)

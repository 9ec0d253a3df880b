"""The dashboard asks eight different queries of all that can be asked."""

from __future__ import annotations

from service.dashboard import API, DASHBOARD, Subject, queries


def test_a_dashboard_has_eight_questions_of_the_service() -> None:
    """Each is one that can be asked by itself, and none comes twice."""
    assert len(queries(Subject("", "", "", "", "", ""))) == len(DASHBOARD) == 8
    assert DASHBOARD.items() < API.items()
    assert len(set(API.values())) == len(API)

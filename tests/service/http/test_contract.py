"""The API against its own OpenAPI description, with schemathesis."""

from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from schemathesis.engine import Status, events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from service.http.api import create_app
from service.settings import ServiceSettings
from service.switches import Switches

EXAMPLES = 3

CONFIG = {
    "seed": 7,
    "generation": {"max-examples": EXAMPLES, "database": "none"},
    "phases": {"stateful": {"enabled": True}},
    "operations": [
        # The description allows any text as a cursor, and a cursor that no page issued is refused: opaque means without a pattern.
        {
            "include-name": "GET /users/{user_id}/prompts",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 422]}},
        },
        {"include-name": "POST /bulk/prompts", "generation": {"max-examples": 1}},  # a thousand prompts take long to generate
        # Another user's prompt cannot be changed, even if it has just been created.
        {"include-name": "PATCH /prompts/{prompt_id}", "checks": {"ensure_resource_availability": {"enabled": False}}},
    ],
}


@pytest.mark.slow
def test_every_response_matches_the_description(database: Path) -> None:
    """All of its checks pass for examples, edge cases, random and chained requests, valid and invalid ones."""
    app = create_app(ServiceSettings(f"sqlite:///{database}", switches=Switches.parse("optimised,caching=baseline")))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=schemathesis.Config.from_dict(CONFIG))
    failures, counted, cases = [], Counter[str](), 0
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                cases += len(event.recorder.cases)
                for checks in event.recorder.checks.values():
                    for check in checks:
                        counted[f"{check.name}: {check.status.value}"] += 1
                        if check.status is Status.FAILURE and check.failure_info is not None:
                            failures.append(f"{event.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}")
            elif isinstance(event, (events.NonFatalError, events.FatalError)):
                failures.append(str(event))
    finally:
        shutdown_lifespans()
    print(f"{cases} requests", *(f"{name} {count}" for name, count in sorted(counted.items())), sep="\n  ")  # noqa: T201 - its summary, which -s shows
    assert cases > 200
    assert failures == [], "\n\n".join(failures)

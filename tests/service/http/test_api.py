"""The API: its responses, and that all levels of all switches give the same ones."""

import asyncio
import csv
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, insert, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from harness.databases.engines import postgres
from harness.errors import NotMeasurableError
from harness.scenario import Server, Setting
from service.http.api import create_app, monitoring_for
from service.models import Base
from service.observability.monitoring import Monitoring
from service.settings import ServiceSettings
from service.switches import NAMES, Level, Switches

Calling = Callable[..., Any]

PROMPT, USER, OTHERS, DELETED, EVALUATION = "p0037", "ann", "bob", "p0000", "e00-p0037"
QUOTED = "'; DROP TABLE prompts; -- %_\\"
NEW = {"id": "new", "user_id": USER, "title": 'Neu, "new"', "content": "内容 🙂", "status": "active"}
PAIR: dict[str, Any] = {**NEW, "evaluation": {"id": "new-e", "provider": "openai", "model": "big"}}
MANY = [{**NEW, "id": f"many{n}", "user_id": (USER, "eve")[n % 2]} for n in range(30)]

SETS = {
    **{str(level): Switches.all(level) for level in Level},
    **{f"{name} alone": Switches.alone(name) for name in NAMES},
    "all without async": Switches.without("async_queries"),
}
ON_POSTGRES = ("baseline", "proposed", "optimised", "pools alone", "async_queries alone", "transactions alone")
"""The sets in which something depends on the database being a server."""

READS = {
    f"/prompts/{PROMPT}": 200,
    f"/prompts/{DELETED}": 404,
    "/prompts/unknown": 404,
    f"/prompts/{quote(QUOTED, safe='')}": 404,
    f"/users/{USER}/prompts?limit=200": 200,
    f"/users/{USER}/prompts?limit=7&offset=14": 200,
    f"/users/{USER}/prompts?limit=7&offset=9000": 200,
    "/users/unknown/prompts": 200,
    f"/users/{USER}/prompts/newest": 200,
    "/users/unknown/prompts/newest": 200,
    f"/users/{USER}/prompts/with-evaluations": 200,
    "/users/unknown/prompts/with-evaluations": 200,
    f"/evaluations/{EVALUATION}": 200,
    "/evaluations/nothing": 404,
    "/templates?category=b": 200,
    f"/templates?category={quote(QUOTED)}": 200,
    f"/exports/prompts.csv?user_id={USER}": 200,
    "/exports/prompts.csv": 200,
    "/exports/prompts.csv?user_id=unknown": 200,
}
"""Path → status."""

WRITES: list[tuple[str, str, Any, int]] = [
    ("PATCH", f"/prompts/{PROMPT}", {"user_id": USER, "title": QUOTED}, 200),
    ("PATCH", f"/prompts/{PROMPT}", {"user_id": OTHERS, "title": "not his"}, 404),
    ("PATCH", f"/prompts/{DELETED}", {"user_id": OTHERS, "title": "deleted"}, 404),
    ("POST", "/prompts", PAIR, 201),
    ("POST", "/prompts", PAIR, 409),
    ("POST", "/bulk/prompts", {"prompts": MANY}, 201),
    ("POST", "/bulk/prompts/status", {"ids": [PROMPT, "many3", "many4", "unknown"], "status": "archived"}, 200),
    ("POST", "/bulk/prompts/deletion", {"ids": ["many5", "many6", DELETED, "unknown"]}, 200),
]
AFTERWARDS = {
    **READS,
    "/prompts/new": 200,
    "/evaluations/new-e": 200,
    "/users/eve/prompts/newest": 200,
    **{f"/prompts/many{n}": 404 if n in {5, 6} else 200 for n in range(3, 8)},
}


async def conversation(client: httpx.AsyncClient) -> list[Any]:
    """Read everything, twice so that a cache responds as well, write, and read again after each write and at the end."""
    answers = []

    async def send(method: str, path: str, status: int, body: Any = None) -> None:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == status, (method, path, answer.text)
        answers.append(plain(answer))

    for path, status in [*READS.items(), ("/statistics", 200)] * 2:
        await send("GET", path, status)
    for method, path, body, status in WRITES:
        await send(method, path, status, body)
        for again in (f"/prompts/{PROMPT}", f"/users/{USER}/prompts/newest"):
            await send("GET", again, 200)
    for path, status in AFTERWARDS.items():
        await send("GET", path, status)
    return answers


def plain(answer: httpx.Response) -> Any:
    """Return the parts that must be equal: neither the text of a cursor, nor the order of rows that tie in the review's pages."""
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "text/csv":
        return answer.request.url.path, answer.status_code, sorted(csv.reader(StringIO(answer.text)))
    body = answer.json()
    if "next_cursor" in body:
        body["next_cursor"] = body["next_cursor"] is not None
        body["prompts"] = sorted(body["prompts"], key=lambda prompt: (prompt["created_at"], prompt["id"]))
    return answer.request.url.path, answer.status_code, kind, body


@pytest.fixture(scope="module")
def baseline_answers() -> dict[str, Any]:
    """Return a store for the baseline's responses, so that they are requested once."""
    return {}


@pytest.mark.parametrize("name", SETS)
def test_all_switches_give_the_same_answers(
    name: str, calling: Calling, filled: Path, baseline_answers: dict[str, Any], tmp_path: Path
) -> None:
    """The same requests, reads and writes, get the same status and JSON as from the baseline."""
    if not baseline_answers:
        copy = tmp_path / "baseline.db"
        copy.write_bytes(filled.read_bytes())
        baseline_answers["answers"] = calling(conversation, database_url=f"sqlite:///{copy}")
    answers = calling(conversation, SETS[name])
    for answer, expected in zip(answers, baseline_answers["answers"], strict=True):
        assert answer == expected


@pytest.mark.slow
def test_all_switches_give_the_same_answers_on_postgres(
    calling: Calling, filled: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On PostgreSQL the responses equal those on SQLite."""
    copy = tmp_path / "baseline.db"
    copy.write_bytes(filled.read_bytes())
    expected = calling(conversation, database_url=f"sqlite:///{copy}")
    for name, url in _on_postgres(filled, tmp_path, tmp_path_factory):
        assert calling(conversation, SETS[name], database_url=url) == expected, name


def _on_postgres(filled: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Yield each set's name with the URL of its own database."""
    try:
        with postgres.server(tmp_path_factory.mktemp("postgres")) as url:
            found = postgres.databases(Setting(tmp_path, tmp_path, "postgres", servers={"postgres": Server(url, url)}))
            found.fill("base", Base.metadata, ())
            asyncio.run(_copy_rows(filled, found.url("base").render_as_string(hide_password=False)))
            for number, name in enumerate(ON_POSTGRES):
                found.copy("base", f"own{number}")
                yield name, found.url(f"own{number}").render_as_string(hide_password=False)
    except NotMeasurableError as reason:
        pytest.skip(str(reason))


async def _copy_rows(source: Path, target: str) -> None:
    small, server = create_engine(f"sqlite:///{source}"), create_async_engine(target, poolclass=NullPool)
    with small.connect() as there:
        async with server.begin() as here:
            for table in Base.metadata.sorted_tables:
                rows = [dict(row) for row in there.execute(select(table).order_by(table.c.id)).mappings()]
                if table.name == "prompts":
                    rows.sort(key=lambda row: (row["version"], row["id"]))  # parents before children
                await here.execute(insert(table), rows)
    small.dispose()
    await server.dispose()


def test_responses_contain_the_rows(calling: Calling) -> None:
    """A prompt's fields, times in UTC, an evaluation with its results, the best-scoring prompts, and the health."""

    async def use(client: httpx.AsyncClient) -> None:
        prompt = (await client.get(f"/prompts/{PROMPT}")).json()
        assert prompt == {
            "id": PROMPT, "title": 'Title, "1"', "content": "内容 1\nsecond line 🙂", "status": "active", "version": 2,
            "created_at": "2025-01-01T12:00:00Z",
        }  # fmt: skip
        evaluation = (await client.get(f"/evaluations/{EVALUATION}")).json()
        assert (evaluation["prompt_id"], len(evaluation["test_results"])) == (PROMPT, 12)
        newest = (await client.get(f"/users/{USER}/prompts/newest")).json()["prompts"]
        assert len(newest) == 50
        assert newest == sorted(newest, key=lambda row: (row["created_at"], row["id"]), reverse=True)
        best = (await client.get("/statistics")).json()["best"]
        scores = [row["mean_score"] for row in best]
        assert scores == sorted(scores, reverse=True)
        assert (await client.get("/health")).json() == {"status": "ok", "switches": "baseline"}

    calling(use)


@pytest.mark.parametrize("level", [Level.BASELINE, Level.OPTIMISED])
def test_pages_follow_each_other(level: Level, calling: Calling) -> None:
    """Cursors and offsets lead through the same prompts, each once."""

    async def use(client: httpx.AsyncClient) -> None:
        walked = {}
        for name in ("cursor", "offset"):
            ids: list[str] = []
            after: dict[str, Any] = {} if name == "cursor" else {name: 0}
            while True:
                page = (await client.get(f"/users/{USER}/prompts", params={"limit": 9, **after})).json()
                ids += [prompt["id"] for prompt in page["prompts"]]
                following = page[f"next_{name}"]
                if following is None:
                    break
                after = {name: following}
            walked[name] = ids
        assert walked["cursor"] == walked["offset"]
        assert len(set(walked["cursor"])) == len(walked["cursor"]) > 50

    calling(use, Switches.all(Level.BASELINE) if level is Level.BASELINE else Switches.alone("streaming"))


def test_a_created_prompt_has_a_location(calling: Calling) -> None:
    """The Location of a new prompt without an id from the client leads to it; its evaluation is pending."""

    async def use(client: httpx.AsyncClient) -> None:
        body = {"user_id": USER, "title": "T", "content": "", "evaluation": {"provider": "p", "model": "m"}}
        made = await client.post("/prompts", json=body)
        found = (await client.get(made.headers["location"])).json()
        assert (made.status_code, found["id"], found["version"], found["status"]) == (201, made.json()["id"], 1, "draft")
        assert found["created_at"] == "2025-06-01T01:02:03Z"
        evaluation = (await client.get(f"/evaluations/{made.json()['evaluation_id']}")).json()
        assert (evaluation["prompt_id"], evaluation["status"], evaluation["test_results"]) == (found["id"], "pending", [])

    calling(use)


@pytest.mark.parametrize(
    ("level", "status", "title"), [("baseline", 409, 'Title, "1"'), ("optimised", 409, 'Title, "1"'), ("proposed", 201, "taken")]
)
def test_a_bulk_insert_of_an_existing_id(level: str, status: int, title: str, calling: Calling) -> None:
    """It is a conflict that changes nothing, except for the review's: its upsert replaces another user's prompt."""

    async def use(client: httpx.AsyncClient) -> None:
        rows = [{**NEW, "id": "fresh"}, {**NEW, "id": PROMPT, "user_id": "eve", "title": "taken"}]
        made = await client.post("/bulk/prompts", json={"prompts": rows})
        assert made.status_code == status
        assert (await client.get(f"/prompts/{PROMPT}")).json()["title"] == title
        assert (await client.get("/prompts/fresh")).status_code == (404 if status == 409 else 200)

    calling(use, Switches.parse(f"baseline,bulk={level}"))


@pytest.mark.parametrize("name", ["baseline", "optimised"])
def test_concurrent_requests_all_succeed(name: str, calling: Calling) -> None:
    """Forty concurrent writes and reads succeed, and every version is counted."""

    async def use(client: httpx.AsyncClient) -> None:
        change = {"user_id": USER, "title": "at once"}
        requests = [client.patch(f"/prompts/{PROMPT}", json=change) for _ in range(20)]
        requests += [client.get(f"/users/{USER}/prompts") for _ in range(20)]
        answers = await asyncio.gather(*requests)
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["version"] for answer in answers[:20]} == set(range(3, 23))

    calling(use, SETS[name])


def test_the_reviews_shared_connection_loses_prompts_created_during_reads(calling: Calling) -> None:
    """On SQLite its requests share a transaction: a read that ends rolls back a prompt that is being created."""

    async def use(client: httpx.AsyncClient) -> tuple[int, int]:
        await client.get("/health")  # a connection is there
        bodies = [{**PAIR, "id": f"n{n}", "evaluation": {**PAIR["evaluation"], "id": f"e{n}"}} for n in range(20)]
        requests = [
            request for body in bodies for request in (client.post("/prompts", json=body), client.get(f"/users/{USER}/prompts"))
        ]
        await asyncio.gather(*requests)
        found = [(await client.get(f"/prompts/{body['id']}")).status_code for body in bodies]
        return found.count(200), len(bodies)

    there, wanted = calling(use, Switches.parse("proposed,caching=baseline"))
    assert there < wanted
    there, wanted = calling(use, Switches.parse("optimised,caching=baseline"))
    assert there == wanted


def test_there_are_no_metrics_without_monitoring(calling: Calling) -> None:
    """Without monitoring, /metrics is a problem that states it."""

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/metrics")

    answer = calling(use)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_monitoring_sees_engine_requests_and_cache(database: Path, call: Callable[..., Any]) -> None:
    """It receives the engine and the counters when the service starts, wraps the application, and serves /metrics."""
    seen: dict[str, Any] = {"requests": 0}

    class Watching(Monitoring):
        def watch(self, engine: Any) -> None:
            seen.update(engine=engine)

        def watch_cache(self, counts: Any) -> None:
            seen.update(counts=counts())

        def timed(self, app: Any) -> Any:
            async def counted(scope: Any, receive: Any, send: Any) -> None:
                seen["requests"] += scope["type"] == "http"
                await app(scope, receive, send)

            return counted

        def render(self) -> bytes:
            return b"up 1\n"

    app: FastAPI = create_app(ServiceSettings(f"sqlite:///{database}"), Watching())

    async def use(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
        return await client.get("/health"), await client.get("/metrics")

    _, metrics = call(app, use)
    assert (metrics.text, metrics.headers["content-type"]) == ("up 1\n", Monitoring.content_type)
    assert (seen["engine"].dialect.name, seen["counts"], seen["requests"]) == ("sqlite", {}, 2)


def test_metrics_cover_requests_and_statements(database: Path, call: Callable[..., Any]) -> None:
    """With optimised monitoring, /metrics contains the route of a request, and the table of its statement."""
    settings = ServiceSettings(f"sqlite:///{database}", switches=Switches.alone("monitoring"))
    app = create_app(settings, monitoring_for(settings))

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        await client.get("/prompts/p0431")
        return await client.get("/metrics")

    text = call(app, use).text
    assert 'route="/prompts/{prompt_id}"' in text
    assert 'entity="prompts"' in text


def test_slow_statements_are_logged_to_a_file(database: Path, tmp_path: Path, call: Callable[..., Any]) -> None:
    """With a slow-query log in the settings, a statement above the threshold is logged by its form, without client data."""
    log = tmp_path / "slow.jsonl"
    settings = ServiceSettings(f"sqlite:///{database}", switches=Switches.alone("monitoring"), slow_log=log, slow_ms=1e-6)
    app = create_app(settings, monitoring_for(settings))

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/prompts/p0431")

    assert call(app, use).is_success
    assert any("FROM prompts" in line and "p0431" not in line for line in log.read_text(encoding="utf-8").splitlines())

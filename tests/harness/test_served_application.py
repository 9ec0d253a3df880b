"""Applications as servers in processes of their own: ASGI and WSGI, started and stopped, with what cannot be started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from harness.errors import UsageError
from harness.served_application import ServedApplication, application_named, is_asgi, served_application

APPLICATIONS = """
import os, sys
from sqlalchemy import create_engine

engine = create_engine("sqlite://")


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                open(os.environ["MARK"], "w").write("stopped")
                return
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 UNION SELECT 2").all()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": os.environ.get("GREETING", "none").encode()})


def wsgi(environ, start_response):
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 UNION SELECT 2").all()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


class Made:
    def __init__(self, *words, **named):
        self.words = f"{words} {named}"

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [self.words.encode()]


def broken():
    raise RuntimeError("no licence")


def ends():
    sys.exit("gone for lunch")


number = 7
"""


@pytest.fixture(autouse=True)
def applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module of applications into a folder of the import path; return the file that a stopped one writes."""
    (tmp_path / "own_apps.py").write_text(APPLICATIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    monkeypatch.delitem(sys.modules, "own_apps", raising=False)
    return tmp_path / "mark"


def read(application: ServedApplication, path: str = "/x") -> str:
    """Return the answer to a request."""
    with urllib.request.urlopen(application.url + path, timeout=30) as answer:
        body: bytes = answer.read()
        return body.decode()


def is_running(pid: int) -> bool:
    """Return whether a process runs."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_an_asgi_application_is_served_and_stopped(applications: Path) -> None:
    """It gets its environment, runs in a process of its own, and may close what it has opened."""
    pytest.importorskip("uvicorn")
    with served_application("own_apps:asgi", {"GREETING": "hello"}) as application:
        assert read(application) == "hello"
        assert application.pid != os.getpid()
        assert is_running(application.pid)
    assert not is_running(application.pid)
    assert applications.read_text() == "stopped"


def test_a_wsgi_application_is_served() -> None:
    """It is recognised by its parameters; a factory gets constants."""
    pytest.importorskip("waitress")
    with served_application("own_apps:wsgi") as application:
        assert read(application, "/path") == "/path"
    with served_application("own_apps:Made('a', 2, eager=True)") as application:
        assert read(application) == "('a', 2) {'eager': True}"


@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_statements_are_counted_from_outside(name: str) -> None:
    """Those of all engines of the process, while counting is on; each time from zero."""
    pytest.importorskip({"asgi": "uvicorn", "wsgi": "waitress"}[name])
    with served_application(f"own_apps:{name}") as application:
        read(application)
        for number in (1, 3):
            application.begin_counting()
            for _ in range(number):
                read(application)
            counts = application.end_counting()
            assert (counts["statements"], counts["rows"]) == (number, 2 * number)
        read(application)


def test_an_application_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not answer an order: one line with the next step, and it is ended nevertheless."""
    pytest.importorskip("waitress")
    message = r"the application has not answered for 0\.5 s; start it by hand to see where it hangs"
    with served_application("own_apps:wsgi") as application:
        monkeypatch.setattr("harness.served_application.START_S", 0.5)
        os.kill(application.pid, signal.SIGSTOP)
        with pytest.raises(UsageError, match=message):
            application.begin_counting()
    assert not is_running(application.pid)


def test_it_ends_with_its_starter(tmp_path: Path) -> None:
    """A starter that is killed leaves no server behind."""
    pytest.importorskip("waitress")
    program = (
        "import time\nfrom harness.served_application import served_application\n"
        "with served_application('own_apps:wsgi') as application:\n    print(application.pid, flush=True)\n    time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_running(pid)
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_apps", "'own_apps' does not name an application; write module:app, or module:create_app() with constants"),
        ("own_apps:", "does not name an application"),
        ("own_apps:make(", "does not name an application"),
        ("own_apps:Made(open('x'))", "does not name an application"),
        ("own_apps:1 + 1", "does not name an application"),
        ("own_apps:missing", "own_apps:missing cannot be imported: AttributeError: module 'own_apps' has no attribute 'missing'"),
        ("no_such_module:app", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'; fix that"),
        ("own_apps:broken()", "own_apps.py, line 39: RuntimeError: no licence; fix that, or name another one"),
        ("own_apps:number", "an object of type int is neither an ASGI nor a WSGI application"),
        ("own_apps:broken", "an object of type function is neither an ASGI nor a WSGI application"),
        ("own_apps:ends()", "own_apps:ends cannot be started: gone for lunch; start it by hand to see more"),
    ],
)
def test_what_cannot_be_started_is_refused_in_one_line(name: str, message: str) -> None:
    """The message names the application, its error and the line, and nothing of its arguments."""
    with pytest.raises(UsageError) as refused, served_application(name):
        pass
    assert message in str(refused.value).replace(str(Path.cwd()), "")
    assert "\n" not in str(refused.value)


def test_a_password_in_the_arguments_is_not_shown() -> None:
    """A URL of a database is an argument like any other."""
    with pytest.raises(UsageError) as refused, served_application("own_apps:broken('postgresql://me:secret@db/x')"):
        pass
    assert "secret" not in str(refused.value)


def test_both_kinds_are_recognised_by_their_parameters() -> None:
    """Parameters with defaults do not count."""
    assert is_asgi(application_named("own_apps:asgi"))
    assert not is_asgi(application_named("own_apps:wsgi"))
    assert not is_asgi(lambda environ, start_response, more=None: None)

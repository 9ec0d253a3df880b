"""A scenario for the web application of a project, called in process, without a network."""

import importlib.util

from harness.errors import UsageError
from harness.init.findings import Imported, RoutesFact, Sources
from harness.init.templating import ScenarioText, camel_case, quoted, snake_case, template

MAX_PATHS = 5
"""Limit of the pages of a scenario."""


def http_scenario(sources: Sources, imported: Imported) -> ScenarioText:
    """Return a scenario that gets pages of the project's application in this process; UsageError without any."""
    usable = [routes for routes in imported.routes if routes.paths]
    if not usable:
        problem = next((p for p in imported.problems if any(app.module in p or app.label in p for app in sources.apps)), "")
        if problem:
            raise UsageError(f"the http template does not fit: {problem}; fix that, or choose another --template")
        if imported.routes:
            app = imported.routes[0].app
            raise UsageError(f"the http template does not fit: {app.label} has no page without parameters; use --template empty")
        raise UsageError(
            "the http template does not fit: no Flask, FastAPI, Starlette or Django application was found; "
            "use `harness load URL` for a server that runs, or choose another --template"
        )
    return _pages(usable[0])


def _pages(routes: RoutesFact) -> ScenarioText:
    app, paths = routes.app, sorted(routes.paths, key=lambda path: (path in {"/", "/health", "/healthz"}, path))[:MAX_PATHS]
    shown = f"[{', '.join(map(quoted, paths))}]"
    title = f"Pages of {app.subject}."
    fields = {"title": title, "class_name": f"{camel_case(app.subject.rpartition('.')[2])}Pages", "paths": shown}
    application = f"{app.name}()" if app.is_factory else app.name
    imports = f"from {app.module} import {app.name}"
    if app.framework == "django":
        imports = f'import os\n\nimport django\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{app.name}")\ndjango.setup()\n'
        imports += "\nfrom django.test import Client"
        text = template(
            "http_wsgi",
            **fields,
            imports=imports,
            application='Client(SERVER_NAME="localhost")',
            client="application",
            body="answer.content",
        )
    elif app.framework == "flask":
        text = template(
            "http_wsgi", **fields, imports=imports, application=application, client="application.test_client()", body="answer.data"
        )
    else:
        if importlib.util.find_spec("httpx") is None:
            raise UsageError("the http template does not fit: the package httpx is not installed; pip install httpx")
        text = template("http_asgi", **fields, imports=imports, application=application)
    return ScenarioText(f"{snake_case(app.subject.rpartition('.')[2])}_pages", text, app.label)

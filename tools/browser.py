"""A headless browser, where one is installed."""

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import NotMeasurableError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser's program, in the order of preference."""


@contextmanager
def headless() -> Iterator["Browser"]:
    """Yield a headless Chromium, and stop it afterwards; meanwhile nothing else in this thread can run asyncio.

    Raises:
        NotMeasurableError: Chromium or the package that controls it is not installed.
    """
    try:
        api = importlib.import_module("playwright.sync_api")
    except ModuleNotFoundError as error:
        raise NotMeasurableError("the Python package playwright is not installed; run: pip install playwright") from error
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise NotMeasurableError(f"no Chromium is installed: none of {', '.join(PROGRAMS)} is on the PATH")
    with api.sync_playwright() as playwright, playwright.chromium.launch(executable_path=program) as browser:
        yield browser

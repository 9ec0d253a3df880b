"""Windows of a browser: the events of the pages in them, and questions about their layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Error, Page, Request, Route

DEADLINE_MS = 60_000
"""A guard against hanging, far above what a busy machine takes."""

WIDTHS = (320, 380, 800, 1280, 1600)
HEIGHT = 800

UNFOLD = "() => document.querySelectorAll('details').forEach(d => { d.open = true })"

TOO_WIDE = """() => {
  const most = document.scrollingElement.scrollWidth;
  if (most <= innerWidth) return '';
  const clips = e => e && e !== document.body && (getComputedStyle(e).overflowX !== 'visible' || clips(e.parentElement));
  const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className.length ? '.' + e.className : '');
  const right = e => e.getBoundingClientRect().right + scrollX;
  const all = [...document.body.querySelectorAll('*')].filter(e => right(e) > innerWidth);
  const free = all.filter(e => getComputedStyle(e).position === 'absolute' || !clips(e.parentElement));
  const spills = e => e.scrollWidth > innerWidth && getComputedStyle(e).overflowX === 'visible' && !clips(e.parentElement);
  const widest = free.length ? free.reduce((a, b) => right(a) > right(b) ? a : b)
    : [...document.body.querySelectorAll('*')].filter(spills).at(-1);
  const path = []; for (let e = widest; e && e !== document.body; e = e.parentElement) path.unshift(name(e).slice(0, 60));
  return `${most} px: ${path.slice(-4).join(' > ')} "${widest ? widest.textContent.trim().slice(0, 60) : ''}"`;
}"""
"""The scrolled width and the widest element of a page that scrolls sideways, else ""."""


Scheme = Literal["light", "dark"]


class Visit:
    """A window with a page, and what has happened in it."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.file = Path()
        self.events: list[str] = []
        """Messages of the console, errors, dialogs, and requests for anything but the file itself. All of them were blocked."""
        page.route("**/*", self._check)
        page.on("console", self._add_message)
        page.on("pageerror", self._add_error)
        page.on("dialog", self._dismiss)

    def open(self, file: Path, fragment: str = "") -> None:
        """Load a file at a `#fragment`; nothing is left of the page before."""
        self.page.goto("about:blank")  # without it, the same file would only be scrolled to another fragment
        self.file = file
        self.page.goto(file.as_uri() + (f"#{fragment}" if fragment else ""))

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.page.evaluate(UNFOLD)

    def resize(self, width: int) -> None:
        """Give the window another width."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})

    def colour(self, scheme: Scheme) -> None:
        """Show the page on a screen with another colour scheme."""
        self.page.emulate_media(media="screen", color_scheme=scheme)

    def too_wide(self) -> str:
        """Return the widest element if the page scrolls sideways, else ""."""
        found: str = self.page.evaluate(TOO_WIDE)
        return found

    def text(self) -> str:
        """Return the visible text."""
        return self.page.locator("body").inner_text()

    def _check(self, route: "Route", request: "Request") -> None:
        if request.url.partition("#")[0] == self.file.as_uri():
            route.continue_()
        else:
            self.events.append(f"request of {request.url[:200]}")
            route.abort()

    def _add_message(self, of: "ConsoleMessage") -> None:
        self.events.append(f"console {of.type}: {of.text}")

    def _add_error(self, of: "Error") -> None:
        self.events.append(f"error: {of}")

    def _dismiss(self, of: "Dialog") -> None:
        self.events.append(f"dialog: {of.message}")
        of.dismiss()


class Windows:
    """The windows of a browser. One test uses them after the other, because a new one costs more time than most tests."""

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser
        self._contexts: dict[bool, BrowserContext] = {}
        self._free: dict[bool, list[Visit]] = {True: [], False: []}
        self._used: list[tuple[bool, Visit]] = []

    def open(self, file: Path, fragment: str = "", *, width: int = 1280, scripts: bool = True) -> Visit:
        """Open a file at a `#fragment` in a window that no other page is in."""
        free = self._free[scripts]
        visit = free.pop() if free else Visit(self._context(scripts=scripts).new_page())
        self._used.append((scripts, visit))
        visit.resize(width)
        visit.colour("light")
        visit.open(file, fragment)
        return visit

    def free(self) -> list[str]:
        """Empty all windows for the next test, and return the events in them."""
        events = []
        for scripts, visit in self._used:
            visit.page.goto("about:blank")
            events += visit.events
            visit.events.clear()
            self._free[scripts].append(visit)
        self._used.clear()
        return events

    def _context(self, *, scripts: bool) -> "BrowserContext":
        if scripts not in self._contexts:
            made = self._browser.new_context(java_script_enabled=scripts)
            made.set_default_timeout(DEADLINE_MS)
            self._contexts[scripts] = made
        return self._contexts[scripts]

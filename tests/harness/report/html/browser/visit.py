"""A page opened in a browser: its events, and questions about its layout."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, Route

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


@dataclass
class Visit:
    """A page in a window of its own."""

    page: "Page"
    file: Path
    events: list[str] = field(default_factory=list)
    """Messages of the console, errors, dialogs, and requests for anything but the file itself. All of them were blocked."""

    def unfold(self) -> None:
        """Open everything that is folded."""
        self.page.evaluate(UNFOLD)

    def resize(self, width: int) -> None:
        """Give the window another width."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})

    def too_wide(self) -> str:
        """Return the widest element if the page scrolls sideways, else ""."""
        found: str = self.page.evaluate(TOO_WIDE)
        return found

    def text(self) -> str:
        """Return the visible text."""
        return self.page.locator("body").inner_text()


def opened(browser: "Browser", file: Path, fragment: str = "", **options: Any) -> Visit:
    """Open a file at a `#fragment` in a new window; options are those of a Playwright context."""
    address = file.as_uri()
    context = browser.new_context(**{"viewport": {"width": 1280, "height": HEIGHT}, **options})
    context.set_default_timeout(DEADLINE_MS)
    visit = Visit(context.new_page(), file)

    def check(route: "Route", request: "Request") -> None:
        if request.url.partition("#")[0] == address:
            route.continue_()
        else:
            visit.events.append(f"request of {request.url[:200]}")
            route.abort()

    def message(of: "ConsoleMessage") -> None:
        visit.events.append(f"console {of.type}: {of.text}")

    def error(of: "Error") -> None:
        visit.events.append(f"error: {of}")

    def dialog(of: "Dialog") -> None:
        visit.events.append(f"dialog: {of.message}")
        of.dismiss()

    context.route("**/*", check)
    visit.page.on("console", message)
    visit.page.on("pageerror", error)
    visit.page.on("dialog", dialog)
    visit.page.goto(address + (f"#{fragment}" if fragment else ""))
    return visit

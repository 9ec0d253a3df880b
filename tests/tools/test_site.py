"""The documentation site: strict, without the network, and with a search that works in files."""

import re
from pathlib import Path

import pytest

from harness.errors import NotMeasurableError, UsageError
from tools import site
from tools.browser import headless

pytest.importorskip("zensical", reason="the dependency group docs is not installed")


@pytest.fixture(scope="module")
def built() -> Path:
    """Build the site once; without a problem, since the build is strict."""
    assert site.build() == 0
    return site.SITE


@pytest.mark.slow
def test_every_page_is_built(built: Path) -> None:
    """README.md is the first page, and the others have their places."""
    pages = [Path(name) for name in site.navigation()]
    addresses = [page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html") for page in pages]
    assert [str(address) for address in addresses if not (built / address).is_file()] == []
    assert "<h1" in (built / "index.html").read_text(encoding="utf-8")
    assert (built / "reports" / "published" / "run.json.gz").is_file()


@pytest.mark.slow
def test_pages_load_nothing_from_other_hosts(built: Path) -> None:
    """Scripts, styles, fonts and pictures are files of the site; links may lead elsewhere."""
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"([^\"]+)\"|<link[^>]+href=\"([^\"]+)\"", text)
        assert [link for pair in loaded for link in pair if re.match(r"(https?:)?//", link)] == [], page


@pytest.mark.slow
def test_names_of_the_package_are_documented(built: Path) -> None:
    """The reference has the text of the docstrings."""
    page = (built / "docs" / "reference" / "python.html").read_text(encoding="utf-8")
    assert "Do the operation and return its answer. The only timed line." in page
    assert 'id="harness.Scenario' in page or 'id="harness.scenario.Scenario' in page


@pytest.mark.slow
def test_the_search_works_in_files(built: Path) -> None:
    """Opened as a file, the search finds a word of another page, and nothing is requested from elsewhere."""
    try:
        with headless() as browser:
            page = browser.new_page()
            requested: list[str] = []
            page.on("request", lambda request: requested.append(request.url))
            page.goto((built / "index.html").as_uri())
            page.keyboard.press("/")
            page.keyboard.type("coordinated omission")
            page.get_by_text("Load: who waits").first.wait_for()
            assert [url for url in requested if not url.startswith(("file:", "data:", "blob:"))] == []
    except NotMeasurableError as error:
        pytest.skip(str(error))


def test_a_page_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The navigation is corrected, instead of a page left out."""
    with pytest.raises(UsageError, match=r"zensical.toml: nav has docs/nothing.md, which does not exist"):
        site.stage(["docs/nothing.md"], tmp_path / "pages")


def test_linked_files_are_copied_and_details_opened(tmp_path: Path) -> None:
    """Pictures keep their places; a report is on the site as HTML; folded parts of a page are Markdown as well."""
    site.stage(["README.md"], tmp_path / "pages")
    published = tmp_path / "pages" / "reports" / "published"
    assert {path.name for path in published.iterdir()} == {"report.png", "report.html", "run.json.gz"}
    assert "<details markdown>" in site.staged(site.ROOT / "reports" / "published" / "report.md")
    assert "](reports/published/report.html)" in (tmp_path / "pages" / "README.md").read_text(encoding="utf-8")
    assert "](reports/published/report.md)" not in (tmp_path / "pages" / "README.md").read_text(encoding="utf-8")

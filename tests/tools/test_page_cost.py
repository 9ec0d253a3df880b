"""The cost of a page: its bytes and elements, the time until it is drawn, and the time of writing it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import NotMeasurableError
from tools.page_cost import PageSize, elements, lines, main, size_of, spread

PAGE = "<!DOCTYPE html><html><head><style>a > b {}</style></head><body><p>1 < 2<br/><svg><path d='<p>'/></svg></body></html>"


def paints(page: Path, times: int) -> list[float]:
    """Stand in for a browser."""
    return [float(40 + 10 * n) for n in range(times)]


def test_elements_are_counted_by_tag() -> None:
    """The most frequent first; texts, styles and attributes are not elements."""
    assert next(iter(elements(f"<i></i><i></i>{PAGE}").items())) == ("i", 2)
    assert elements(PAGE) == dict.fromkeys(("body", "br", "head", "html", "p", "path", "style", "svg"), 1)


@given(
    st.lists(st.sampled_from(["p", "b", "svg", "td"])),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="<>&")),
)
def test_the_number_of_elements_is_that_of_their_start_tags(tags: list[str], text: str) -> None:
    """Whatever they contain."""
    page = "".join(f"<{tag}>{text}</{tag}>" for tag in tags)
    assert size_of(page.encode()).elements == len(tags)


def test_a_size_has_the_compressed_bytes() -> None:
    """As a web server would send them."""
    size = size_of(PAGE.encode() * 100)
    assert size.bytes == 100 * len(PAGE)
    assert size.compressed < size.bytes / 10


@given(st.lists(st.floats(0.1, 1e4), min_size=1))
def test_a_spread_has_the_median_and_the_ends(values: list[float]) -> None:
    """Also of one value."""
    shown = spread(values, "ms", 3)
    assert f"(median of {len(values)}, {min(values):.3f} to {max(values):.3f})" in shown


def test_rendering_is_printed_where_it_was_measured() -> None:
    """A page that is only read has no such line."""
    size = PageSize(1_234_567, 98_765, {"td": 28_000, "tr": 1_000})
    assert list(lines(size, [210.0, 180.0, 350.0], [2.5])) == [
        "size              1,234,567 bytes, 98,765 compressed",
        "elements          29,000: 28,000 td, 1,000 tr",
        "first paint       210 ms (median of 3, 180 to 350)",
        "harness report    2.50 s (median of 1, 2.50 to 2.50)",
    ]
    assert len(list(lines(size, [210.0], []))) == 3


def test_a_page_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With as many windows as were asked for."""
    (tmp_path / "page.html").write_text(PAGE)
    assert main([str(tmp_path / "page.html"), "--times", "3"], paints) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "elements          8: 1 body, 1 br, 1 head, 1 html, 1 p, 1 path",
        "first paint       50 ms (median of 3, 40 to 60)",
    ]


def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that names it."""
    (tmp_path / "run.json").write_text("{}")
    for path, message in ((tmp_path / "none.html", "cannot read"), (tmp_path, "cannot render")):
        assert main([str(path)], paints) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert printed.count("\n") == 1


def test_without_a_browser_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the programs that were tried."""
    (tmp_path / "page.html").write_text(PAGE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([str(tmp_path / "page.html")]) == NotMeasurableError.code
    assert "is not installed" in (printed := capsys.readouterr().err) or "no Chromium is installed" in printed

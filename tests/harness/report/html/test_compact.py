"""A compact page has the same elements, attributes and texts."""

from html import escape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from harness.report.html.compact import compact

VALUES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), max_size=12)


class ParsedPage(HTMLParser):
    """The start tags with their attributes, and the words between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, object]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.found.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if data.strip():
            self.found.append(("", " ".join(data.split())))


@given(VALUES, VALUES, VALUES)
def test_elements_attributes_and_texts_stay(name: str, title: str, text: str) -> None:
    """Whatever their values are, also those that look like tags and quotes."""
    cells = f'<td class="{escape(name)}" title="{escape(title)}">{escape(text)}</td>\n<td></td>'
    page = (
        f'<table id="t"><thead><tr><th scope="col">{escape(text)}</th></tr></thead>\n<tbody>\n'
        f"<tr>{cells} </tr>\n</tbody>\n</table>\n"
        f'<ul><li>{escape(text)}</li>\n<li><a href="{escape(title)}">x</a></li></ul><svg><path d="{escape(name)}"/></svg>'
    )
    assert ParsedPage(compact(page)).found == ParsedPage(page).found


def test_what_html_does_not_need_is_left_out() -> None:
    """Implied end tags, the white space around them, and quotes around plain values."""
    assert compact('<ul>\n<li class="a">x</li>\n<li title="b c">y</li>\n</ul> z') == '<ul>\n<li class=a>x<li title="b c">y</ul> z'
    assert compact('<td class="">x</td> y') == '<td class="">x</td> y'
    assert compact('<a href="./x/">x</a><path d="M0"/>') == '<a href="./x/">x</a><path d="M0"/>'


def test_code_stays_as_it_is() -> None:
    """A statement, a script and a style sheet are not markup."""
    for code in ('<pre class="plan"> </td> <td> x="y" </pre>', '<script>a = "<b c="d">";</script>', '<style>a[b="c"] {}</style>'):
        assert compact(f'<p class="x">{code}</p>') == f"<p class=x>{code}</p>"

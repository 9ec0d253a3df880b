"""Texts for a column, by the words of its name: from mimesis (the extra `rows`), which depends on the seed alone.

Of the libraries that draw values it is the one that is fast enough for a database of a million rows and needs nothing else. It is
asked for a pool of different texts per column, and rows draw from the pool.
"""

import re
from collections.abc import Mapping

from harness.errors import missing_extra

POOL = 1_000
"""The number of texts that are drawn for a column."""

MARK = "#"
"""A character that no text has, for what makes keys different."""

METHODS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("email", "mail"), ("person", "email")),
    **dict.fromkeys(("username", "login", "nickname", "handle"), ("person", "username")),
    **dict.fromkeys(("firstname", "first"), ("person", "first_name")),
    **dict.fromkeys(("lastname", "last", "surname"), ("person", "last_name")),
    **dict.fromkeys(("name", "author"), ("person", "full_name")),
    **dict.fromkeys(("phone", "mobile"), ("person", "phone_number")),
    **dict.fromkeys(("job", "occupation"), ("person", "occupation")),
    "language": ("person", "language"),
    **dict.fromkeys(("company", "organisation", "organization"), ("finance", "company")),
    **dict.fromkeys(("street", "address"), ("address", "address")),
    **dict.fromkeys(("city", "town"), ("address", "city")),
    "country": ("address", "country"),
    **dict.fromkeys(("zip", "postcode", "postal"), ("address", "postal_code")),
    **dict.fromkeys(("url", "link", "website"), ("internet", "url")),
    **dict.fromkeys(("host", "hostname"), ("internet", "hostname")),
    "ip": ("internet", "ip_v4"),
    "slug": ("internet", "slug"),
    "agent": ("internet", "user_agent"),
    **dict.fromkeys(("colour", "color"), ("text", "color")),
    **dict.fromkeys(("title", "subject", "headline"), ("text", "title")),
    **dict.fromkeys(("body", "content", "text", "description", "message", "bio", "comment", "note", "notes"), ("text", "text")),
    "summary": ("text", "sentence"),
}
"""A word of a column's name → provider and method of mimesis; the texts of other columns are words, or sentences if unlimited."""


def is_known(column: str) -> bool:
    """Return whether a column's name says what its texts are."""
    return _method(column) is not None


def _method(column: str) -> tuple[str, str] | None:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", column).lower())
    return next((METHODS[word] for word in ("".join(words), *reversed(words)) if word in METHODS), None)


def texts(column: str, length: int | None, seed: str) -> list[str]:
    """Return different texts for a column of this name, none longer than `length`."""
    try:
        from mimesis import Generic, Locale  # noqa: PLC0415 - only where rows are drawn
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "rows", "drawing rows") from error

    provider, method = _method(column) or ("text", "sentence" if length is None else "word")
    make = getattr(getattr(Generic(Locale.EN, seed=seed), provider), method)
    found = (str(make()).replace(MARK, " ")[:length].strip() or "x" for _ in range(POOL))
    return list(dict.fromkeys(found))

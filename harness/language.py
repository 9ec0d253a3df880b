"""The language of the fixed texts of reports: `--lang`. Names that a scenario or a review defines stay as they are.

An English literal is the message id of a text; a catalogue in `locale` has its translation. `python -m tools.words` extracts the
texts, updates the catalogues and compiles them. Texts are whole sentences with named placeholders.

The language is that of the context, English unless `using` sets another. Code that measures sets none: stored texts are English.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path

ENGLISH = "en"
DOMAIN = "harness"
"""The name of the catalogue's files."""
FOLDER = Path(__file__).parent / "locale"
WORD = "word"
"""The context of the words of closed sets, such as verdicts: the same word in a sentence may need another translation."""

_LANGUAGE = ContextVar("language", default=ENGLISH)


def languages() -> list[str]:
    """Return the languages there are, sorted."""
    return sorted({ENGLISH, *(file.parents[1].name for file in FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))})


def current() -> str:
    """Return the language of this context."""
    return _LANGUAGE.get()


def use(language: str) -> None:
    """Set the language of this context for good; a process that renders starts with it."""
    _LANGUAGE.set(language)


@contextmanager
def using(language: str) -> Iterator[None]:
    """Set the language inside the context."""
    token = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def gettext(text: str, /, **values: object) -> str:
    """Return a text in the current language, its placeholders `{name}` replaced by `values`."""
    found = _catalogue(current()).gettext(text) if text else ""
    return found.format(**values) if values else found


def ngettext(one: str, several: str, number: int, /, **values: object) -> str:
    """Return the form of a text for a number, which replaces `{count}`, and `values` the other placeholders."""
    found = _catalogue(current()).ngettext(one, several, number)
    return found.format(**{"count": f"{number:,}", **values})


def word(name: str) -> str:
    """Return a word of a closed set, such as a verdict, in the current language; one from elsewhere unchanged."""
    return _catalogue(current()).pgettext(WORD, name)


def mark(text: str) -> str:
    """Mark a text that is declared here and translated where it is used, and return it unchanged."""
    return text


def listed(texts: list[str]) -> str:
    """Return an enumeration: `a`, `a and b`, `a, b and c`."""
    if len(texts) < 2:  # noqa: PLR2004 - nothing to connect
        return "".join(texts)
    return gettext("{first} and {last}", first=gettext(", ").join(texts[:-1]), last=texts[-1])


@cache
def _catalogue(language: str) -> NullTranslations:
    return NullTranslations() if language == ENGLISH else translation(DOMAIN, FOLDER, [language])

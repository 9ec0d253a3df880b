"""Known names near to an unknown one, for error messages."""

from collections.abc import Iterable

LIKE = 0.6
"""The least similarity of two names, as difflib counts it, at which one is suggested for the other."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like an unknown one, without regard to case; None if none is like it.

    Example:
        >>> nearest("postgress", ["postgres", "sqlite"])
        'postgres'
    """
    from difflib import get_close_matches  # noqa: PLC0415 - not needed while all is well

    folded = {other.casefold(): other for other in known}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=LIKE)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], form: str = "{}") -> str:
    """Return the question for the known name that is most like an unknown one, with a blank at its end; empty if none is.

    `form` is the form in which the name is shown, such as "{!r}".
    """
    found = nearest(name, known)
    return "" if found is None else f"did you mean {form.format(found)}? "


def choose_from(name: str, known: Iterable[str], form: str = "{}", more: str = "") -> str:
    """Return the next step after an unknown name: the known one that is most like it, and all of them.

    Example:
        >>> choose_from("postgress", ["postgres", "sqlite"])
        'did you mean postgres? choose from postgres, sqlite'
    """
    names = list(known)
    listed = ", ".join(form.format(each) for each in names)
    return f"{did_you_mean(name, names, form)}choose from {listed}{more}" if names else "there are none"

"""Addresses of the user's own servers in environment variables: checked before anything is contacted.

A message names the variable and the remedy, and shows no part of the address, which may be a part of the password.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, urlsplit

from harness.errors import UsageError
from harness.network.addresses import refuse_remote

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_IN_QUERY = re.compile(r"(?:^|&)(?:host|hostaddr|port|user|password|passfile|service|servicefile)=", re.IGNORECASE)


def checked(variable: str, text: str, name: str, schemes: Sequence[str], example: str) -> SplitResult:
    """Return the parts of a server's URL, whose host is on this machine or permitted; UsageError with the remedy if it is unusable.

    `name` is that of the server in messages, such as PostgreSQL.
    """
    if problem := next(_problems(text, name, schemes), ""):
        raise UsageError(f"{variable} {problem}; write {example}")
    refuse_remote(text)
    return urlsplit(text)


def _problems(text: str, name: str, schemes: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a URL; after the first problem the others may follow from it."""
    scheme = _SCHEME.match(text)
    if any(c.isspace() or not c.isprintable() for c in text):
        yield "has a space or a control character, which is written as %20 in a password and left out elsewhere"
    if scheme is None or scheme[1].lower() not in schemes:
        yield f"is not a URL of {name}, which begins with {' or '.join(f'{known}://' for known in schemes)}"
    if _NO_ESCAPE.search(text):
        yield "has a % that begins no escape, which is written as %25"
    try:
        parts = urlsplit(text)
    except ValueError:
        yield "has brackets that enclose no IPv6 address"
        return
    if parts.netloc.count("@") > 1 or "@" in parts.path + parts.query + parts.fragment:
        yield "has an unescaped character in its user or password, where @ is written as %40, / as %2F, ? as %3F and # as %23"
    if _IN_QUERY.search(parts.query):
        yield "names host, port, user or password after the ?, where they are not read"
    yield from _problems_of_host(parts)


def _problems_of_host(parts: SplitResult) -> Iterator[str]:
    address = parts.netloc.rpartition("@")[2]
    if "," in address:
        yield "names several hosts, of which one can be measured"
    if address.count(":") > 1 and not address.startswith("["):
        yield "has an IPv6 address without brackets, which is written as [::1]"
    try:
        is_port = (parts.port or not address.endswith(":")) and parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        yield "has a port that is not a number from 1 to 65535"
    if not parts.hostname:
        yield "names no host"
    try:
        is_name = re.fullmatch(r"[\w.:-]+", (parts.hostname or "").encode("idna").decode(), re.ASCII) is not None
    except UnicodeError:
        is_name = False
    if not is_name:
        yield "has a host that is not a host name"

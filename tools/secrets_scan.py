"""Look for secrets in the files of the repository, without the network: `python -m tools.secrets_scan [FILE …]`.

Found are texts of the forms that services give to their keys, private keys, and values that look random and are assigned to a name
such as password. What is meant to be there, such as the password of a test, is short, made of words, or has the note
`not a secret` in its line.
"""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import exit_code

ROOT = Path(__file__).parents[1]
NOTE = "not a secret"
MAX_BYTES = 2_000_000
"""Larger files, such as stored runs, are data of the harness, which writes no secrets into them."""
LEAST_LENGTH, LEAST_BITS = 16, 3.3
"""Of a value that looks random: its length, and its bits per character. Words in English have fewer."""
FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a token of PyPI": r"\bpypi-[A-Za-z0-9_-]{60,}",
    "a key of Google": r"\bAIza[0-9A-Za-z_-]{35}",
    "a key of Stripe": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
}
_FORM = re.compile("|".join(f"(?P<f{place}>{form})" for place, form in enumerate(FORMS.values())))
_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|secret|token|api_?key|access_?key|credential)\w*[\"']?\s*[:=]+\s*[\"']([A-Za-z0-9+/=_.~-]+)[\"']",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"\w+://[^\s/:@\"']*:([A-Za-z0-9+=_.~%-]+)@")


def looks_random(value: str) -> bool:
    """Return whether a value is long and has the variety of one that a generator made: digits, letters, few repetitions."""
    if len(value) < LEAST_LENGTH or not (re.search(r"\d", value) and re.search(r"[A-Za-z]", value)):
        return False
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts) >= LEAST_BITS


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of a line and the kind of the secret in it."""
    for number, line in enumerate(text.splitlines(), start=1):
        if NOTE in line:
            continue
        if form := _FORM.search(line):
            yield number, list(FORMS)[int((form.lastgroup or "f0")[1:])]
        elif any(map(looks_random, (*_ASSIGNED.findall(line), *_IN_URL.findall(line)))):
            yield number, "a value that looks random, as a password or token"


def tracked() -> list[Path]:
    """Return the files of the repository, those that are new and not ignored included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - the user's git
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode(errors="surrogateescape").split("\0") if name]


def run(named: Sequence[str]) -> int:
    """Print the place and the kind of each secret, never the secret itself; return 1 if there are any."""
    files, number = [Path(name) for name in named] or tracked(), 0
    for file in files:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            continue
        body = file.read_bytes()
        for line, kind in found_in(body.decode(errors="replace")) if b"\0" not in body[:8_000] else ():
            number += 1
            sys.stderr.write(f"{file}:{line}: {kind}; remove it, and revoke it where it is valid, or note in the line: {NOTE}\n")
    sys.stdout.write(f"{len(files)} files: {number or 'no'} secrets\n")
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(sys.argv[1:])))

"""Secrets in files are found, and what only looks like one is not."""

import random
from pathlib import Path

import pytest

from tools.secrets_scan import NOTE, found_in, run

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789ABCDEFGH"
RANDOM = "".join(random.Random(7).choices(ALPHABET, k=28)) + "a7"
FORMS = [
    "-----BEGIN " + "RSA PRIVATE KEY-----",
    "id = " + "AKIA" + "ABCDEFGHIJKLMNOP",
    "ghp_" + "a1" * 18,
    "glpat-" + "abcdefghij0123456789",
    "xoxb-" + "1234567890-abc",
    "AIza" + "a" * 35,
    "sk_live_" + "a1" * 12,
    "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0" + ".abcdefghijklmnop",
]


@pytest.mark.parametrize("text", FORMS)
def test_forms_of_keys_are_found(text: str) -> None:
    """Of services, private keys and web tokens, with their line."""
    assert [number for number, _ in found_in(f"a\n{text}\n")] == [2]


@pytest.mark.parametrize(
    "form", ["password = '{}'", '"api_key": "{}"', "ACCESS_TOKEN='{}'", "url = 'postgresql://me:{}@host/db'", 'secret: "{}"']
)
def test_random_values_are_found(form: str) -> None:
    """Assigned to a telling name, or as the password of a URL."""
    assert [kind for _, kind in found_in(form.format(RANDOM))] == ["a value that looks random, as a password or token"]


@pytest.mark.parametrize(
    "text",
    [
        "password = 's3cret'",
        "password = 'correct horse battery staple'",
        "TOKEN_VARIABLE = 'HARNESS_REDIS_TOKEN'",
        "url = 'postgresql://user:password@127.0.0.1:5432/database'",
        "--hash=sha256:0a30ef8f5322a4173720ae6712dc9a5e58f5a19868f3f167b4b5778db066c2b5",
        f"password = '{RANDOM}'  # {NOTE}",
    ],
)
def test_what_is_meant_to_be_there_is_not_found(text: str) -> None:
    """Short values, words, names of variables, digests, and lines with the note."""
    assert list(found_in(text)) == []


def test_a_secret_fails_and_is_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place and the kind are named; binary and missing files are passed over."""
    file, binary = tmp_path / "settings.py", tmp_path / "image.png"
    file.write_text(f"\npassword = '{RANDOM}'\n")
    binary.write_bytes(b"\x00" + RANDOM.encode())
    assert run([str(file), str(binary), str(tmp_path / "missing")]) == 1
    written = capsys.readouterr()
    assert f"{file}:2: a value that looks random" in written.err
    assert RANDOM not in written.out + written.err
    assert run([str(binary)]) == 0

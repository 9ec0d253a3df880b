"""Secrets in URLs, headers and command lines."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.redaction import is_secret, redacted, redacted_command, redacted_values

WORDS = st.text("abcdefgh0123456789", min_size=6, max_size=12)


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "Cookie", "access_token", "client_secret", "password", "sig", "code"]
)
def test_names_of_secrets(name: str) -> None:
    """They are recognised in any case, as headers and as parameters."""
    assert is_secret(name)
    assert is_secret(name.upper())


@pytest.mark.parametrize("name", ["Accept", "page", "id", "user", "keyboard", "zipcode", "design"])
def test_other_names(name: str) -> None:
    """They hold no secrets."""
    assert not is_secret(name)


@given(WORDS, WORDS, WORDS)
def test_user_and_secret_parameters_are_hidden(user: str, secret: str, value: str) -> None:
    """What else is in the URL stays."""
    shown = redacted(f"http://{user}:{secret}@127.0.0.1:8000/items?token={secret}&page={value}#part")
    assert shown == f"http://***@127.0.0.1:8000/items?token=***&page={value}#part"


def test_a_user_with_an_at_sign_is_hidden_as_a_whole() -> None:
    """The last @ before the host ends it."""
    assert redacted("http://me:p@ss@127.0.0.1/@home") == "http://***@127.0.0.1/@home"


@given(WORDS)
def test_a_command_line_has_no_secrets(secret: str) -> None:
    """Headers, bodies and values are hidden in whatever way the option is written."""
    words = ["harness", "load", "http://127.0.0.1/", f"--header=Authorization: Bearer {secret}", "--body", f'{{"pin": "{secret}"}}']
    words += ["--values", f"token={secret}", "--values", "id=1..9"]
    shown = redacted_command(
        shlex.join(words),
        [f"Authorization: Bearer {secret}", "Accept: text/html"],
        f'{{"pin": "{secret}"}}',
        [f"token={secret}", "id=1..9"],
    )
    assert secret not in shown
    assert "id=1..9" in shown
    assert "Authorization" in shown


def test_a_file_with_the_body_stays_visible() -> None:
    """Its name is not a secret."""
    assert redacted_command("harness load http://127.0.0.1/ --body @order.json", [], "@order.json", []).endswith(
        "--body @order.json"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect to postgres://me:pa/ss?w#ord@db:5432/x failed", "connect to postgres://***@db:5432/x failed"),
        ("redis://:pw@[::1]:1/0, then", "redis://***@[::1]:1/0, then"),
        ("postgresql+asyncpg://me:p%40ss@h/x?ssl=prefer", "postgresql+asyncpg://***@h/x?ssl=prefer"),
        ("a://u:p@h,b://v:q@i", "a://***@h,b://***@i"),
        ('{"Authorization": "Basic dTpw", "a": "b"}', '{"Authorization": "***", "a": "b"}'),
        ("authorization: Bearer abc.def", "authorization: ***"),
        ("Cookie: session=1; theme=dark", "Cookie: ***"),
        ("sent Bearer abcdefgh.ijkl to", "sent Bearer *** to"),
        ("host=h password=pw user=u", "host=h password=*** user=u"),
        ("PGPASSWORD='p w' psql", "PGPASSWORD=*** psql"),
        ("http://h/x?token=abc, and", "http://h/x?token=***, and"),
    ],
)
def test_secrets_of_known_forms_are_hidden(text: str, shown: str) -> None:
    """In URLs with characters that should be escaped, headers, cookies, connection strings and commands."""
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/@user",
        "see http://a/b and write to x@y.z",
        "SELECT password = $1 FROM user",
        "the URL is x://h?authToken=None",
        "a token: invalid",
        "f(x: int, key=1) -> y",
        "GET /items?page=3&sort=name",
    ],
)
def test_other_texts_stay(text: str) -> None:
    """What only looks like a secret is shown."""
    assert redacted(text) == text


@given(st.text(alphabet="ab:/@?#=&;,.'\" %*password token Authorization"))
def test_a_redacted_text_stays_as_it_is(text: str) -> None:
    """Stored names still agree with those that are hidden again."""
    assert redacted(redacted(text)) == redacted(text)


def test_values_are_redacted_whatever_their_place() -> None:
    """In lists, mappings and their keys; numbers stay."""
    found = redacted_values({"http://u:p@h": ["http://u:p@h", 1, None, {"a": "password=x"}]})
    assert found == {"http://***@h": ["http://***@h", 1, None, {"a": "password=***"}]}

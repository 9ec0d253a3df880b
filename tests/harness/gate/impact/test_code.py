"""Digests of code, by texts that are compiled here."""

import textwrap
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.impact.code import digest, is_namespace


def code(text: str) -> CodeType:
    """Return a module's code."""
    return compile(textwrap.dedent(text), "module.py", "exec")


def function(text: str) -> CodeType:
    """Return the code of the only function in a text."""
    return next(value for value in code(text).co_consts if isinstance(value, CodeType))


def test_a_place_does_not_count() -> None:
    """Other lines and another file leave the digest as it is, of classes too, which store their line in Python 3.13."""
    text = "class C:\n    A = 1\n\n    def f(self):\n        return self.A\n"
    moved = compile("\n\n# moved\n" + text, "elsewhere.py", "exec")
    assert digest(code(text)) == digest(moved)
    bodies = [next(v for v in each.co_consts if isinstance(v, CodeType)) for each in (code(text), moved)]
    assert is_namespace(bodies[0])
    assert digest(bodies[0]) == digest(bodies[1])


def test_a_namespace_is_digested_without_the_bodies_of_its_functions() -> None:
    """They count by themselves once they run, unless the whole is asked for; their names and arguments count always."""
    one, two = code("def f(a):\n    return 1\n"), code("def f(a):\n    return 2\n")
    assert digest(one) == digest(two)
    assert digest(one, whole=True) != digest(two, whole=True)
    assert digest(one) != digest(code("def f(b):\n    return 1\n"))
    assert digest(one) != digest(code("async def f(a):\n    return 1\n"))


def test_a_function_is_digested_with_what_is_nested_in_it() -> None:
    """A nested function may be read without being run."""
    assert digest(function("def f():\n    return lambda: 1\n")) != digest(function("def f():\n    return lambda: 2\n"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = b'a'", "x = 'a'"),
        ("x = (1, 2)", "x = (1, (2,))"),
        ("x in {1, 2}", "x in {1, 3}"),
        ("x.a", "x.b"),
        ("f(x)", "f(*x)"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(*, a): pass", "def f(a): pass"),
        ("import a", "import b"),
    ],
)
def test_other_code_has_another_digest(one: str, other: str) -> None:
    """Constants count with their type, and names, operations and kinds of arguments count."""
    assert digest(code(one)) != digest(code(other))


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.booleans(), st.none()), max_size=5))
def test_equal_constants_have_equal_digests(values: list[object]) -> None:
    """Compiling the same text twice gives the same digest."""
    text = f"x = {tuple(values)!r}\ny = x in {{{', '.join(map(repr, values)) or '1'}}}"
    assert digest(code(text)) == digest(code(text))

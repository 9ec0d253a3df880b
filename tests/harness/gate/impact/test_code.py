"""Digests of code, by texts that are compiled here."""

import textwrap
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate.impact.code import digest, docstrings, is_namespace, reads_docstrings


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(x):\n    return x.__doc__\n", True),
        ("def f(x):\n    return getattr(x, '__doc__')\n", True),
        ("def f(x):\n    return [getattr(x, n) for n in ('__name__', '__doc__')]\n", True),
        ("def f(x):\n    x.__doc__ = 'text'\n", False),
        ("def f(x, y):\n    y.__doc__ = x.__doc__\n", False),
        ("def f(x, y):\n    y.__doc__ = x.__doc__.strip()\n", True),
    ],
)
def test_what_reads_docstrings_is_found(text: str, expected: bool) -> None:
    """But for what only copies them, or writes them."""
    assert reads_docstrings(function(text)) is expected


def test_docstrings_are_listed_by_name() -> None:
    """Of the module, of classes, and of functions wherever they are."""
    text = "'''m'''\nclass C:\n    '''c'''\n    def f(self):\n        '''f'''\n        return [('x', n) for n in self]\n"
    assert list(docstrings(code(text))) == [("<module>", "m"), ("C", "c"), ("C.f", "f")]


@pytest.mark.parametrize("many", [1, 400])
def test_docstrings_do_not_count(many: int) -> None:
    """Added or changed, in a function, a class or a module, however many constants follow."""
    body = f"    return ({', '.join(f'x + {n}.5' for n in range(many))},)\n"
    plain, documented, other = (f"def f(x):\n{doc}{body}" for doc in ("", "    'one'\n", "    'two'\n"))
    assert digest(function(plain)) == digest(function(documented)) == digest(function(other))
    assert digest(function(plain)) != digest(function(plain.replace("0.5", "1.25")))
    assert digest(code(f"'''one'''\n{plain}")) == digest(code(plain))
    assert digest(function("class C:\n    '''one'''\n    A = 1\n")) == digest(function("class C:\n    A = 1\n"))
    assert digest(function("def f():\n    'one'\n    return 'one'\n")) != digest(
        function("def f():\n    'two'\n    return 'two'\n")
    )

"""Where the code of arms is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtime.source_code import code_of_arms, declared_lines, in_repository, repository, web_address

SCENARIO = '''
class Other:
    arms = {"x": ""}

class Shop:
    """A shop."""
    arms: dict[str, str] = {
        "baseline": "as it is",
        NAME: "",
        "optimised": "with an index",
    }
'''


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Change to an empty folder; return a function that runs git there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    in_repository.cache_clear()

    def run(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, check=True)

    return run


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:a/b.git", "https://github.com/a/b"),
        ("ssh://git@github.com:22/a/b.git", "https://github.com/a/b"),
        ("https://github.com/a/b.c/", "https://github.com/a/b.c"),
        ("https://user:token@gitlab.example.org/group/sub/b.git", "https://gitlab.example.org/group/sub/b"),
        ("https://example.org/a/b.git", ""),
        ("/srv/git/b.git", ""),
        ("file:///github.com/b", ""),
        ("https://github.com/a/../b", ""),
        ("javascript:alert(1)//github.com/a", ""),
        ("", ""),
    ],
)
def test_a_remote_has_a_web_address(remote: str, address: str) -> None:
    """Of GitHub and GitLab, without credentials; no other remote is linked."""
    assert web_address(remote) == address


@given(st.text(st.characters(exclude_characters="/@\n"), min_size=1), st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}", fullmatch=True))
def test_credentials_are_never_part_of_the_address(secret: str, path: str) -> None:
    """Whatever they are."""
    assert web_address(f"https://{secret}@github.com/{path}") in {f"https://github.com/{path}", ""}


def test_an_arm_has_the_line_of_its_key() -> None:
    """Of the class that is asked for; keys that are no texts, other classes and invalid source have none."""
    assert declared_lines(SCENARIO, "Shop") == {"baseline": 8, "optimised": 10}
    assert declared_lines(SCENARIO, "Other") == {"x": 3}
    assert declared_lines(SCENARIO, "None") == declared_lines("class", "Shop") == declared_lines("\0", "Shop") == {}


def test_code_is_where_the_repository_has_it(git: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that it does not have is left out, and so is one outside a repository."""
    file = tmp_path / "bench" / "shop.py"
    file.parent.mkdir()
    file.write_text(SCENARIO)
    kind = type("Shop", (), {"arms": {}, "__module__": "shop"})
    monkeypatch.setitem(sys.modules, "shop", type("Module", (), {"__file__": str(file)}))
    assert code_of_arms(kind) == {}
    assert repository() == ""
    git("init", "-q")
    git("remote", "add", "origin", "https://me:secret@github.com/a/b.git")
    in_repository.cache_clear()
    assert code_of_arms(kind) == {}
    git("add", ".")
    in_repository.cache_clear()
    assert code_of_arms(kind) == {"baseline": "bench/shop.py:8", "optimised": "bench/shop.py:10"}
    assert repository() == "https://github.com/a/b"


def test_a_machine_without_git_has_no_code(git: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside a repository."""
    del git
    monkeypatch.setenv("PATH", "")
    assert repository() == ""
    assert in_repository(Path("x.py")) == ""

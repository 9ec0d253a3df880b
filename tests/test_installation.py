"""The wheel as its users run it: `uvx` and `pipx run`, from a folder of wheels and without a network."""

import base64
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.version import DISTRIBUTION

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^((?:uvx|pipx) .*)$", README, flags=re.MULTILINE)
TIMES = ROOT / "tests" / "harness" / "importers" / "fixtures" / "hyperfine.json"
HANG_S = 600

pytestmark = pytest.mark.slow


def requirements(name: str, found: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """Return what an installed distribution needs here without its extras, itself included, added to `found`."""
    canonical = canonicalize_name(name)
    if canonical not in found:
        found[canonical] = metadata.distribution(name)
        for text in found[canonical].requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                requirements(needed.name, found)
    return found


def repack(distribution: metadata.Distribution, folder: Path) -> None:
    """Write an installed distribution as a wheel again."""
    tag = re.findall(r"^Tag: (.*)$", distribution.read_text("WHEEL") or "", flags=re.MULTILINE)[-1]
    stem = re.sub(r"[-_.]+", "_", distribution.name)
    files = dict(_files(distribution))
    info = next(name.partition("/")[0] for name in files if ".dist-info/" in name)
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode() for name, body in files.items()}
    rows = [*(f"{name},sha256={digest},{len(files[name])}" for name, digest in digests.items()), f"{info}/RECORD,,"]
    files[f"{info}/RECORD"] = "".join(f"{row}\n" for row in rows).encode()
    with zipfile.ZipFile(folder / f"{stem}-{distribution.version}-{tag}.whl", "w") as wheel:
        for name, body in files.items():
            wheel.writestr(name, body)


def _files(distribution: metadata.Distribution) -> Iterator[tuple[str, bytes]]:
    left_out = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file)))
        is_outside = ".." in file.parts or "__pycache__" in file.parts
        if not is_outside and path.is_file() and not (file.parent.name.endswith(".dist-info") and file.name in left_out):
            yield file.as_posix(), path.read_bytes()


@pytest.fixture(scope="module")
def wheels(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel, and wheels of what it needs, made from what is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    shutil.copy(wheel_file, folder)
    needed = requirements(DISTRIBUTION, {})
    del needed[canonicalize_name(DISTRIBUTION)]
    for each in (*needed.values(), metadata.distribution("pip")):
        repack(each, folder)
    return folder


def test_the_readme_shows_both_programs() -> None:
    """A line each."""
    assert [line.split()[0] for line in LINES] == ["uvx", "pipx"]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split()[0])
def test_a_line_of_the_readme_works_from_a_folder_of_wheels(line: str, wheels: Path, tmp_path: Path) -> None:
    """The command compares two files, in an environment of its own that has nothing but the core."""
    program, *words = shlex.split(line.replace("path/to/dist", str(wheels)))
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    assert found is not None, f"{program} is not installed here; install the dependency group dev"
    for name in ("old.json", "new.json"):
        shutil.copy(TIMES, tmp_path / name)
    settings = tmp_path / "uv.toml"
    settings.write_text("offline = true\nno-index = true\n")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PIP", "UV_", "PYTHON", "VIRTUAL_ENV"))}
    environment = {
        **kept,
        "HOME": str(tmp_path / "home"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIP_NO_INDEX": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_CONFIG_FILE": str(settings),
        "UV_PYTHON": sys.executable,
        "COLUMNS": "80",
    }
    done = subprocess.run(
        [found, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical files" in done.stdout

"""Files that describe requests: read within limits of size and depth, or refused with the reason."""

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UsageError
from harness.results.names import shortened

MAX_BYTES = 100 * 2**20
"""Limit of the size of a file."""
MAX_YAML_BYTES = 8 * 2**20
"""Limit of the size of a YAML file, which takes a hundred times as long to read as JSON."""
MAX_YAML_NODES = 2_000_000
"""Limit of the nodes of a YAML file, merged ones included."""

T = TypeVar("T")


def bytes_of(file: Path, limit: int = MAX_BYTES) -> bytes:
    """Return a file's content; raise UsageError if it cannot be read or is too large."""
    try:
        if not file.is_file():
            kind = "a folder" if file.is_dir() else "not a regular file" if file.exists() else "missing"
            raise UsageError(f"{file} is {kind}; name a file of requests")
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {file}: {reason}; name a file of requests") from error
    if len(content) > limit:
        raise UsageError(f"{file} has more than {limit // 2**20} MB; name a smaller file, such as a part of it")
    return content


def text_of(file: Path) -> str:
    """Return a file's text; raise UsageError if it is not UTF-8."""
    return decoded(file, bytes_of(file))


def decoded(file: Path, content: bytes) -> str:
    """Return the text of a file's content; raise UsageError if it is not UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise UsageError(f"{file} has null characters and is not text; name a file of requests")
    return text


def json_of(file: Path, content: bytes, kind: type[T]) -> T:
    """Decode JSON; raise UsageError with the place if it is invalid, has another form or is nested too deeply."""
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=kind)
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply; name a document that a tool wrote") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = f"has another form ({shortened(str(error))})" if isinstance(error, msgspec.ValidationError) else ""
        raise UsageError(f"{file} {reason or f'is not valid JSON ({shortened(str(error))})'}; write it again") from error


def yaml_of(file: Path, content: bytes) -> Any:
    """Decode YAML; raise UsageError if it is invalid, too large or nested too deeply, or if PyYAML is missing."""
    try:
        import yaml  # noqa: PLC0415 - only for documents in YAML, and not a package that the harness installs
    except ModuleNotFoundError:
        raise UsageError(f"{file} is YAML, which needs the package PyYAML; install it with: pip install pyyaml") from None
    if len(content) > MAX_YAML_BYTES:
        raise UsageError(f"{file} has more than {MAX_YAML_BYTES // 2**20} MB of YAML; convert it to JSON")

    class _Bounded(yaml.SafeLoader):
        """A loader that keeps dates as text, and stops where merged mappings multiply."""

        nodes = 0

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            self.nodes += len(node.value)
            if self.nodes > MAX_YAML_NODES:
                raise UsageError(f"{file} has more than {MAX_YAML_NODES:,} merged members; write them out")

    resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _Bounded.yaml_implicit_resolvers = resolvers
    try:
        return yaml.load(decoded(file, content), _Bounded)  # noqa: S506 - a safe loader
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply; name a document that a tool wrote") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or re.sub(r"\s+", " ", str(error))
        raise UsageError(f"{file}{place} is not valid YAML ({shortened(problem)}); write it again") from error

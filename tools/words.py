"""Extract the texts of reports, update the catalogues of their translations, and compile them: `python -m tools.words`.

A catalogue has every text that the code has, and no other. A text that is not translated yet is named, and the exit code is 1. The
compiled catalogues are committed, so that a clone needs no build step; the same catalogue gives the same bytes.
"""

import ast
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment

from harness.errors import UsageError
from harness.language import DOMAIN, FOLDER, WORD
from harness.report.blocks import STATUSES
from harness.report.tables import DIRECTIONS
from harness.results.load import ALL, CapacityKind, LoadModel, LoadState
from harness.results.run import AA_CONTROL, GainSum, Interaction, PromiseVerdict, ScenarioStatus
from harness.verdicts.advice import Action, Trust
from tools import exit_code

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "harness"
SOURCES = ("report", "verdicts")
"""The packages whose texts a reader of a report meets."""
KEYWORDS = {"gettext": 1, "mark": 1, "ngettext": 2}
"""Function → the number of its first arguments that are texts."""
TEMPLATE_KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2)}
WORDS: tuple[Iterable[str], ...] = (
    STATUSES,
    PromiseVerdict,
    ScenarioStatus,
    Interaction,
    GainSum,
    Action,
    Trust,
    CapacityKind,
    LoadModel,
    LoadState,
    DIRECTIONS.values(),
)
"""The closed sets whose words are shown."""
NAMES = (AA_CONTROL, ALL)
"""Names that this package gives, and no scenario."""


class Translations(Catalog):
    """A catalogue whose header has no date, and no version of Babel: the same texts give the same files."""

    def __init__(self, locale: Any) -> None:
        super().__init__(locale, header_comment="", fuzzy=False)

    def _short_headers(self) -> list[tuple[str, str]]:
        """Return what a reader of the file needs."""
        names = {"Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
        return [(name, value) for name, value in self._get_mime_headers() if name in names]

    mime_headers = property(_short_headers, Catalog._set_mime_headers)  # noqa: SLF001 - the setter of the same property


LETTERS = re.compile(r"[a-z]{2}")
PLACEHOLDER = re.compile(r"\{[^{}]*\}|%\([^)]*\)[a-z]|%%")


def catalogues() -> list[Path]:
    """Return the files of all translations."""
    return sorted(FOLDER.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def extracted() -> Catalog:
    """Return every text of the code and of the templates."""
    found = Catalog()
    for file in sources():
        texts = _in_template(file) if file.suffix == ".j2" else in_code(ast.parse(file.read_bytes()))
        for text in texts:
            found.add(text, locations=[(str(file.relative_to(ROOT)), 0)])
    for name in NAMES:
        found.add(name)
    for name in dict.fromkeys(str(name) for names in WORDS for name in names):
        found.add(name, context=WORD)
    return found


def _in_template(file: Path) -> Iterator[str | tuple[str, ...]]:
    """Yield the texts of a template: of `{{ _("…") }}`, and of `{% trans %}` blocks."""
    options = {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
    for _, text, _, _ in extract_from_file("jinja2", str(file), keywords=TEMPLATE_KEYWORDS, options=options):
        yield text


def in_code(tree: ast.Module) -> Iterator[str | tuple[str, ...]]:
    """Yield the texts of a module: the literals that are the first arguments of a call of one of `KEYWORDS`."""
    for node in ast.walk(tree):
        number = KEYWORDS.get(node.func.id, 0) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else 0
        if isinstance(node, ast.Call) and number:
            texts = [x.value for x in node.args[:number] if isinstance(x, ast.Constant) and isinstance(x.value, str)]
            if len(texts) == number:
                yield texts[0] if number == 1 else tuple(texts)
            elif any(isinstance(x, ast.JoinedStr | ast.BinOp) for x in node.args[:number]):
                raise UsageError(f"line {node.lineno}: {ast.unparse(node)} is not a literal; use placeholders")


def unwrapped(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file, with their lines, that look like words for a reader and are not translated."""
    source = file.read_text(encoding="utf-8")
    yield from _unwrapped_in_code(ast.parse(source)) if file.suffix == ".py" else _unwrapped_in_template(source)


def _unwrapped_in_template(source: str) -> Iterator[tuple[int, str]]:
    """Yield what a template has between tags and in their titles and labels; each expression in it is a `…`."""
    shown, is_wrapped = "", False
    for _, kind, text in Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).lex(source):
        if kind == "name" and text in {"trans", "endtrans"}:
            is_wrapped = text == "trans"
        shown += text if kind == "data" and not is_wrapped else "\n" * text.count("\n")
        shown += "…" if kind == "variable_end" else ""
    plain = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", _attributes, shown, flags=re.DOTALL)
    yield from ((line, text.strip()) for line, text in enumerate(plain.split("\n"), start=1) if LETTERS.search(text))


def _attributes(tag: re.Match[str]) -> str:
    """Return what a tag says to a reader: its label and its title."""
    return " ".join(re.findall(r'(?:aria-label|title|data-head)="([^"]*)', tag[0])) + "\n" * tag[0].count("\n")


def _unwrapped_in_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    wrapped = {
        id(inner)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {*KEYWORDS, "word"})
        or isinstance(node, ast.Raise | ast.Assert)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if " " in text and LETTERS.search(text) and id(node) not in documented | wrapped:
            yield getattr(node, "lineno", 0), text


def sources() -> list[Path]:
    """Return the files that can have texts."""
    files = [file for package in SOURCES for file in (PACKAGE / package).rglob("*") if file.suffix in {".py", ".j2"}]
    return sorted([PACKAGE / "language.py", *files])


def read(file: Path) -> Catalog:
    """Return a catalogue."""
    with file.open("rb") as source:
        return read_po(source, locale=file.parents[1].name, domain=DOMAIN)


def updated(old: Catalog, texts: Catalog) -> Catalog:
    """Return a catalogue with exactly the texts of the code, and the translations that are known."""
    made = Translations(old.locale)
    for message in texts:
        if message.id:
            known = old.get(message.id, message.context)
            text = known.string if known and not known.fuzzy and known.id == message.id else ""
            made.add(message.id, text, locations=message.locations, context=message.context)
    return made


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as a file for translators."""
    sink = io.BytesIO()
    write_po(sink, catalogue, width=120, sort_by_file=True, include_lineno=False, omit_header=False)
    return sink.getvalue().lstrip()


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as the file that is read at run time."""
    sink = io.BytesIO()
    write_mo(sink, updated(catalogue, catalogue))
    return sink.getvalue()


def problems(catalogue: Catalog, texts: Catalog) -> Iterator[str]:
    """Yield each text that is missing, unused, not translated, uncertain, or has other placeholders than its translation."""
    wanted = {(message.id, message.context) for message in texts if message.id}
    known = {(message.id, message.context): message for message in catalogue if message.id}
    yield from (f"not in the catalogue: {text!r}" for text in sorted(map(str, wanted - known.keys())))
    yield from (f"not in the code: {text!r}" for text in sorted(map(str, known.keys() - wanted)))
    yield from (f"not in the code: {message.id!r}" for message in catalogue.obsolete.values())
    for message in known.values():
        yield from _problems_of(message)


def _problems_of(message: Message) -> Iterator[str]:
    texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    if message.fuzzy:
        yield f"uncertain: {message.id!r}"
    if not all(texts):
        yield f"not translated: {message.id!r}"
        return
    names = {tuple(sorted(PLACEHOLDER.findall(text))) for text in texts}
    allowed = {tuple(sorted(PLACEHOLDER.findall(text))) for text in ids}
    if not names <= allowed:
        yield f"other placeholders: {message.id!r} → {message.string!r}"


def main() -> int:
    """Update and compile every catalogue; return 1 if a text is not translated. With a path list what is not wrapped below it."""
    for path in map(Path, sys.argv[1:]):
        for file in sorted(path.rglob("*") if path.is_dir() else [path]):
            if file.suffix in {".py", ".j2"}:
                sys.stdout.write("".join(f"{file}:{line}: {text}\n" for line, text in unwrapped(file)))
    if sys.argv[1:]:
        return 0
    texts, incomplete = extracted(), 0
    for file in catalogues():
        made = updated(read(file), texts)
        file.write_bytes(written(made))
        file.with_suffix(".mo").write_bytes(compiled(read(file)))
        found = list(problems(read(file), texts))
        incomplete |= bool(found)
        sys.stdout.write("".join(f"{file.relative_to(ROOT)}: {problem}\n" for problem in found))
        sys.stdout.write(f"{file.relative_to(ROOT)}: {len(made)} texts\n")
    return int(incomplete)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))

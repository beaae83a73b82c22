"""Read rows that nobody has graded: source files of a folder, or rows of a data file without grades.

What is not read is counted with its reason. Must not write anything.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from opeddev_tui.config.settings import FILLED_FIELDS, Settings
from opeddev_tui.data import columns, folder_files, formats, grade_scale
from opeddev_tui.data.byte_order import marked_text, wide_encoding
from opeddev_tui.data.grading_rows import from_grading
from opeddev_tui.data.optional_fields import with_optional_fields
from opeddev_tui.data.raw_rows import RawRow, bad
from opeddev_tui.data.rows import Example, RowContext
from opeddev_tui.errors import DataProblem
from opeddev_tui.files import open_file

# endings of source files, and what the kind of such a row is usually called, the likeliest first
KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), ("html",)),
    **dict.fromkeys((".css", ".scss", ".sass", ".less"), ("css",)),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), ("js", "javascript")),
    **dict.fromkeys((".ts", ".tsx", ".mts"), ("ts", "typescript", "js", "javascript")),
    **dict.fromkeys((".py",), ("py", "python")),
    **dict.fromkeys((".rb",), ("rb", "ruby")),
    **{
        f".{name}": (name,)
        for name in ("vue", "svelte", "astro", "php", "java", "kt", "cs", "go", "rs", "swift", "sql")
    },
}
# folders of other people's code
LIBRARY_FOLDERS = frozenset({"node_modules", "bower_components", "vendor", "__pycache__", "dist", "build"})
_MOST_FILES = 20_000


class Candidate(Struct, frozen=True):
    """An ungraded row: its ``fields`` as they are to be written, and what a model reads of it."""

    fields: dict[str, Any]
    example: Example


class Ungraded(Struct):
    """Candidates in the order of their files; ``left_out`` counts what was not taken, by reason."""

    candidates: list[Candidate] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class Usual(Struct, frozen=True):
    """What rows get that do not have a field: ``asked`` for by a person, else the commonest of the base set by kind."""

    asked: Mapping[str, str]
    by_kind: Mapping[str, Mapping[str, str]]
    kinds: frozenset[str]

    def of(self, name: str, kind: str) -> str:
        """Return the text of the field ``name`` for a row of ``kind``, empty where none is known."""
        known = self.by_kind.get(name, {})
        return self.asked.get(name) or known.get(kind) or known.get("", "")

    def kind_of(self, path: Path) -> str:
        """Return the kind of a source file, by the name that the base set uses."""
        names = KINDS.get(path.suffix.lower(), (path.suffix.lower().removeprefix("."),))
        by_lower = {kind.casefold(): kind for kind in self.kinds}
        return next((by_lower[name] for name in names if name in by_lower), names[0])


def usual_fields(rows: Sequence[RawRow], settings: Settings, asked: Mapping[str, str]) -> Usual:
    """Return what rows without a task or a rubric get; ``rows`` are those of the base set as they are written.

    A text is usual that more than half of the rows of its kind share.
    """
    named = columns.renamed(rows, settings.data.columns)
    kinds = frozenset(str(row.fields["kind"]) for row in named if isinstance(row.fields.get("kind"), str))
    found: dict[str, dict[str, str]] = {}
    for name in FILLED_FIELDS:
        for kind in ("", *sorted(kinds)):
            texts = [row.fields.get(name) for row in named if not kind or row.fields.get("kind") == kind]
            counted = Counter(text for text in texts if isinstance(text, str) and text.strip()).most_common(1)
            if counted and counted[0][1] * 2 > len(texts):
                found.setdefault(name, {})[kind] = counted[0][0]
    return Usual({name: text for name, text in asked.items() if text}, found, kinds)


def read_ungraded(place: Path, settings: Settings, usual: Usual) -> Ungraded:
    """Return the ungraded rows at ``place``; raises ``DataProblem`` or ``SettingsProblem`` if nothing can be read."""
    found = Ungraded()
    files = _source_files(place, found) if folder_files.is_folder(place) else _one_source_file(place)
    rows = _of_files(place, files, settings, usual, found) if files else _of_rows(place, settings, found)
    context = RowContext(settings.grading)
    lowest = grade_scale.written(settings.grading.minimum, settings.grading)
    for fields, where in rows:
        for name in FILLED_FIELDS:
            if not fields.get(name):
                fields[name] = usual.of(name, str(fields.get("kind") or ""))
        row = RawRow({**fields, "grade": lowest, "grades": None, "feedback": ""}, where)
        example = with_optional_fields(from_grading(row, context), row, context)
        found.candidates.append(Candidate(fields, replace(example, grade=None, completion="")))
    if not found.candidates and not found.left_out:
        raise bad(place, "holds nothing to grade.", "Name a folder of source files, or a file of rows.")
    return found


def _one_source_file(place: Path) -> list[Path]:
    return [place] if place.suffix.lower() in KINDS else []


def _source_files(folder: Path, found: Ungraded) -> list[Path]:
    """Return the source files below ``folder`` in the order of their names; links are not followed."""
    files: list[Path] = []
    for path in _walked(folder, found):
        if path.suffix.lower() in KINDS:
            files.append(path)
        if len(files) > _MOST_FILES:
            cure = "Name a smaller folder."
            raise bad(folder, f"holds more than {_MOST_FILES} source files.", cure)
    return files


def _walked(folder: Path, found: Ungraded) -> Iterator[Path]:
    with folder_files.read_clearly(folder):
        for place, names, files in os.walk(folder):
            skipped = [name for name in names if name in LIBRARY_FOLDERS]
            found.left_out["folders of libraries"] += len(skipped)
            names[:] = sorted(name for name in names if name not in LIBRARY_FOLDERS and not name.startswith("."))
            for name in sorted(files):
                path = Path(place) / name
                if not name.startswith(".") and not path.is_symlink():
                    yield path
    found.left_out += Counter()


def _of_files(
    place: Path, files: Sequence[Path], settings: Settings, usual: Usual, found: Ungraded
) -> Iterator[tuple[dict[str, Any], str]]:
    for path in files:
        text, why = _text(path, settings.data.max_line_bytes)
        if why:
            found.left_out[why] += 1
            continue
        # a name may hold bytes that are no text
        name = os.fsencode(path.relative_to(place) if path != place else path.name).decode("utf-8", "replace")
        yield {"id": name, "kind": usual.kind_of(path), "submission": text}, str(path)


def _text(path: Path, most_bytes: int) -> tuple[str, str]:
    """Return (text, "") or ("", why the file is left out)."""
    try:
        with os.fdopen(open_file(path), "rb") as file:
            content = file.read(most_bytes + 1)
    except OSError:
        return "", "files that cannot be read"
    if len(content) > most_bytes:
        return "", "files that are too long (data.max_line_bytes)"
    if b"\0" in content and not wide_encoding(content):
        return "", "files that are no text"
    try:
        text = marked_text(content)
    except UnicodeDecodeError:
        return "", "files that are not UTF-8"
    return (text, "") if text.strip() else ("", "empty files")


def _of_rows(place: Path, settings: Settings, found: Ungraded) -> Iterator[tuple[dict[str, Any], str]]:
    read = formats.read_split(place, settings.data)
    if read.problems:
        raise read.problems[0]
    rows = columns.renamed(read.rows, settings.data.columns)
    known = ("submission", "grade", "feedback", "kind", "id", *FILLED_FIELDS)
    if rows and (implied := columns.implied(rows[0].fields, known)):
        rows = columns.renamed(rows, implied)
    if rows and not any(row.fields.get("submission") for row in rows):
        proposed = columns.proposed({**rows[0].fields, "grade": 0})
        cure = "Rows to be graded have a submission, and may have id, kind, task and rubric."
        if proposed:
            cure += f" Write into config.toml, under [data]: {columns.as_setting(proposed)}."
        raise rows[0].bad("no row has a submission.", cure)
    found.notes += read.notes
    for row in rows:
        fields = {name: value for name, value in row.fields.items() if value is not None and name != "proposed"}
        submission = fields.get("submission")
        if not isinstance(submission, str) or not submission.strip():
            found.left_out["rows without a submission"] += 1
        elif any(not _is_blank(fields.pop(name, None)) for name in ("grade", "grades")):
            found.left_out["rows that have a grade already"] += 1
        else:
            fields.pop("feedback", None)
            for name, column in settings.data.columns.items():
                # its value is in the field; an empty column would be read over a grade that is filled in
                if name != column:
                    fields.pop(column, None)
            yield fields, row.where


def _is_blank(value: Any) -> bool:
    return value in (None, []) or (isinstance(value, str) and not value.strip())


def needs_grading_rows(schema: str, place: Path) -> None:
    """Raise ``DataProblem`` if the base set has rows of another form than those that are proposed."""
    if schema and schema != "grading":
        raise DataProblem(
            f"the base set has {schema} rows; proposed rows have submission and grade.",
            where=str(place),
            cure="Sets of one workspace have one form: bring the base set into that of submission, grade and feedback.",
        )

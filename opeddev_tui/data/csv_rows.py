"""Read CSV and TSV files as Excel, pandas and R write them, with the standard library under limits.

All values stay the texts that were written, also 007, NA and None.
"""

import csv
import io
import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from msgspec import Struct

from opeddev_tui.config import settings
from opeddev_tui.data.decoding import decode, open_data
from opeddev_tui.data.parsing import too_long
from opeddev_tui.data.raw_rows import FileRows, RawRow, bad
from opeddev_tui.text import clean_line

_TABBED = frozenset({".tsv", ".tab"})
_SEPARATORS = (",", ";", "\t", "|")
_STATED = re.compile(r'\A"?sep=(.)"?[;,\t]*\r?\n', re.IGNORECASE)
# a header that splits by comma into such names is taken as one with commas
_PLAIN_NAME = re.compile(r"[^\W\d][\w .-]{0,63}")
_RULE = re.compile(r"\s*(?::?-+:?)?\s*")
_LONGEST_NAME = 200
_CURE = "Put the column names in line 1, such as task,submission,rubric,grade,feedback."


class _Record(Struct, frozen=True):
    """The values of one line (or several, where a value holds line breaks)."""

    line: int
    values: list[str]


def read_csv(path: Path, settings: settings.Data) -> FileRows:
    """Return the rows below the header; the separator is stated by ``sep=`` or found in the header."""
    with open_data(path) as file:
        text = decode(file.read(), path)
    separator, text, first_line = _separator(text, path)
    found = FileRows()
    records = _records(text, separator, path, settings, found, first_line)
    if not records:
        return found
    if separator == "|":
        records = _without_rule(records)
    header, records = records[0], records[1:]
    _mind_lines_above(header, records, path)
    names = _header(header, path)
    if len(names) > 1 and records and all(len(record.values) == len(names) + 1 for record in records):
        # R's write.table leaves the column of row names without a name
        names = ["", *names]
    _add_rows(names, records, path, found)
    return found


def _separator(text: str, path: Path) -> tuple[str, str, int]:
    """Return the separator, the text from the header on, and the header's line."""
    if stated := _STATED.match(text):
        return stated[1], text[stated.end() :], 2
    if not _TABBED.isdisjoint(suffix.lower() for suffix in path.suffixes[-2:]):
        return "\t", text, 1
    line = text.lstrip("\r\n").partition("\n")[0]
    by_comma = _split(line, ",")
    if all(_PLAIN_NAME.fullmatch(name.strip()) for name in by_comma):
        return ",", text, 1
    # the first of several that split into equally many columns
    return max(_SEPARATORS, key=lambda separator: len(_split(line, separator))), text, 1


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _records(
    text: str, separator: str, path: Path, settings: settings.Data, found: FileRows, first_line: int
) -> list[_Record]:
    # the module's own limit is 131,072 characters a value, less than one style sheet
    csv.field_size_limit(settings.max_line_bytes)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[_Record] = []
    line = first_line
    try:
        for values in reader:
            # Excel keeps writing separators below and beside the last cell
            if any(value.strip() for value in values):
                records.append(_Record(line, values))
            line = first_line + reader.line_num
    except csv.Error as error:
        where, cure = f"{path}:{line}", "Close the quote, or double quotes inside a value."
        is_too_long = "field limit" in str(error)
        wrong = bad(where, f"is not valid CSV: {error}.", cure)
        found.problems.append(too_long(where, settings.max_line_bytes) if is_too_long else wrong)
    return records


def _without_rule(records: list[_Record]) -> list[_Record]:
    """Return the cells of a Markdown table without the rule below its header and the blanks around them."""
    if len(records) < 2 or not all(_RULE.fullmatch(value) for value in records[1].values):
        return records
    cells = [[value.strip() for value in record.values] for record in (records[0], *records[2:])]
    if all(len(row) > 2 and not row[0] and not row[-1] for row in cells):
        cells = [row[1:-1] for row in cells]
    lines = [records[0].line, *(record.line for record in records[2:])]
    return [_Record(line, row) for line, row in zip(lines, cells, strict=True)]


def _mind_lines_above(header: _Record, records: Sequence[_Record], path: Path) -> None:
    """Refuse in one sentence a table below a title or a line of its type, whose first line is no header."""
    below = {len(record.values) for record in records}
    # a single word may be a column's name above values that lack their quotes
    if len(header.values) == 1 and not header.values[0].strip().isidentifier() and len(below) == 1 and max(below) > 1:
        message = f"the line has 1 value, and all lines below have {max(below)}: it is no header of column names."
        raise bad(f"{path}:{header.line}", message, "Remove what stands above the column names.")


def _header(record: _Record, path: Path) -> list[str]:
    where = f"{path}:{record.line}"
    names = [" ".join(value.split()) for value in record.values]
    if any(_is_value(name) for name in names) or not any(names):
        raise bad(where, "has no header of column names.", _CURE)
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise bad(where, f'the header names "{clean_line(twice)}" twice.', "Give every column its own name.")
    return names


def _is_value(name: str) -> bool:
    """True if a name in the header looks like a value: a number, or too long for a name."""
    return len(name) > _LONGEST_NAME or re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?", name) is not None


def _add_rows(names: Sequence[str], records: Sequence[_Record], path: Path, found: FileRows) -> None:
    nameless: set[int] = set()
    for record in records:
        where, values = f"{path}:{record.line}", record.values
        while len(values) > len(names) and not values[-1].strip():
            values = values[:-1]
        if len(values) != len(names):
            message = f"the row has {len(values)} values, the header {len(names)}."
            found.problems.append(bad(where, message, "Quote values that hold separators or line breaks."))
            continue
        pairs = list(zip_longest(names, values, fillvalue=""))
        # the first column without a name is a table's own numbering
        nameless |= {place for place, (name, value) in enumerate(pairs) if place and not name and value.strip()}
        found.rows.append(RawRow({name: value for name, value in pairs if name}, where))
    if nameless:
        columns = ", ".join(str(place + 1) for place in sorted(nameless))
        found.notes.append(f"{path}: column {columns} has no name in the header and is not read.")

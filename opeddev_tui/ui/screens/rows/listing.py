"""Rows as lines: their cells for a width, their orders, and what a search is held against. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from rich.cells import cell_len

from opeddev_tui.analysis.row_records import RowRecord
from opeddev_tui.analysis.run_filter import Facts, Filter, Value
from opeddev_tui.data.rows import Example
from opeddev_tui.format import number
from opeddev_tui.text import clean_line
from opeddev_tui.ui.tasks.lists import Listed
from opeddev_tui.ui.tasks.lists import Value as Written
from opeddev_tui.ui.tasks.rows import RowSet
from opeddev_tui.ui.widgets.tables import GAP, fit

_NOTHING = RowRecord()
# of a long text only the beginning is shown in a line; cleaning all of it would take long
_SHOWN = 400
# cells of the column of ids where the screen has so many
_LONG_ID, _WIDE = 16, 110
_BETWEEN = " " * GAP
# what a search may name, with one value of its kind each
KNOWN: Mapping[str, Value] = {
    "loss": 0.0, "grade": 0, "read": 0, "off": 0.0, "length": 0, "weight": 1.0, "row": 1, "kind": "", "group": "",
    "id": "", "where": "", "rater": "", "corrected": False, "graded": False,
}  # fmt: skip


class Column(Struct, frozen=True):
    """A column: title, width, its cell of a row, and the width of the screen from which on it is shown."""

    title: str
    width: int
    cell: Callable[[RowSet, int], str]
    right: bool = False
    least: int = 0


def record(rows: RowSet, at: int) -> RowRecord:
    """Return what is known of a row."""
    return rows.records.get(at, _NOTHING)


def label(rows: RowSet, grade: int | None, lowest: int) -> str:
    """Return a grade as the scale writes it."""
    place = (grade - lowest) if grade is not None else -1
    return rows.labels[place] if 0 <= place < len(rows.labels) else "" if grade is None else str(grade)


def asked(example: Example) -> str:
    """Return the last question of a row, which begins with the task where it has one, else its text."""
    last = next((turn.content for turn in reversed(example.prompt) if turn.role == "user"), "")
    return last or example.submission or example.completion


def columns(lowest: int) -> tuple[Column, ...]:
    """Return all columns; ``lowest`` is the lowest grade of the scale."""

    def disagreement(rows: RowSet, at: int) -> str:
        found = record(rows, at).disagreement(rows.examples[at])
        return "" if found is None else f"{found:.2f}" if found != int(found) else f"{found:.0f}"

    return (
        Column("row", 6, lambda _rows, at: str(at + 1), right=True),
        Column("id", 12, lambda rows, at: rows.examples[at].id),
        Column("kind", 6, lambda rows, at: rows.examples[at].kind, least=60),
        Column("group", 10, lambda rows, at: rows.examples[at].group, least=140),
        Column("grade", 5, lambda rows, at: label(rows, rows.examples[at].grade, lowest), right=True),
        Column("read", 4, lambda rows, at: _read(rows, at, lowest), right=True),
        Column("off", 5, disagreement, right=True),
        Column(
            "loss", 6, lambda rows, at: number(record(rows, at).loss) if record(rows, at).losses else "", right=True
        ),
        Column("chars", 7, lambda rows, at: f"{length(rows.examples[at]):,}", right=True, least=100),
    )


def _read(rows: RowSet, at: int, lowest: int) -> str:
    known = record(rows, at)
    return "?" if known.grades and known.read is None else label(rows, known.read, lowest)


def length(example: Example) -> int:
    """Return the characters of prompt and completion."""
    return sum(len(turn.content) for turn in example.prompt) + len(example.completion)


def _filled(rows: RowSet) -> dict[str, bool]:
    """Return whether any row of a set has a value, by the titles of the columns that may be empty."""
    known = rows.records
    return {
        "kind": any(example.kind for example in rows.examples),
        "group": any(example.group for example in rows.examples),
        "grade": any(example.grade is not None for example in rows.examples),
        "read": any(item.read is not None or item.grades for item in known.values()),
        "off": any(item.disagreement(rows.examples[at]) is not None for at, item in known.items()),
        "loss": any(item.losses for item in known.values()),
    }


def columns_of(rows: RowSet, lowest: int) -> tuple[Column, ...]:
    """Return the columns that have something to show of a set: empty ones would take room from what was asked."""
    filled = _filled(rows)
    return tuple(column for column in columns(lowest) if filled.get(column.title, True))


def orders_of(rows: RowSet) -> list[str]:
    """Return the names of the orders that a set can have: an order by what no row has would be that of the files."""
    filled = _filled(rows)
    return [name for name in ORDERS if filled.get(_ORDERED_BY.get(name, ""), True)]


def fitting(every: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that lines of ``width`` cells have room for."""
    found = [column for column in every if width >= column.least]
    return [replace(column, width=_LONG_ID) if column.title == "id" and width >= _WIDE else column for column in found]


def heading(shown: Sequence[Column]) -> str:
    """Return the titles over the lines."""
    titles = [fit(column.title, column.width, right=column.right) for column in shown]
    return " " + _BETWEEN.join([*titles, "what was asked"])


def line(rows: RowSet, at: int, shown: Sequence[Column], width: int) -> str:
    """Return a row as one line of ``width`` cells."""
    cells = [fit(clean_line(column.cell(rows, at), max_chars=60), column.width, right=column.right) for column in shown]
    room = max(8, width - 2 - sum(column.width + GAP for column in shown))
    # line breaks as blanks: their signs would stand for much of what is asked
    text = clean_line(" ".join(asked(rows.examples[at])[:_SHOWN].split()))
    return _BETWEEN.join([*cells, text if cell_len(text) <= room else fit(text, room)])


# name: what comes first, the order that is wanted most before others; numbers that are not known come last
ORDERS: Mapping[str, Callable[[RowSet, int], tuple[object, ...]]] = {
    "as in the files": lambda _rows, at: (at,),
    "most disagreement first": lambda rows, at: (
        -(record(rows, at).disagreement(rows.examples[at]) or 0.0),
        -record(rows, at).surprise,
        at,
    ),
    "highest loss first": lambda rows, at: (-(record(rows, at).loss or 0.0), at),
    "lowest grade first": lambda rows, at: (_or_last(rows.examples[at].grade), at),
    "longest first": lambda rows, at: (-length(rows.examples[at]), at),
    "by group": lambda rows, at: (rows.examples[at].group == "", rows.examples[at].group, at),
    "by kind": lambda rows, at: (rows.examples[at].kind == "", rows.examples[at].kind, at),
}
# the column that an order needs
_ORDERED_BY = {"most disagreement first": "off", "highest loss first": "loss", "lowest grade first": "grade",
               "by group": "group", "by kind": "kind"}  # fmt: skip


def _or_last(value: int | None) -> float:
    return float("inf") if value is None else float(value)


def arranged(rows: RowSet, order: str, chosen: Filter, lowest: int) -> list[int]:
    """Return the indices of the rows that pass, in an order."""
    places = range(len(rows.examples))
    passing = [at for at in places if chosen.passes(facts(rows, at, lowest))] if chosen.alternatives else list(places)
    if order == next(iter(ORDERS)):
        return passing
    key = ORDERS[order]
    return sorted(passing, key=lambda at: key(rows, at))


def facts(rows: RowSet, at: int, lowest: int) -> Facts:
    """Return what a search is held against: the values of a row, and all its texts."""
    example, known = rows.examples[at], record(rows, at)
    values: dict[str, Value] = {
        "row": at + 1, "kind": example.kind, "group": example.group, "id": example.id, "where": example.where,
        "rater": example.rater, "weight": example.weight, "length": length(example), "corrected": example.settled,
        "graded": example.grade is not None,
    }  # fmt: skip
    if example.grade is not None:
        values["grade"] = _number(label(rows, example.grade, lowest))
    if known.read is not None:
        values["read"] = _number(label(rows, known.read, lowest))
    if known.loss is not None:
        values["loss"] = known.loss
    if (off := known.disagreement(example)) is not None:
        values["off"] = off
    texts = [turn.content for turn in example.prompt]
    return Facts(values, "\n".join([example.id, example.kind, example.group, *texts, example.completion]))


def _number(written: str) -> Value:
    try:
        return float(written)
    except ValueError:
        return written


def known_names(rows: RowSet) -> dict[str, Value]:
    """Return a value of every name that a search may use; grades are texts on a scale of letters."""
    first = _number(rows.labels[0]) if rows.labels else 0
    return {**KNOWN, "grade": first, "read": first}


_WRITTEN = (
    *("set", "row", "id", "where", "kind", "group", "rater", "grade", "read", "off", "loss", "weight", "corrected"),
    *("asked", "answer"),
)


def listed(rows: RowSet, chosen: Sequence[int], lowest: int) -> Listed:
    """Return the rows ``chosen`` as they are written to a file."""

    def values(at: int) -> tuple[Written, ...]:
        example, known = rows.examples[at], record(rows, at)
        return (
            rows.name, at + 1, example.id, example.where, example.kind, example.group, example.rater,
            label(rows, example.grade, lowest), _read(rows, at, lowest), known.disagreement(example), known.loss,
            example.weight, example.settled, asked(example), example.completion,
        )  # fmt: skip

    return Listed(_WRITTEN, [values(at) for at in chosen])

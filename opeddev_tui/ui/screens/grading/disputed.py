"""The list of disputed and corrected rows: its lines, and the sentence above it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.tasks.disputes import Dispute
from opeddev_tui.ui.tasks.grading import Row, Rows
from opeddev_tui.ui.widgets.grid import Cell

# a column that is wide from the start need not grow when a row is graded again
TITLES = ("row", "kind", "given", "head", "surprise", "now        ", "set")
NUMBERS = ("given", "head", "surprise")
_NAME = 28


def lines(disputed: Sequence[Dispute], rows: Rows | None) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return (key, cells) per row: the disputed ones, most disputed first, then others that a person has graded."""
    known = rows.rows if rows is not None else {}
    found = [(item.key, _cells(known.get(item.key), item)) for item in disputed]
    listed = {item.key for item in disputed}
    return found + [(key, _cells(row, None)) for key, row in known.items() if row.settled and key not in listed]


def searched(
    listed: Sequence[tuple[str, tuple[Cell, ...]]], rows: Rows | None, text: str
) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return those of ``listed`` with ``text``, in any case, in a cell, the prompt, the submission or the answer."""
    wanted = text.strip().casefold()
    if not wanted:
        return list(listed)
    known = rows.rows if rows is not None else {}
    return [(key, cells) for key, cells in listed if wanted in _words(cells, known.get(key)).casefold()]


def _words(cells: tuple[Cell, ...], row: Row | None) -> str:
    shown = [cell if isinstance(cell, str) else cell[0] for cell in cells]
    return "\n".join([*shown, *((row.prompt, row.submission or "", row.completion) if row is not None else ())])


def _cells(row: Row | None, dispute: Dispute | None) -> tuple[Cell, ...]:
    name = row.id or row.where.rpartition("/")[2] if row is not None else dispute.id or dispute.key if dispute else ""
    given = row.own if row is not None else dispute.given if dispute is not None else ""
    head, surprise = (dispute.graded, f"{dispute.surprise:.2f}") if dispute is not None else ("", "")
    now: Cell = ""
    if row is not None and row.settled:
        now = ("✓ confirmed" if row.now == row.own else f"→ {clean_line(row.now)}", "bold")
    of = row.set if row is not None else dispute.set if dispute is not None else ""
    kind = row.kind if row is not None else ""
    return clean_line(name, max_chars=_NAME), clean_line(kind, max_chars=8), given, head, surprise, now, of


def about(
    disputed: Sequence[Dispute] | None, shown: int, rows: Rows | None, working: str, cannot: str, doubt: str
) -> str:
    """Return the sentence above the list: what is done now, what is shown, or how rows come here.

    The first ``shown`` of ``disputed`` are listed. ``doubt`` says why they are little evidence, and comes first.
    """
    corrected = [row for row in rows.rows.values() if row.settled] if rows is not None else []
    unmatched = [clean_line(sentence) for sentence in rows.unmatched[:2]] if rows is not None else []
    told = f"{plural(len(corrected), 'row')} graded again by a person" if corrected else ""
    if working:
        return f"{working} …"
    if disputed is None:
        how = (
            cannot
            or "{grading.disputed} finds the training rows whose grade the head disputes: the base model is read once."
        )
        if rows is not None and rows.recorded:
            rest = cannot or "{grading.disputed} finds all of them."
            how = f"{doubt} The race's {plural(len(rows.recorded), 'most disputed row')}. {rest}".lstrip()
        return " · ".join(filter(None, [how, told, *unmatched]))
    if not disputed:
        return " · ".join(filter(None, ["No grade is disputed.", told, *unmatched]))
    open_rows = sum(1 for item in disputed[:shown] if rows is None or not _is_settled(rows, item))
    count = plural(open_rows, "disputed row")
    if shown < len(disputed):
        count = f"The {plural(open_rows, 'most disputed row')} of {len(disputed):,}"
    how = f"{doubt} {count}: questions, not errors. {{grading.read}} reads one".lstrip()
    rest = "the others are less often wrong, {grading.all} lists all" if shown < len(disputed) else ""
    return " · ".join(filter(None, [how, rest, told, *unmatched]))


def _is_settled(rows: Rows, item: Dispute) -> bool:
    row = rows.rows.get(item.key)
    return row is not None and row.settled

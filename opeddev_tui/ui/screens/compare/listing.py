"""The list below an overlay, which is its legend: mark, what tells a run from the others, its values. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from textual.content import Content

from opeddev_tui.format import number, plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.plots.overlay import MARKS, MEASURES, Line, Measure, OverlayLook
from opeddev_tui.ui.state.situation import MARKS as STATES
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.widgets.grid import Cell
from opeddev_tui.ui.widgets.query_box import heading
from opeddev_tui.ui.widgets.tables import cut

TITLES = ("", "value", "what differs", "best loss", "state", "run")
NUMBERS = ("value", "best loss")
_VALUE = 10


class Compared(Struct, frozen=True):
    """A listed run: ``line`` is None where it is not drawn, ``value`` that at the cursor, None where it has none."""

    row: RunRow
    mark: str
    line: Line | None
    told: str
    value: float | None
    # scored on another hold-out than the newest run
    other_rows: bool = False


def lines(compared: Sequence[Compared], measure: Measure, width: int) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return (key, cells) per run; ``width`` says how much room the words have."""
    longest = max(12, *(len(item.told) for item in compared)) if compared else 12
    # in a narrow terminal the state and the name of the run stand right of what is in view, unless both fit
    room = width - 46 if width >= 100 or longest + 46 <= width else width - 31
    room = max(16, min(room, longest) if room == width - 46 else room)
    return [(item.row.run, _cells(item, measure, room)) for item in compared]


def _cells(item: Compared, measure: Measure, room: int) -> tuple[Cell, ...]:
    state, line = item.row.state, item.line
    mark: Cell = (f"─{item.mark}─", line.colour) if line is not None else ("   ", "")
    value = measure.write(item.value) if item.value is not None else "–"
    value += "†" if item.other_rows and measure.scored else ""
    best = state.best_epoch()
    loss = number(state.epochs[best].val_loss, 4) if best is not None else "–"
    status = f"{STATES.get(item.row.status, ' ')} {item.row.status}"
    told = cut(clean_line(item.told), room) or "the same settings"
    return mark, f"{value:>{_VALUE}}", told.ljust(room), loss, status, item.row.run


def about(compared: Sequence[Compared], drawn: int, everyone: int, look: OverlayLook, filter_text: str) -> Content:
    """Return the line above the picture: how many runs, what is compared, where the cursor stands."""
    count = f"{drawn} of {plural(everyone, 'run')} drawn"
    if len(compared) > len(MARKS):
        count += f" (of the first {len(MARKS)})"
    parts = [count, f"value: {MEASURES[look.measure].title}"]
    if look.cursor is not None:
        parts.append(f"at optimizer step {look.cursor:,.0f}" if look.by_step else f"at epoch {look.cursor:.2f}")
    if not compared:
        parts.append("no run passes the filter" if filter_text.strip() else "no runs yet")
    if MEASURES[look.measure].scored and any(item.other_rows for item in compared):
        parts.append("† another hold-out: not comparable")
    return heading(parts, filter_text)

"""The list of graded submissions: its lines, its orders, what a search finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.serving.worker_messages import Answered
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.grader.answer_text import name_of
from opeddev_tui.ui.widgets.bars import keymap_in
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Cell, Grid

TITLES = ("submission", "grade", "ask", "sure", "expected", "person", "failed")
# in the third place where two checkpoints grade
_BESIDE = "beside"
_NUMBERS = ("grade", "sure", "expected")
ORDERS = ("as they came", "those for a person first", "lowest grade first", "least sure first", "by name")
_NAME = 44
# rows that are shown at most: a search narrows them
MOST_SHOWN = 2000


class GradedList(Vertical):
    """The list with its search and its order. ``search`` and ``order`` say what is shown."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = Content("List")
        self.search, self.order = "", 0
        # the folder that all names begin with
        self.below = ""

    def compose(self) -> Iterable[Widget]:
        """Make the sentence, the search and the table."""
        yield Static(markup=False, id="about", classes="hint")
        yield FilterBox("a name, ask, an area, a word of the code", "#rows")
        yield Grid(TITLES, id="rows", enter="read", right=_NUMBERS, gives={"failed": 12, "submission": 20})

    def show(
        self, answers: Mapping[int, Answered], beside: Mapping[int, Answered], corrected: Callable[[Answered], str]
    ) -> None:
        """Show ``answers``."""
        marks = {number: corrected(answer) for number, answer in answers.items()}
        rows = lines(answers, beside, marks, order=self.order, search=self.search, below=self.below)
        self.query_one(Grid).retitle(titles(bool(beside)), rows[:MOST_SHOWN])
        asks = sum(answer.graded.ask for answer in answers.values())
        found = f"{len(rows):,} of {len(answers):,} found" if self.search else f"{len(rows):,} graded"
        search = keymap_in(self).first("grader.search")
        cut = [f"the first {MOST_SHOWN:,} are shown: {search} searches"] if len(rows) > MOST_SHOWN else []
        words = [found, f"{asks:,} for a person", ORDERS[self.order], *cut]
        self.query_one("#about", Static).update(Content(" · ".join(words)))

    def next_order(self) -> None:
        """Order the list in another way."""
        self.order = (self.order + 1) % len(ORDERS)

    @property
    def selected(self) -> int | None:
        """The number of the selected answer."""
        key = self.query_one(Grid).selected
        return int(key) if key else None

    def move(self, step: int) -> int | None:
        """Select the next row and return its number."""
        grid = self.query_one(Grid)
        grid.move_cursor(row=max(0, min(grid.row_count - 1, grid.cursor_row + step)))
        return self.selected


def lines(
    answers: Mapping[int, Answered],
    beside: Mapping[int, Answered],
    corrected: Mapping[int, str],
    *,
    order: int,
    search: str,
    below: str = "",
) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return (number, cells) of the answers that contain ``search``, in the order ``ORDERS[order]``.

    Names are shown without the folder ``below``, which all of them have.
    """
    wanted = search.strip().casefold()
    rows = [
        (item, _cells(item, beside.get(number), corrected.get(number, ""), below, two=bool(beside)))
        for number, item in answers.items()
    ]
    if wanted:
        rows = [row for row in rows if wanted in _searched(row[0])]
    rows.sort(key=lambda row: _KEYS[order % len(_KEYS)](row[0]))
    return [(str(item.number), cells) for item, cells in rows]


def titles(two: bool) -> tuple[str, ...]:
    """Return the titles of the columns; ``two``: a second checkpoint grades beside the first."""
    return (*TITLES[:2], _BESIDE, *TITLES[2:]) if two else TITLES


def _cells(item: Answered, beside: Answered | None, corrected: str, below: str, *, two: bool) -> tuple[Cell, ...]:
    graded = item.graded
    failed = [name for name, area in graded.criteria.items() if not area.passed]
    other = "" if beside is None else beside.graded.grade or "–"
    return (
        _tail(name_of(item).removeprefix(below)),
        (clean_line(graded.grade or "–"), "bold"),
        *([clean_line(other) + (" ≠" if other and other != (graded.grade or "–") else "")] if two else []),
        "ask" if graded.ask else "",
        "–" if graded.confidence is None else f"{graded.confidence:.2f}",
        "–" if graded.expected is None else f"{graded.expected:.2f}",
        f"→ {clean_line(corrected)}" if corrected else "",
        clean_line(item.problem or ", ".join(failed), max_chars=60),
    )


def _tail(text: str) -> str:
    """Return the end of a long path: it tells more than its beginning."""
    return text if len(text) <= _NAME else f"…{text[-(_NAME - 1) :]}"


def _searched(item: Answered) -> str:
    graded = item.graded
    parts = [name_of(item), graded.grade or "", "ask" if graded.ask else "", item.problem]
    parts += [name for name, area in graded.criteria.items() if not area.passed]
    return " ".join([*parts, str(item.fields.get("kind") or ""), str(item.fields.get("submission") or "")]).casefold()


def _grade_of(item: Answered) -> float:
    return item.graded.expected if item.graded.expected is not None else float("inf")


def _sure_of(item: Answered) -> float:
    return item.graded.confidence if item.graded.confidence is not None else -1.0


_KEYS: tuple[Callable[[Answered], tuple[object, ...]], ...] = (
    lambda item: (item.number,),
    lambda item: (not item.graded.ask, item.number),
    lambda item: (_grade_of(item), item.number),
    lambda item: (_sure_of(item), item.number),
    lambda item: (name_of(item), item.number),
)

"""What is known of disputed and corrected rows, and what keys do with them, through the tasks of the grading screen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from opeddev_tui.data.grade_scale import written
from opeddev_tui.runs.grade_words import worth_reading
from opeddev_tui.ui.screens.grading import disputed as listing
from opeddev_tui.ui.screens.grading.regrade import RegradeScreen, Wish, note_about
from opeddev_tui.ui.tasks.disputes import Dispute
from opeddev_tui.ui.tasks.grading import Changed, GradingTasks, Row, Rows

if TYPE_CHECKING:
    from opeddev_tui.ui.shell import Shell

_BUSY = (
    "A training runs here; the model would be loaded beside it. Afterwards {grading.disputed} finds the disputed rows."
)
_READ_ONLY = "This is read only: no model is read and nothing is written."
_READING = "The rows are still being read; try again in a moment."
_GONE = "This row is not among the rows any more."
_NO_WORKSPACE = "There is no workspace here."


class Shows(Protocol):
    """The screen, as far as this knows it."""

    @property
    def shell(self) -> Shell: ...
    @property
    def can_be_drawn(self) -> bool: ...
    def show_rows(self) -> None: ...
    def go_to_first_row(self) -> None: ...


class Corrections:
    """Disputed rows, None until they were looked for, and all graded rows, None until they are read."""

    def __init__(self, screen: Shows, tasks: GradingTasks) -> None:
        self._screen, self._tasks = screen, tasks
        self.disputed: tuple[Dispute, ...] | None = None
        self.rows: Rows | None = None
        # whether all disputed rows are listed, not only those worth reading
        self.every = False
        self._working = ""
        self._reading = False
        # whether a row was graded since the reading that goes on began: it may not have seen that
        self._overtaken = False
        # rows as they were graded before that was undone
        self._undone: dict[str, Row] = {}

    @property
    def people(self) -> str:
        """How far people agree on rows with several grades, empty where there are none."""
        return self.rows.people if self.rows is not None else ""

    def about(self, doubt: str) -> str:
        """Return the sentence above the list; ``doubt`` says why what the head disputes is little evidence."""
        shown = len(self.listed if self.every else self.worth)
        text = listing.about(self.disputed, shown, self.rows, self._working, self._cannot_find(), doubt)
        return self._screen.shell.session.keymap.text(text)

    @property
    def listed(self) -> tuple[Dispute, ...]:
        """The disputed rows that were found, else those of the newest race."""
        if self.disputed is not None:
            return self.disputed
        return self.rows.recorded if self.rows is not None else ()

    @property
    def worth(self) -> tuple[Dispute, ...]:
        """Those of the listed rows that are worth reading: the most disputed ones."""
        return self.listed[: worth_reading(self.rows.training if self.rows is not None else 0)]

    def show_every(self) -> None:
        """List all disputed rows, or only those that are worth reading."""
        self.every = not self.every
        self._show()

    def _cannot_find(self) -> str:
        session = self._screen.shell.session
        if not session.has_workspace:
            return _NO_WORKSPACE
        if session.read_only:
            return _READ_ONLY
        return _BUSY if session.trained_by != "none" else ""

    # --- reading

    def read(self) -> None:
        """Read all rows with their corrections."""
        if self._screen.shell.session.has_workspace and not self._reading:
            self._reading, self._overtaken = True, False
            self._tasks.rows(self._take_rows, self._rows_ended)

    def _rows_ended(self) -> None:
        self._reading = False
        if self._overtaken:
            self.read()

    def _take_rows(self, rows: Rows) -> None:
        if not self._overtaken:
            self.rows = rows
            self._show()

    def find(self) -> None:
        """Find the disputed rows, unless that is going on."""
        if self._working:
            return
        if cannot := self._cannot_find():
            self._screen.shell.tell(cannot, severity="warning")
            return
        self._progress("starting")
        self._tasks.disputed(self._progress, self.take_disputed, self._ended)

    def _progress(self, words: str) -> None:
        self._working = words
        self._show()

    def _ended(self) -> None:
        self._progress("")

    def take_disputed(self, disputed: tuple[Dispute, ...]) -> None:
        """Show ``disputed``, most disputed first."""
        self.disputed = disputed
        self.read()
        self._show()
        if self._screen.can_be_drawn:
            self._screen.go_to_first_row()

    def _show(self) -> None:
        if self._screen.can_be_drawn:
            self._screen.show_rows()

    # --- correcting

    def open(self, key: str) -> None:
        """Show the row ``key`` and do what is wished then."""
        row = self.rows.rows.get(key) if self.rows is not None else None
        shell = self._screen.shell
        if row is None:
            # keys of an impatient hand: the list of the race is there before the rows are
            if key:
                shell.tell(_READING if self.rows is None else _GONE)
            return
        grading = shell.loaded.settings.grading
        labels = [written(grade, grading) for grade in range(grading.minimum, grading.maximum + 1)]
        dispute = next((item for item in self.listed if item.key == key), None)

        def take(wish: Wish | None) -> None:
            if wish is not None:
                self._do(row, wish)

        session = shell.session
        shell.push_screen(RegradeScreen(row, dispute, labels, session.keymap, read_only=session.read_only), take)

    def undo(self, key: str) -> None:
        """Undo the correction of the row ``key``."""
        row = self.rows.rows.get(key) if self.rows is not None else None
        if row is not None:
            self._do(row, Wish(undo=True))

    def _do(self, row: Row, wish: Wish) -> None:
        shell = self._screen.shell
        if shell.session.read_only:
            shell.tell(_READ_ONLY, severity="warning")
        elif not wish.undo:
            self._tasks.regrade(row, wish.grade, wish.note, partial(self._given, row))
        elif row.settled:
            self._tasks.undo(row, partial(self._taken_back, row))
        elif (before := self._undone.get(row.key)) is not None:
            self._tasks.regrade(row, before.now, before.note, self._changed)
        else:
            shell.tell("This row has the grade of your file: there is nothing to undo.")

    def _given(self, row: Row, changed: Changed) -> None:
        """Show that a grade was given; its note is kept with it."""
        self._screen.shell.session.drafts.pop(note_about(row.key), None)
        self._changed(changed)

    def _taken_back(self, row: Row, changed: Changed) -> None:
        """Show that the correction of ``row``, as it was, is undone, and say how it comes back."""
        self._undone[row.key] = row
        again = self._screen.shell.session.keymap.text("{grading.undo} gives it yours again.")
        self._changed(replace(changed, words=f"{changed.words} {again}"))

    def _changed(self, changed: Changed) -> None:
        shell = self._screen.shell
        self._overtaken = self._reading
        shell.tell(changed.words)
        if changed.warning:
            shell.tell(changed.warning, severity="warning")
        if changed.row is not None and self.rows is not None:
            self.rows = replace(self.rows, rows=self.rows.rows | {changed.row.key: changed.row})
        self._show()
        # sets and figures are counted again with the new grades
        shell.disk.refresh()

"""The dialog for which checkpoint grades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from opeddev_tui.checkpoints.catalog import CheckpointList, Entry
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.checkpoints.listing import short
from opeddev_tui.ui.screens.grader.desk import Desk
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.grid import Cell, Grid

NONE = "none"
_KEYS = "Enter chooses, Esc cancels"
_READING = "reading the checkpoints … · "
_NAMED = (
    ("best", "the newest run's best"),
    ("latest", "the newest"),
    ("base", "the base model and its newest head"),
)


class ChooseCheckpoint(Dialog[str]):
    """A list of checkpoints; its result is one as --from takes it, or ``NONE`` for no second one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]
    CSS = "ChooseCheckpoint .dialog { max-width: 110; height: 80%; } ChooseCheckpoint Grid { height: 1fr; }"

    def __init__(self, *, beside: bool) -> None:
        super().__init__()
        self._beside = beside
        self._entries: Sequence[Entry] | None = None

    def compose(self) -> ComposeResult:
        """Make the list."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Beside" if self._beside else "Checkpoint"
            box.border_subtitle = f"{_READING}{_KEYS}"
            titles = ("checkpoint", "hold-out", "what", "note")
            yield Grid(titles, id="choices", enter="take", right=("hold-out",), gives={"note": 12, "what": 24})

    def on_mount(self) -> None:
        """Begin with what needs no reading."""
        self._fill()
        self.query_one(Grid).focus()

    def take_entries(self, entries: Sequence[Entry]) -> None:
        """Add ``entries``, once they are read."""
        self._entries = entries
        if self.is_attached:
            self._fill()

    def _fill(self) -> None:
        """Fill the list, the newest first."""
        named = [(name, (name, "", words, "")) for name, words in _NAMED]
        none = [(NONE, ("none", "", "one checkpoint alone", ""))] if self._beside else []
        entries = self._entries
        every = [(entry.name, _cells(entry)) for entry in reversed(entries or ()) if entry.published]
        self.query_one(Grid).fill([*none, *named, *every])
        self.query_one(".dialog").border_subtitle = f"{'' if entries is not None else _READING}{_KEYS}"

    def action_take(self) -> None:
        """Close with the selected one."""
        self.dismiss(self.query_one(Grid).selected or None)


def ask_checkpoint(shell: Shell, desk: Desk, place: int) -> Callable[[CheckpointList], None]:
    """Ask which checkpoint grades at ``place`` of ``desk``, 0 the first and 1 the one beside it.

    The question opens at once, so that keys typed ahead go to it; what is returned takes the checkpoints once read.
    """

    def take(source: str | None) -> None:
        if source == NONE:
            desk.alone()
        elif source:
            desk.choose(place, source)

    screen = ChooseCheckpoint(beside=place > 0)
    shell.push_screen(screen, take)
    return lambda found: screen.take_entries(found.entries)


def _cells(entry: Entry) -> tuple[Cell, ...]:
    loss = "–" if entry.val_loss is None else f"{entry.val_loss:.4f}"
    told = ", ".join([*entry.marks, "head" if entry.grades_with else "no head"])
    return clean_line(short(entry)), loss, told, clean_line(entry.note, max_chars=40)

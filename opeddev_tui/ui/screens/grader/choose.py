"""The dialog for which checkpoint grades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.checkpoints.listing import short
from opeddev_tui.ui.screens.grader.desk import Desk
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.grid import Cell, Grid

NONE = "none"
_NAMED = (
    ("best", "the newest run's best"),
    ("latest", "the newest"),
    ("base", "the base model and its newest head"),
)


class ChooseCheckpoint(Dialog[str]):
    """A list of checkpoints; its result is one as --from takes it, or ``NONE`` for no second one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]
    CSS = "ChooseCheckpoint .dialog { max-width: 110; height: 80%; } ChooseCheckpoint Grid { height: 1fr; }"

    def __init__(self, entries: Sequence[Entry], *, beside: bool) -> None:
        super().__init__()
        self._entries, self._beside = entries, beside

    def compose(self) -> ComposeResult:
        """Make the list."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Beside" if self._beside else "Checkpoint"
            box.border_subtitle = "Enter chooses, Esc cancels"
            titles = ("checkpoint", "hold-out", "what", "note")
            yield Grid(titles, id="choices", enter="take", right=("hold-out",), gives={"note": 12, "what": 24})

    def on_mount(self) -> None:
        """Fill the list, the newest first."""
        named = [(name, (name, "", words, "")) for name, words in _NAMED]
        none = [(NONE, ("none", "", "one checkpoint alone", ""))] if self._beside else []
        every = [(entry.name, _cells(entry)) for entry in reversed(self._entries) if entry.published]
        self.query_one(Grid).fill([*none, *named, *every])
        self.query_one(Grid).focus()

    def action_take(self) -> None:
        """Close with the selected one."""
        self.dismiss(self.query_one(Grid).selected or None)


def ask_checkpoint(shell: Shell, desk: Desk, entries: Sequence[Entry], place: int) -> None:
    """Ask which checkpoint grades at ``place`` of ``desk``, 0 the first and 1 the one beside it."""

    def take(source: str | None) -> None:
        if source == NONE:
            desk.alone()
        elif source:
            desk.choose(place, source)

    shell.push_screen(ChooseCheckpoint(entries, beside=place > 0), take)


def _cells(entry: Entry) -> tuple[Cell, ...]:
    loss = "–" if entry.val_loss is None else f"{entry.val_loss:.4f}"
    told = ", ".join([*entry.marks, "head" if entry.grades_with else "no head"])
    return clean_line(short(entry)), loss, told, clean_line(entry.note, max_chars=40)

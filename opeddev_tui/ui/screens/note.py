"""Owns writing a text: an observation on a run, or a prompt of one's own; a line or a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from opeddev_tui.editor import being_edited, editor_command, written
from opeddev_tui.errors import Problem
from opeddev_tui.events import Annotated
from opeddev_tui.state import RunState
from opeddev_tui.text import clean_line
from opeddev_tui.ui.driver import DetachableDriver
from opeddev_tui.ui.keys import NOTE, bindings
from opeddev_tui.ui.recording import Recorder

_NOT_HERE = (
    "An editor opens only in the terminal that the app was started in. Write here, or in another one: opeddev-tui note"
)

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp


class NoteScreen(ModalScreen[str]):
    """A text area over the screen. Its result is the text, empty where nothing was kept."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(NOTE, priority=[key.keys for key in NOTE])
    CSS = "NoteScreen TextArea { height: 9; border: none; padding: 0 1; } NoteScreen .hint { padding: 0 1; }"

    def __init__(self, title: str, question: str, text: str = "") -> None:
        super().__init__()
        self._title, self._question, self._start = title, question, text

    def compose(self) -> ComposeResult:
        """Make the question and the text area."""
        with Vertical(classes="dialog", id="note") as box:
            box.border_title = Content(clean_line(self._title))
            yield Static(Content(self._question), markup=False, classes="hint")
            yield TextArea(self._start, soft_wrap=True, show_line_numbers=False, id="words")
            keys = [(key.display, key.label) for key in NOTE]
            parts = [
                Content.styled(shown, "bold $accent") + Content.styled(f" {word}", "$muted") for shown, word in keys
            ]
            yield Static(Content("   ").join(parts), markup=False, classes="hint")

    def on_mount(self) -> None:
        """Write at once, after what is there."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_keep(self) -> None:
        """Close with the text."""
        self.dismiss(self.query_one(TextArea).text.strip())

    def action_drop(self) -> None:
        """Close without one."""
        self.dismiss("")

    def action_editor(self) -> None:
        """Write in $EDITOR, with the terminal lent to it; the app and the training go on meanwhile."""
        self.run_worker(self._edit(), exclusive=True, exit_on_error=False)

    async def _edit(self) -> None:
        area = self.query_one(TextArea)
        driver = self.app._driver
        try:
            with being_edited(area.text) as path:
                if isinstance(driver, DetachableDriver) and await driver.lend(editor_command(path)):
                    area.text = written(path).rstrip("\n")
                    area.move_cursor(area.document.end)
                else:
                    self.notify(_NOT_HERE, markup=False, severity="warning")
        except Problem as problem:
            self.notify(str(problem), markup=False, severity="error")


def ask_note(boss: OpeddevApp, run: str, state: RunState, *, stopped: bool = False) -> None:
    """Ask for an observation on the newest epoch of ``run`` and keep it."""
    started = state.started
    if started is None or boss.session.read_only:
        boss.tell("There is no run to write about." if started is None else "This is a view: nothing is written.")
        return
    epoch = max(state.epochs, default=0)
    before = "The step ends here. What did you see? " if stopped else ""
    question = f"{before}Kept with metrics, verdict and decision in observations.md and in the journal."

    def take(words: str | None) -> None:
        if words:
            Recorder(boss).say(run, Annotated(epoch=epoch, note=words))
            boss.tell("Observation kept.")

    boss.push_screen(NoteScreen(f"Observation · step {started.step}, epoch {epoch}", question), take)


def ask_prompt(boss: OpeddevApp, done: Callable[[str], None]) -> None:
    """Ask for a prompt of one's own."""
    question = "Generated beside the probe prompts from the next start of a training on; it has no reference."
    boss.push_screen(NoteScreen("A prompt of your own", question), lambda words: done(words) if words else None)

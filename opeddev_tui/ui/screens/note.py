"""Dialog to write a text of any length: an observation on a run, or a prompt of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from opeddev_tui.errors import Problem
from opeddev_tui.runs.events import Annotated
from opeddev_tui.runs.state import RunState
from opeddev_tui.terminal.editor import being_edited, editor_command, written
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import NOTE, bindings
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.ratings import Recorder
from opeddev_tui.ui.widgets.bars import key_part

_NOT_HERE = "No editor can be opened from here. Write here, or in another terminal: opeddev-tui note"

# what a draft of it is about
OWN_PROMPT = "a prompt of one's own"


class NoteScreen(Dialog[str]):
    """A text area over the screen. Its result is the text, "" where nothing was kept.

    What was typed before the dialog was closed is there again for the same ``about``, as long as the app runs.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(NOTE)
    CSS = "NoteScreen TextArea { height: 9; border: none; padding: 0 1; } NoteScreen .hint { padding: 0 1; }"

    def __init__(self, title: str, question: str, about: str) -> None:
        super().__init__()
        self._title, self._question, self._about = title, question, about

    @property
    def _drafts(self) -> dict[str, str]:
        return cast("Shell", self.app).session.drafts

    def compose(self) -> ComposeResult:
        """Make the question and the text area."""
        with Vertical(classes="dialog", id="note") as box:
            box.border_title = Content(clean_line(self._title))
            keymap = cast("Shell", self.app).session.keymap
            box.border_subtitle = keymap.text("{note.not-now} closes; what is typed stays")
            yield Static(Content(self._question), markup=False, classes="hint")
            yield TextArea(self._drafts.get(self._about, ""), soft_wrap=True, show_line_numbers=False, id="note-text")
            keys = Content("   ").join(key_part(key)[0] for key in keymap.keys(NOTE))
            yield Static(keys, markup=False, classes="hint")

    def on_mount(self) -> None:
        """Go on where the text ends."""
        area = self.query_one(TextArea)
        area.move_cursor(area.document.end)

    def action_keep(self) -> None:
        """Close with the text."""
        self._drafts.pop(self._about, None)
        self.dismiss(self.query_one(TextArea).text.strip())

    def action_drop(self) -> None:
        """Close without a text; what is typed stays for the next time."""
        for area in self.query(TextArea):
            self._drafts[self._about] = area.text
        self.dismiss("")

    def action_editor(self) -> None:
        """Open $EDITOR in this terminal; the training goes on meanwhile."""
        cast("Shell", self.app).run_worker(self._edit, group="editor", exclusive=True, exit_on_error=False)

    async def _edit(self) -> None:
        area = self.query_one(TextArea)
        shell = cast("Shell", self.app)
        try:
            with being_edited(area.text) as path:
                if await shell.lend_terminal(editor_command(path)):
                    area.text = written(path).rstrip("\n")
                    area.move_cursor(area.document.end)
                else:
                    shell.tell(_NOT_HERE, severity="warning")
        except Problem as problem:
            shell.tell(str(problem), severity="error")


def ask_note(shell: Shell, run: str, state: RunState, *, stopped: bool = False) -> None:
    """Ask for an observation on the newest epoch of ``run`` and record it; ``stopped``: the step has just ended."""
    started = state.started
    if started is None or shell.session.read_only:
        shell.tell("There is no run to write about." if started is None else "This is read only: nothing is written.")
        return
    epoch = max(state.epochs, default=0)
    before = "The step ends here. What did you see? " if stopped else ""
    question = f"{before}Kept with metrics, verdict and decision in observations.md and in the journal."

    def keep(note: str | None) -> None:
        if note:
            keep_observation(shell, run, epoch, note)

    title = f"Observation · step {started.step}, epoch {epoch}"
    shell.push_screen(NoteScreen(title, question, _observation(run)), keep)


def keep_observation(shell: Shell, run: str, epoch: int, note: str) -> None:
    """Record ``note`` on ``epoch`` of ``run`` and say so once it is on the disk; else it can be opened again."""
    drafts, about = shell.session.drafts, _observation(run)

    def failed() -> None:
        # what was typed meanwhile stays, too
        drafts[about] = "\n".join(filter(None, (note, drafts.get(about))))
        shell.tell("The observation is not kept: {monitor.observation} opens what you wrote.", severity="warning")

    shell.tell("Keeping the observation …")
    kept = partial(shell.tell, "Observation kept.")
    Recorder(shell).record(run, Annotated(epoch=epoch, note=note), kept=kept, failed=failed)


def _observation(run: str) -> str:
    """Return what a draft of an observation on ``run`` is about."""
    return f"observation on {run}"


def ask_prompt(shell: Shell, done: Callable[[str], None]) -> None:
    """Ask for a prompt of one's own and hand it to ``done``."""
    question = "It is generated beside the probe prompts from the next start of a training on; it has no reference."
    shell.push_screen(
        NoteScreen("A prompt of your own", question, OWN_PROMPT), lambda prompt: done(prompt) if prompt else None
    )

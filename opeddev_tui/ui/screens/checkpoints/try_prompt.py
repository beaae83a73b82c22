"""Dialog to try checkpoints: a prompt, and one or two answers side by side while they are generated."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem
from opeddev_tui.text import clean
from opeddev_tui.ui.screens.checkpoints.listing import short
from opeddev_tui.ui.tasks import checkpoints

# seconds between two drawings of what is being written
_DRAW = 0.1


@dataclass
class TrialAnswer:
    """What one checkpoint has written so far. Filled by a thread, read by the screen."""

    text: str = ""
    state: str = ""


class Trial:
    """Lets checkpoints answer a prompt, one after the other, in a thread of its own; their models stay loaded."""

    def __init__(self, entries: Sequence[Entry], settings: Settings) -> None:
        self._entries, self._settings = entries, settings
        self._models: dict[str, checkpoints.Model] = {}
        self._thread: threading.Thread | None = None
        self._over = False
        self.answers = [TrialAnswer() for _ in entries]

    @property
    def busy(self) -> bool:
        """True while an answer is being written."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self, prompt: str) -> None:
        """Begin to answer ``prompt``; does nothing while an answer is being written."""
        if not self.busy:
            self._thread = threading.Thread(target=self._run, args=(prompt,), daemon=True, name="try")
            self._thread.start()

    def end(self) -> None:
        """Ask the thread to end after the next piece of text."""
        self._over = True

    def _run(self, prompt: str) -> None:
        for answer in self.answers:
            answer.text, answer.state = "", "waiting"
        for entry, answer in zip(self._entries, self.answers, strict=True):
            try:
                self._answer(entry, answer, prompt)
            except (Problem, OSError, RuntimeError, ValueError) as error:
                answer.state = f"failed: {error}"
            if self._over:
                return

    def _answer(self, entry: Entry, answer: TrialAnswer, prompt: str) -> None:
        key = str(entry.folder)
        if key not in self._models:
            answer.state = "loading"
            self._models[key] = checkpoints.load_model(key, self._settings)
        answer.state = "writing"
        for piece in self._models[key].stream(prompt):
            answer.text += piece
            if self._over:
                return
        answer.state = "done"


class TryScreen(ModalScreen[None]):
    """A prompt, and the answers below it side by side."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close")]
    DEFAULT_CSS = """
    TryScreen .dialog { width: 94%; max-width: 200; height: 90%; }
    TryScreen #answers { height: 1fr; }
    TryScreen .answer { width: 1fr; height: 1fr; border: round $border-idle; padding: 0 1; scrollbar-size-vertical: 1; }
    TryScreen .answer > Static { height: auto; }
    """

    def __init__(self, entries: Sequence[Entry], settings: Settings) -> None:
        super().__init__()
        self._entries = entries
        self._trial = Trial(entries, settings)
        self._drawn: list[str] = []

    def compose(self) -> ComposeResult:
        """Make the prompt and the answers."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Try a prompt"
            box.border_subtitle = "Enter asks, Esc closes"
            yield Input(placeholder="a prompt; the system prompt of the settings goes before it", id="ask")
            with Horizontal(id="answers"):
                for entry in self._entries:
                    pane = VerticalScroll(Static(markup=False), classes="answer")
                    pane.border_title = Content(short(entry))
                    yield pane

    def on_mount(self) -> None:
        """Draw what has been written, ten times a second."""
        self.set_interval(_DRAW, self._draw)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ask the checkpoints."""
        event.stop()
        if event.value.strip():
            self._trial.ask(event.value)

    def _draw(self) -> None:
        texts = [f"{clean(answer.text)}\n[{clean(answer.state)}]" for answer in self._trial.answers]
        if texts == self._drawn:
            return
        self._drawn = texts
        for pane, text, answer in zip(self.query(".answer"), texts, self._trial.answers, strict=True):
            pane.query_one(Static).update(Content(text if answer.state else "Nothing asked yet."))
            pane.scroll_end(animate=False)

    def action_leave(self) -> None:
        """Close; the answer being written ends soon after."""
        self._trial.end()
        self.dismiss()

"""Dialog to try checkpoints: a prompt as training would ask it, and one or two answers side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar, cast

from msgspec import Struct
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config.settings import GIVEN_FIELDS, Settings
from opeddev_tui.data import trial_prompts
from opeddev_tui.data.rows import Example
from opeddev_tui.data.trial_prompts import Messages
from opeddev_tui.errors import Problem
from opeddev_tui.text import clean, clean_line, clean_lines
from opeddev_tui.ui.keys import TRY, bindings
from opeddev_tui.ui.screens.checkpoints.listing import short
from opeddev_tui.ui.screens.checkpoints.trial import Trial
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.bars import key_part
from opeddev_tui.ui.widgets.dialogs import AskText, FormDialog

# seconds between two drawings of what is being written
_DRAW = 0.1
T = TypeVar("T")


class Tried(Struct, frozen=True):
    """What a person has typed into the dialog; ``row`` is the hold-out row that the text is, ``fields`` by name."""

    text: str = ""
    fields: Mapping[str, str] = {}
    template: bool = False
    row: Example | None = None


class TryScreen(FormDialog[Tried]):
    """A prompt of several lines, the template's other fields where it is used, and the answers side by side.

    Its result is what was typed, for the next time.
    """

    AUTO_FOCUS = "#ask"
    BINDINGS: ClassVar[list[BindingType]] = bindings(TRY)
    CSS = """
    TryScreen .dialog { width: 94%; max-width: 200; height: 96%; max-height: 96%; }
    TryScreen #ask { height: 7; border: none; padding: 0; background: $panel; }
    TryScreen .field { height: 1; display: none; }
    TryScreen .label { width: 8; color: $muted; }
    TryScreen .field Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    TryScreen.-template .field { display: block; }
    TryScreen.-template #ask { height: 5; }
    TryScreen .line { height: auto; max-height: 2; color: $muted; }
    TryScreen #answers { height: 1fr; }
    TryScreen .answer { width: 1fr; height: 1fr; border: round $border-idle; padding: 0 1;
      border-title-color: $muted; scrollbar-size-vertical: 1; }
    TryScreen .answer > Static { height: auto; }
    """

    def __init__(self, entries: Sequence[Entry], settings: Settings, root: Path, tried: Tried | None) -> None:
        tried = tried or Tried()
        super().__init__(classes="-template" if tried.template else "")
        self._tried = tried
        self._entries, self._settings, self._root = entries, settings, root
        self._trial = Trial(entries, settings)
        self._drawn: list[str] = []
        # the hold-out row in the text area, as long as its text stays what it is
        self._row: Example | None = tried.row

    def compose(self) -> ComposeResult:
        """Make the prompt, the keys and the answers."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Try a prompt"
            keymap = cast("Shell", self.app).session.keymap
            box.border_subtitle = keymap.text("{try.close} closes; what is typed stays")
            for name in GIVEN_FIELDS:
                with Horizontal(classes="field"):
                    yield Static(name, markup=False, classes="label")
                    value = self._tried.fields.get(name, "")
                    yield Input(value, placeholder=self._if_empty(name), id=name, compact=True)
            yield TextArea(self._tried.text, soft_wrap=True, show_line_numbers=False, id="ask")
            yield Static(markup=False, id="form", classes="line")
            yield Static(self._key_line(), markup=False, classes="line")
            with Horizontal(id="answers"):
                for entry in self._entries:
                    pane = VerticalScroll(Static(markup=False), classes="answer")
                    pane.border_title = Content(short(entry))
                    yield pane

    def _if_empty(self, name: str) -> str:
        is_asked = f"{{{name}}}" in self._settings.grading.prompt_template
        return "needed: the prompt asks for it" if is_asked else f"not asked: the prompt has no {name}"

    def _key_line(self) -> Content:
        keys = cast("Shell", self.app).session.keymap.keys(TRY)
        return Content("  ").join(key_part(key)[0] for key in keys)

    def on_mount(self) -> None:
        """Draw what has been written, ten times a second."""
        self.set_interval(_DRAW, self._draw)
        area = self.query_one("#ask", TextArea)
        area.move_cursor(area.document.end)
        self._say("")

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """A row that is edited is no row of the hold-out any more: its reference is not named."""
        event.stop()
        if self._row is not None and event.text_area.text != self._row.prompt[-1].content:
            self._row = None
            self._say("")

    # --- what is asked

    def messages(self) -> Messages:
        """Return what would be asked now; raises ``Problem``."""
        text = self.query_one("#ask", TextArea).text
        if self._row is not None:
            return self._row.prompt
        if self.has_class("-template"):
            fields = {name: self.query_one(f"#{name}", Input).value for name in GIVEN_FIELDS}
            return trial_prompts.in_template({**fields, "submission": text}, self._settings)
        return trial_prompts.as_it_stands(text, self._settings)

    def action_ask(self) -> None:
        """Ask the checkpoints."""
        if not self.query_one("#ask", TextArea).text.strip():
            self._say("Write a prompt first.", wrong=True)
        elif self._trial.busy:
            self._say("An answer is being written: one moment.", wrong=True)
        else:
            try:
                messages = self.messages()
            except Problem as problem:
                self._say(str(problem), wrong=True)
            else:
                self._say("")
                self._trial.ask(messages)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        """Say what is wrong, else in which form the text is asked."""
        if wrong:
            content = Content.styled("✗ " + "\n".join(clean_lines(text, max_chars=400)), "$text-error-own")
        elif self._row is not None:
            grade = f", its grade is {self._row.grade}" if self._row.grade is not None else ""
            name = self._row.id or self._row.where.rpartition("/")[2]
            content = Content(f"Row {clean_line(name)} of the hold-out, exactly as training would ask it{grade}.")
        elif self.has_class("-template"):
            content = Content("The text is a submission; the settings' template makes the prompt, as in training.")
        else:
            content = Content("The text is the prompt as it stands, after the system prompt of the settings.")
        self.query_one("#form", Static).update(content)

    def action_template(self) -> None:
        """Take the text as a submission for the template, or as the prompt itself."""
        self._row = None
        self.toggle_class("-template")
        self._say("")

    def action_row(self) -> None:
        """Ask for a row of the hold-out."""
        ask = AskText("A row of the hold-out", "Its id, or #3 for the third row.", "#1")
        self.app.push_screen(ask, lambda name: self._in_thread(partial(self._read_row, name), self._take_row)
                             if name else None)  # fmt: skip

    def _read_row(self, name: str) -> Example:
        return trial_prompts.holdout_row(self._root, self._settings, name)

    def _take_row(self, row: Example) -> None:
        self.remove_class("-template")
        self._put(row.prompt[-1].content)
        # the text area keeps its own line breaks
        if self.query_one("#ask", TextArea).text == row.prompt[-1].content:
            self._row = row
        self._say("")

    def action_file(self) -> None:
        """Ask for a file with code."""
        ask = AskText("A file as the submission", "Its path, relative to the workspace.", "")
        self.app.push_screen(ask, lambda path: self._in_thread(partial(self._read_file, path), self._take_file)
                             if path else None)  # fmt: skip

    def _read_file(self, path: str) -> tuple[str, str]:
        place = self._root / Path(path.strip()).expanduser()
        return trial_prompts.text_of_file(place, self._settings.data.max_line_bytes), place.suffix.lstrip(".").lower()

    def _take_file(self, found: tuple[str, str]) -> None:
        text, kind = found
        self._row = None
        self.add_class("-template")
        self._put(text)
        self.query_one("#kind", Input).value = kind
        self._say("")

    def _put(self, text: str) -> None:
        self._row = None
        area = self.query_one("#ask", TextArea)
        area.text = text
        area.focus()

    def _in_thread(self, read: Callable[[], T], take: Callable[[T], None]) -> None:
        """Call ``read`` in a thread and hand its result to ``take``; say what is wrong with it here."""

        async def work() -> None:
            try:
                found = await asyncio.to_thread(read)
            except (Problem, OSError) as problem:
                self._say(str(problem), wrong=True)
            else:
                take(found)

        cast("Shell", self.app).run_worker(work, exit_on_error=False)

    # --- the answers

    def _draw(self) -> None:
        most = self._settings.generation.max_new_tokens
        texts = [f"{clean(answer.text)}\n[{clean(answer.words(most))}]" for answer in self._trial.answers]
        if texts == self._drawn:
            return
        self._drawn = texts
        for pane, text, answer in zip(self.query(".answer"), texts, self._trial.answers, strict=True):
            pane.query_one(Static).update(Content(text if answer.state else "Nothing asked yet."))
            pane.scroll_end(animate=False)

    def action_leave(self) -> None:
        """Close; the answer being written ends soon after, what is typed is handed back."""
        self._trial.end()
        fields = {name: self.query_one(f"#{name}", Input).value for name in GIVEN_FIELDS}
        text = self.query_one("#ask", TextArea).text
        self.dismiss(Tried(text, fields, self.has_class("-template"), self._row))

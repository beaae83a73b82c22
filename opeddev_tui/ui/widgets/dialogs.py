"""Dialogs over a screen: a question with a few answers, a line of text, a text to read.

They know neither the app nor what is asked: a screen gives the words and gets the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Input, Static

from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.key_rows import written
from opeddev_tui.ui.widgets.bars import key_cap

# key, result, label
Answer = tuple[str, str, str]

# not a letter: on the monitor and elsewhere each letter does something
CANCEL: Answer = ("escape", "", "Cancel")


Result = TypeVar("Result")


class FormDialog(Dialog[Result]):
    """A dialog with several fields: Enter in a one-line field goes to the next one, and keeps nothing half filled."""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on as Tab does."""
        event.stop()
        self.focus_next()


class AskScreen(Dialog[str]):
    """A question with one key per answer; Esc, q and n give ""."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,n", "dismiss('')", "Cancel")]

    def __init__(self, title: str, text: str, answers: tuple[Answer, ...]) -> None:
        super().__init__()
        self._title = clean_line(title)
        self._put(text, answers)

    def _put(self, text: str, answers: tuple[Answer, ...]) -> None:
        self._text, self._answers = clean(text), answers
        for key, result, label in answers:
            if key != "escape":
                self._bindings.bind(key, f"dismiss('{result}')", label)

    def now_ask(self, text: str, answers: tuple[Answer, ...]) -> None:
        """Show what a question that opened at once had to find out first; its keys do nothing before."""
        self._put(text, answers)
        self.refresh(recompose=True)

    def compose(self) -> ComposeResult:
        """Make the question."""
        with Vertical(classes="dialog", id="ask") as box:
            box.border_title = Content(self._title)
            if self._text:
                yield Static(Content(f"{self._text}\n"), markup=False)
            widest = max(len(written(key)) for key, _, _ in self._answers) + 2
            for key, _, label in self._answers:
                with Horizontal(classes="reply"):
                    cap = Static(key_cap(written(key)), markup=False, classes="cap")
                    cap.styles.width = widest
                    yield cap
                    yield Static(Content(clean_line(label)), markup=False, classes="words")


class AskText(Dialog[str]):
    """A line of text; Esc gives None. A subclass may refuse what was typed; ``replaced``: typing replaces it all.

    ``keep_typed`` is called with what was typed where Esc closes the dialog: a text that is worth keeping.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(
        self,
        title: str,
        text: str,
        value: str = "",
        *,
        replaced: bool = False,
        keep_typed: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._text, self._value, self._replaced = title, text, value, replaced
        self._keep_typed = keep_typed

    def compose(self) -> ComposeResult:
        """Make the input."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._title)
            leaving = "cancels" if self._keep_typed is None else "closes; what is typed stays"
            box.border_subtitle = f"Enter confirms, Esc {leaving}"
            yield Static(Content(self._text), markup=False)
            yield Input(value=self._value, id="text", select_on_focus=self._replaced)
            yield Static(markup=False, id="wrong")

    def action_leave(self) -> None:
        """Close without an answer."""
        if self._keep_typed is not None:
            self._keep_typed(self.query_one("#text", Input).value)
        self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        event.stop()
        self.accept(event.value)

    def accept(self, value: str) -> None:
        """Close with ``value``."""
        self.dismiss(value)

    def refuse(self, reason: str) -> None:
        """Stay open and say why."""
        self.query_one("#wrong", Static).update(Content.styled(f"✗ {clean(reason)}", "$text-error-own"))


class ReadScreen(Dialog[None]):
    """A text to read and scroll. A subclass returns its ``parts``, which are asked for once the app's size is known.

    Each part is a widget, so that of a long text only what is in view is drawn.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark,f1", "dismiss", "Close"),
        Binding("j", "scroll(1)", "Down"),
        Binding("k", "scroll(-1)", "Up"),
        Binding("g,home", "end(-1)", "Top"),
        Binding("G,end", "end(1)", "End"),
    ]

    # what the frame says of the keys
    HINT: ClassVar[str] = "g G top, end  Esc closes"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = clean_line(title)
        self._made_for: Size | None = None

    def compose(self) -> ComposeResult:
        """Make the text."""
        self._made_for = self.app.size
        with VerticalScroll(classes="dialog") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = self.HINT
            for part in self.parts():
                shown = Static(part, markup=False, classes="part")
                shown.styles.height = self.height_of(part)
                yield shown

    def on_resize(self) -> None:
        """Break the lines for the terminal as it is now; the first size is that for which they were made."""
        if self.app.size == self._made_for:
            return
        self._made_for = self.app.size
        self.show_parts()

    def show_parts(self) -> None:
        """Show the parts as they are now: for another width, or once what had to be read first is there."""
        for shown, part in zip(self.query(".part").results(Static), self.parts(), strict=True):
            shown.styles.height = self.height_of(part)
            shown.update(part)

    def height_of(self, part: Content) -> int | None:
        """Return the lines of ``part`` where they are known: Textual need not break them to measure it then."""

    def parts(self) -> list[Content]:
        """Return the text, cleaned, in parts that stand below each other with a line between them; always as many."""
        raise NotImplementedError

    def action_scroll(self, step: int) -> None:
        """Scroll by lines."""
        self.query_one(".dialog").scroll_relative(y=step, animate=False)

    def action_end(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        box = self.query_one(".dialog")
        box.scroll_to(y=0 if way < 0 else box.max_scroll_y, animate=False)


class LinesScreen(ReadScreen):
    """Some lines to read, of any length; the text may come from anywhere."""

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__(title)
        self._lines = [Content(clean(line)) for line in lines]

    def parts(self) -> list[Content]:
        """Return the lines."""
        return self._lines

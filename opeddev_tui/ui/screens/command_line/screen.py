"""The line at the bottom that commands are typed into, with what it completes above and what is wrong below."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line, clean_lines
from opeddev_tui.ui.screens.command_line.typed import Known, common_start, completions, explained
from opeddev_tui.ui.shell import Shell

# what a line does: it gets the text and says what is wrong with it, or closes
CarryOut = Callable[["CommandLine", str], None]
_KEPT_LINES = 100


class CommandLine(Dialog[None]):
    """One line. Enter carries it out; it stays open with a sentence where that is not possible."""

    AUTO_FOCUS = "#line"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+g", "dismiss(None)", "Close", priority=True),
        Binding("tab", "complete(1)", "Complete", priority=True),
        Binding("shift+tab", "complete(-1)", "Complete backwards", priority=True),
        Binding("up", "earlier(1)", "Earlier line", priority=True),
        Binding("down", "earlier(-1)", "Later line", priority=True),
    ]
    CSS = """
    CommandLine { align: left bottom; }
    #command { height: auto; width: 1fr; background: $panel; border-top: solid $border-idle; padding: 0 1; }
    #command Static { height: auto; width: 1fr; }
    #offered { color: $muted; text-wrap: nowrap; text-overflow: ellipsis; max-height: 1; }
    #typed { height: 1; }
    #command #colon { width: 2; color: $accent; text-style: bold; }
    #line, #line:focus { height: 1; border: none; padding: 0; background: $panel; width: 1fr; }
    #told { max-height: 4; }
    """

    def __init__(self, known: Known, history: list[str], carry_out: CarryOut) -> None:
        super().__init__()
        self._known, self._history, self._carry_out = known, history, carry_out
        # how many lines back in the history, and which completion is on show of those for what was typed
        self._back = 0
        self._offered: list[str] = []
        self._at = -1
        self._own_change = False

    def compose(self) -> ComposeResult:
        """Make the line between what is offered and what is told."""
        with Vertical(id="command"):
            yield Static(markup=False, id="offered")
            with Horizontal(id="typed"):
                yield Static(Content(":"), markup=False, id="colon")
                yield Input(id="line", select_on_focus=False)
            yield Static(markup=False, id="told")

    def on_mount(self) -> None:
        """Say what can be typed."""
        self._typed("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Offer what the text can become, unless it is a completion or a line of the history."""
        event.stop()
        if self._own_change:
            self._own_change = False
            self._tell(Content.styled(explained(event.value, self._known), "$muted"))
        else:
            self._typed(event.value)

    def _typed(self, text: str) -> None:
        self._offered, self._at, self._back = completions(text, self._known), -1, 0
        self._draw_offered()
        self._tell(Content.styled(explained(text, self._known), "$muted"))

    def _draw_offered(self) -> None:
        # the part that they share is in the line already
        names = [line if " " not in line.strip() else line.partition(" ")[2] for line in self._offered]
        first = max(0, self._at)
        parts = [
            Content.styled(clean_line(name).strip(), "bold $accent" if at == self._at else "")
            for at, name in list(enumerate(names))[first : first + 40]
        ]
        self.query_one("#offered", Static).update(Content("  ").join(parts))

    def _tell(self, content: Content) -> None:
        self.query_one("#told", Static).update(content)

    def refuse(self, reason: str) -> None:
        """Stay open and say why."""
        if self.is_attached:
            self._tell(Content.styled("✗ " + "\n".join(clean_lines(reason, max_chars=600)), "$text-error-own"))

    def done(self, told: str = "") -> None:
        """Close, and say what was done."""
        self.dismiss()
        if told:
            self.app.call_later(cast("Shell", self.app).tell, told)

    def _put(self, text: str) -> None:
        line = self.query_one("#line", Input)
        if text != line.value:
            self._own_change = True
            line.value = text
        line.cursor_position = len(text)

    def action_complete(self, step: int) -> None:
        """Put in what all completions share, then one completion after the other."""
        line = self.query_one("#line", Input)
        if not self._offered:
            return
        shared = common_start(self._offered)
        if len(self._offered) == 1 or (self._at < 0 and len(shared) > len(line.value)):
            line.value = shared
            line.cursor_position = len(shared)
            return
        self._at = (self._at + step) % len(self._offered) if self._at >= 0 or step > 0 else len(self._offered) - 1
        self._put(self._offered[self._at])
        self._draw_offered()

    def action_earlier(self, step: int) -> None:
        """Bring back an earlier line, or a later one."""
        back = max(0, min(self._back + step, len(self._history)))
        if back != self._back:
            self._back = back
            self._put(self._history[-back] if back else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Carry out the line."""
        event.stop()
        text = event.value.strip().removeprefix(":").strip()
        if not text:
            self.dismiss()
            return
        if self._history[-1:] != [text]:
            self._history[:] = [*self._history, text][-_KEPT_LINES:]
        self._back = 0
        self._carry_out(self, text)

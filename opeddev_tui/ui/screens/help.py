"""Owns the help: the keys of a screen, made from the key tables."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from opeddev_tui.ui.keys import Key
from opeddev_tui.ui.widgets.tables import fit

_KEYS = 12
# width of the dialog at most, and what its frame takes of it
_WIDEST, _FRAME = 84, 8


class HelpScreen(ModalScreen[None]):
    """A list of keys over the screen it is about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,f1", "dismiss", "Close"),
        Binding("j", "scroll(1)", "Down"),
        Binding("k", "scroll(-1)", "Up"),
    ]

    def __init__(self, sections: tuple[tuple[str, tuple[Key, ...]], ...]) -> None:
        super().__init__()
        self._sections = sections

    def compose(self) -> ComposeResult:
        """Make the list."""
        with VerticalScroll(id="help", classes="dialog") as scroll:
            scroll.border_title = "Keys"
            scroll.border_subtitle = "Esc closes"
            yield Static(self._text(), markup=False)

    def _text(self) -> Content:
        lines: list[Content] = []
        for title, keys in self._sections:
            lines += (
                [Content(""), Content.styled(title, "bold $primary")]
                if lines
                else [Content.styled(title, "bold $primary")]
            )
            for key in keys:
                lines += self._row(key)
        return Content("\n").join(lines)

    def _row(self, key: Key) -> list[Content]:
        """Return a key and its help, later lines under the first word."""
        room = max(20, min(_WIDEST, self.app.size.width * 9 // 10) - _FRAME - _KEYS)
        first, *rest = textwrap.wrap(key.help, room)
        head = Content.styled(fit(key.display, _KEYS), "bold $accent") + Content(first)
        return [head, *(Content(" " * _KEYS + line) for line in rest)]

    def action_scroll(self, step: int) -> None:
        """Scroll a line."""
        self.query_one("#help").scroll_relative(y=step, animate=False)

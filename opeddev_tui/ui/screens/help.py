"""Help: the keys of a screen, from the key tables, and the words of all screens."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from opeddev_tui.ui.keys import Key, Sections
from opeddev_tui.ui.screens.glossary import WORDS
from opeddev_tui.ui.widgets.dialogs import ReadScreen
from opeddev_tui.ui.widgets.tables import fit

_KEYS = 12
_WORD = 16
# width of the dialog at most, and what its frame takes of it
_WIDEST, _FRAME = 84, 8
# in less room than this a text is left to be broken further
_NARROWEST = 20


class HelpScreen(ReadScreen):
    """A list of keys over the screen it is about."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab,shift+tab,w", "other_part", "Keys or words", priority=True)]
    HINT: ClassVar[str] = "Tab or w: keys, words  g G top, end  Esc closes"

    def __init__(self, sections: Sections) -> None:
        super().__init__("Keys and words")
        self._sections = sections

    def parts(self) -> list[Content]:
        """Return a heading per section with its keys below it, then the words."""
        parts = [self._part(title, [self._row(key) for key in keys]) for title, keys in self._sections]
        return [*parts, self._part("Words", [_entry(word, meaning, _WORD, self._room) for word, meaning in WORDS])]

    def height_of(self, part: Content) -> int | None:
        """Return the lines of ``part``; None where the terminal is so narrow that they are broken once more."""
        return part.plain.count("\n") + 1 if self._room - _WORD >= _NARROWEST else None

    def action_other_part(self) -> None:
        """Go to the words, or back to the keys where they are in view."""
        box = self.query_one(".dialog")
        words = box.query(".part").last()
        # what is above the words in the text; at the end they may begin below the top of the view
        begin = min(words.virtual_region.y, box.max_scroll_y)
        box.scroll_to(y=0 if box.scroll_y >= begin else begin, animate=False)

    @property
    def _room(self) -> int:
        """The columns between the frame's lines."""
        return min(_WIDEST, self.app.size.width * 9 // 10) - _FRAME

    def _part(self, title: str, entries: list[list[Content]]) -> Content:
        lines = [Content.styled(title, "bold $primary"), *(line for entry in entries for line in entry)]
        return Content("\n").join(lines)

    def _row(self, key: Key) -> list[Content]:
        """Return a key and its help, later lines under the first word."""
        return _entry(key.display, key.help, _KEYS, self._room)


@lru_cache(maxsize=1024)
def _entry(name: str, text: str, indent: int, room: int) -> list[Content]:
    first, *rest = textwrap.wrap(text, max(_NARROWEST, room - indent))
    head = Content.styled(fit(name, indent), "bold $accent") + Content(first)
    return [head, *(Content(" " * indent + line) for line in rest)]

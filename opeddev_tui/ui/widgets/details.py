"""The selected row of a list in full: its longest text at the left, the others at the right, or all in one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget

from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import PANE, bindings
from opeddev_tui.ui.widgets.text_pane import TextPane

# cells of a text that is read beside another one, and lines of a frame; where there are fewer, one frame has all texts
_NARROWEST, _LOWEST = 38, 4


class Part(Struct, frozen=True):
    """One text of a row, already cleaned, with its title, and a line for the frame below it."""

    title: str
    text: Content
    below: str = ""


class DetailPane(TextPane):
    """A frame that scrolls by j and k too."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PANE)


class Details(Horizontal):
    """Texts of one row. ``names`` are the ids of their frames, which have the numbers from 1 on."""

    DEFAULT_CSS = """
    Details > DetailPane { height: 1fr; width: 1fr; }
    Details > #other-details { height: 1fr; width: 1fr; }
    Details.-together > #other-details { display: none; }
    Details #other-details > DetailPane { height: 1fr; width: 1fr; }
    """

    def __init__(self, names: Sequence[str], *, id: str = "details") -> None:
        super().__init__(id=id)
        self._names = tuple(names)
        self._parts: tuple[Part, ...] = ()
        self._place: object = None

    def compose(self) -> Iterable[Widget]:
        """Make a frame per text."""
        first, *others = (DetailPane("", id=name, number=number) for number, name in enumerate(self._names, 1))
        yield first
        yield Vertical(*others, id="other-details")

    def on_resize(self, event: Resize) -> None:
        """Put the texts beside each other where they can be read so."""
        lowest = _LOWEST * (len(self._names) - 1)
        self.set_class(event.size.width < 2 * _NARROWEST or event.size.height < lowest, "-together")
        self._draw()

    def show(self, parts: Sequence[Part], place: object) -> None:
        """Show the texts of a row, as many as there are frames; another ``place`` is scrolled to its top."""
        self._parts, self._place = tuple(parts), place
        self._draw()

    def _draw(self) -> None:
        parts = _joined(self._parts) if self.has_class("-together") else self._parts
        for pane, part in zip(self.query(DetailPane), parts, strict=False):
            pane.set_text(part.title, part.text, below=part.below, place=self._place)

    def scroll_text(self, lines: int) -> None:
        """Scroll the first text, which is the longest, or all where they are in one frame."""
        self.query(DetailPane).first().scroll_relative(y=lines, animate=False)

    @property
    def text_width(self) -> int:
        """The cells of a line in a frame."""
        return max(20, (self.size.width or self.app.size.width) // (1 if self.has_class("-together") else 2) - 5)

    @property
    def text(self) -> str:
        """All texts under their titles."""
        return "\n\n".join(f"{clean_line(part.title)}\n{part.text.plain}" for part in self._parts)


def _joined(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return one text with all ``parts`` below each other, each under its title."""
    if not parts:
        return ()
    lines = []
    for at, part in enumerate(parts):
        head = clean_line(" · ".join(filter(None, [part.title, part.below])))
        lines += [Content.styled(head, "bold $primary"), part.text, *([Content("")] if at < len(parts) - 1 else [])]
    return (Part("In full", Content("\n").join(lines)),)

"""Base of the monitor's panes: a focusable, scrolling frame around text, redrawn only when the text has changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from opeddev_tui.ui.keys import PANE, bindings, pane_title
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import keymap_in


class Pane(VerticalScroll):
    """A frame with text, under its number. A subclass returns its text from ``render_view``.

    ``about`` is its tooltip, ``brief`` the line of explanation in the frame of the focused pane.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(PANE)
    title: ClassVar[str] = ""
    about: ClassVar[str] = ""
    brief: ClassVar[str] = ""

    def __init__(self, *, id: str, number: int) -> None:
        super().__init__(id=id, classes="pane")
        self._number, self._named = number, self.title
        # ``brief``, or what ``name_it`` puts in its place
        self.explained = self.brief
        self.border_title = Content(pane_title(number, self.title))
        self._view: View | None = None
        self._shown: Content | None = None
        self._laid = (0, 0)
        self._body = Static(markup=False, classes="body")

    def compose(self) -> ComposeResult:
        """Make the text."""
        yield self._body

    def on_mount(self) -> None:
        """Say in the tooltip what is shown."""
        self.tooltip = Content(keymap_in(self).text(self.about)) if self.about else None

    def show(self, view: View) -> None:
        """Draw ``view``, if it looks different from what is shown."""
        self._view = view
        if not self.is_mounted or self.size.width == 0:
            return
        self.name_it(view)
        content = self.render_view(view, max(20, self.size.width - 1))
        if self._shown is None or content != self._shown or content.markup != self._shown.markup:
            self._shown = content
            laid = self.size.width, content.get_height({}, self.size.width)
            # text of another height moves what is around it; most updates of a training do not
            self._body.update(content, layout=laid != self._laid)
            self._laid = laid

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the text to the new width."""
        self._laid = (0, 0)
        if self._view is not None:
            self.show(self._view)
        # Textual forgets a layout that is asked for while it is laying out
        self.call_after_refresh(self._body.refresh, layout=True)

    def name_it(self, view: View) -> None:
        """Give the frame another title and line of explanation, where ``view`` needs others."""

    def plain_text(self) -> str:
        """Return the text on show, for the clipboard."""
        return self._shown.plain if self._shown is not None else ""

    def render_view(self, view: View, width: int) -> Content:
        """Return the text for ``view``, laid out for ``width`` cells."""
        raise NotImplementedError


def lines(parts: Iterable[Content | str]) -> Content:
    """Return ``parts`` below each other."""
    return Content("\n").join(part if isinstance(part, Content) else Content(part) for part in parts)

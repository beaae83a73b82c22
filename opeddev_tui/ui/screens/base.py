"""Owns what all screens share: the line of places, the status line, the line of keys, and being handed a view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.widget import Widget

from opeddev_tui.terminal.textual_private import SteadyScreen
from opeddev_tui.ui.keys import GLOBAL, Key, help_of
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import KeyLine, Places, StatusLine


class BaseScreen(SteadyScreen):
    """A screen. A subclass says what stands between the lines and how a view is shown."""

    mode: ClassVar[str] = ""
    own_keys: ClassVar[tuple[Key, ...]] = ()
    # widgets draw their own focus: Textual would draw the whole screen as well
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    @property
    def shell(self) -> Shell:
        """The app, as far as a screen knows it."""
        return cast("Shell", self.app)

    def compose(self) -> ComposeResult:
        """Make the lines and what stands between them."""
        yield Places(self.mode)
        yield StatusLine()
        yield from self.compose_body()
        yield KeyLine((*self.own_keys, *GLOBAL))

    def compose_body(self) -> Iterable[Widget]:
        """Make what stands between the lines."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        """Show what happened meanwhile."""
        self.call_after_refresh(self.shell.show_now)

    def show(self, view: View) -> None:
        """Draw ``view``."""
        self.query_one(StatusLine).show(view)
        self.show_body(view)

    def show_body(self, view: View) -> None:
        """Draw what stands between the lines."""

    def help_sections(self) -> tuple[tuple[str, tuple[Key, ...]], ...]:
        """Return what the help of this screen says."""
        return help_of(self.mode)

    def text_to_copy(self) -> str:
        """Return what `y` copies where nothing is selected."""
        return ""

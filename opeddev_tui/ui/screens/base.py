"""Base of all screens: the names of the screens, the status line, the keys, and being handed a view.

A screen draws the view it is given; it reads no disk and starts no training by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import App, ComposeResult
from textual.content import Content
from textual.css.query import DOMQuery
from textual.events import DescendantFocus, Resize
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from opeddev_tui.terminal.textual_private import SteadyScreen
from opeddev_tui.ui.keys import GLOBAL, SCREEN_KEYS, Key, Sections
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import KeyLine, Places, StatusLine
from opeddev_tui.ui.widgets.filter_box import TYPING, FilterBox
from opeddev_tui.ui.widgets.legend import Legend, explained

if TYPE_CHECKING:
    # the first picture has no table
    from opeddev_tui.ui.tasks.lists import Listed
    from opeddev_tui.ui.widgets.grid import Grid

# by mode and name of action: the part of the screen that it changes
_PARTS: Mapping[str, Mapping[str, str]] = {
    mode: {key.action.partition("(")[0]: key.part for _, keys in sections for key in keys if key.part}
    for mode, sections in SCREEN_KEYS.items()
}


def do_action(app: App[Any], screen: Screen[Any], action: str) -> None:
    """Do what a key with ``action`` does on ``screen``: the focused widget comes first, then what it is in."""
    method = f"action_{action.partition('(')[0]}"
    around = (screen.focused or screen).ancestors_with_self
    target = next((node for node in around if hasattr(node, method)), screen)
    cast("Shell", app).run_worker(partial(app.run_action, action, target), exit_on_error=False)


class BaseScreen(SteadyScreen):
    """A screen. A subclass makes what stands between the bars and draws a view there; ``mode`` names its key tables."""

    mode: ClassVar[str] = ""
    # the ids of the panes whose titles have numbers, from 1 on
    panes: ClassVar[tuple[str, ...]] = ()
    # what is seen in a part, by its id: said below the parts while it has the focus
    explanations: ClassVar[Mapping[str, Legend]] = {}
    # widgets draw their own focus: Textual would draw the whole screen as well
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    @property
    def shell(self) -> Shell:
        """The app, as far as a screen may know it."""
        return cast("Shell", self.app)

    @property
    def can_be_drawn(self) -> bool:
        """False before its widgets are made and once it was left: what a task brings then has nowhere to go."""
        return self.is_mounted and self.is_running and bool(self.query(KeyLine))

    @property
    def grids(self) -> DOMQuery[Grid]:
        """The tables of the screen."""
        return cast("DOMQuery[Grid]", self.query("Grid"))

    def compose(self) -> ComposeResult:
        """Make the bars and what stands between them."""
        yield Places(self.mode)
        yield StatusLine()
        yield from self.compose_body()
        if self.explanations:
            yield Static(markup=False, id="explained")
        yield KeyLine(self.footer_keys())

    def compose_body(self) -> Iterable[Widget]:
        """Make what stands between the bars."""
        raise NotImplementedError

    def on_descendant_focus(self, event: DescendantFocus) -> None:  # noqa: ARG002 - Textual's signature
        """Explain what has the focus now, and show its keys."""
        self.call_after_refresh(self.explain)
        self.write_keys()

    def write_keys(self) -> None:
        """Show the keys that work now."""
        keys = TYPING if isinstance(self.focused, FilterBox) else self.footer_keys()
        for line in self.query(KeyLine):
            line.set_keys(keys)

    def footer_keys(self) -> tuple[Key, ...]:
        """Return the rows of the key tables whose keys work now."""
        return tuple(key for key in (*SCREEN_KEYS[self.mode][0][1], *GLOBAL) if self.offers(key))

    def offers(self, key: Key) -> bool:
        """Return whether ``key`` works now: a person sees what it changes."""
        return not key.part or self.is_seen(key.part)

    def is_seen(self, part: str) -> bool:  # noqa: ARG002 - for a subclass
        """Return whether ``part`` is in view. A screen that hides parts says which one, before it is drawn so."""
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse an action on a part that is hidden: nobody would see what it did."""
        part = _PARTS.get(self.mode, {}).get(action, "")
        return False if part and not self.is_seen(part) else super().check_action(action, parameters)

    def explain(self) -> None:
        """Say what is seen in the part that has the focus."""
        around = self.focused.ancestors_with_self if self.focused is not None else ()
        name = next((str(node.id) for node in around if node.id in self.explanations), "")
        keys, legend = self.shell.session.keymap, self.explanations.get(name, "")
        words: Legend = (
            keys.text(legend)
            if isinstance(legend, str)
            else {title: keys.text(meaning) for title, meaning in legend.items()}
        )
        for line in self.query("#explained").results(Static):
            line.update(Content(explained(words, self.titles_in_view(name), line.size.width)), layout=False)

    def titles_in_view(self, name: str) -> Collection[str]:
        """Return the titles of the columns of the list ``name`` that are in view."""
        around = (grid for grid in self.grids if any(node.id == name for node in grid.ancestors_with_self))
        return next((grid.titles_in_view for grid in around), ())

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Explain what is in view at the new width, and show the keys of that."""
        self.call_after_refresh(self.explain)
        self.write_keys()

    def on_grid_laid(self) -> None:
        """Explain the columns that are in view now."""
        self.explain()

    def keys_changed(self) -> None:
        """Write the keys as they are now."""
        for bar in (*self.query(Places), *self.query(KeyLine)):
            bar.on_resize()
        self.explain()

    def on_screen_resume(self) -> None:
        """Show what happened while another screen was on top; the keys may be others now."""
        self.call_after_refresh(self.shell.show_now)
        self.call_after_refresh(self.keys_changed)

    def show(self, view: View) -> None:
        """Draw ``view``."""
        self.query_one(StatusLine).show(view)
        self.show_body(view)

    def show_body(self, view: View) -> None:
        """Draw what stands between the bars."""

    def go_to_pane(self, name: str) -> None:
        """Focus the pane ``name``, one of ``panes``."""
        self.query_one(f"#{name}").focus()

    def help_sections(self) -> Sections:
        """Return the help of this screen: its own keys, then the keys of every screen."""
        sections = (*SCREEN_KEYS[self.mode], ("Everywhere", GLOBAL))
        return tuple((title, self.shell.session.keymap.keys(keys)) for title, keys in sections)

    def action_note(self) -> None:
        """Ask for an observation on the run on show."""
        from opeddev_tui.ui.screens.note import ask_note

        ask_note(self.shell, self.shell.session.run, self.shell.session.state)

    def listed(self) -> Callable[[], Listed] | None:
        """Return what hands over the list on show, to be written to a file; None where there is no list.

        It is called in a thread.
        """
        grid = next(iter(self.grids), None)
        if grid is None:
            return None
        from opeddev_tui.ui.tasks.lists import Listed

        found = Listed(grid.titles, grid.all_cells)
        return lambda: found

    def text_to_copy(self) -> str:
        """Return what `y` copies where nothing is selected: the selected row, where there is a table."""
        return next((grid.selected_text for grid in self.grids), "")

    def text_to_read(self) -> str:
        """Return what the pager shows: what is copied, or all of it where a clipboard gets a part."""
        return self.text_to_copy()


def settings_can_be_saved(shell: Shell) -> bool:
    """Return whether there is a workspace that may be written to; say so where there is none."""
    session = shell.session
    if session.has_workspace and not session.read_only:
        return True
    shell.tell("Settings are saved in a workspace; there is none, or it is read only.", severity="warning")
    return False


class FilteredScreen(BaseScreen):
    """A screen whose list can be filtered: a subclass fills it with what contains ``filter_text``."""

    filter_text = ""

    def fill(self) -> None:
        """Fill the list again."""
        raise NotImplementedError

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while a person types."""
        self.filter_text = event.value
        self.filter_changed()

    def filter_changed(self) -> None:
        """Fill the list again with what contains the filter now."""
        self.fill()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterBox).open()

    def action_clear_filter(self) -> None:
        """Drop the filter."""
        self.query_one(FilterBox).drop()

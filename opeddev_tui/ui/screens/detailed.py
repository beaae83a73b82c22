"""Bases of the screens with a list and details of the selected row, which a key shows or hides on all lists.

The details follow the cursor; what they show is at hand already, so that nothing is read for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.events import Resize
from textual.timer import Timer

from opeddev_tui.ui.screens.base import FilteredScreen
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.details import DetailPane, Details, Part
from opeddev_tui.ui.widgets.grid import Grid

# lines of the screen from which on the selected row is shown in full unasked
_HIGH = 30
# the part of the screen's lines that a list has above its details, as in later.tcss
_SHARE_OF_LIST = 0.45
# seconds between two rows shown while the cursor runs through the list: no key waits for a long text
_REST = 0.1


class WithDetails(FilteredScreen):
    """A screen whose details are shown while it has the class ``-details``."""

    # lines of the screen from which on they are shown unasked
    least_height: ClassVar[int] = 0
    # of what scrolls
    details_id: ClassVar[str] = ""

    @property
    def details_shown(self) -> bool:
        """True where a person asked for them, or nobody did and there is room."""
        asked = self.shell.session.details
        return self.size.height >= self.least_height if asked is None else asked

    def is_seen(self, part: str) -> bool:
        """Return whether ``part`` is in view: the details may be hidden."""
        return part != "details" or self.details_shown

    def show(self, view: View) -> None:
        """Draw ``view``, with the details as they were left on another list."""
        super().show(view)
        self.draw_details()

    def draw_details(self) -> None:
        """Show or hide the details."""
        self.set_class(self.details_shown, "-details")

    def action_details(self) -> None:
        """Show the details, or hide them, on all lists until the app is left."""
        self.shell.session.details = not self.details_shown
        self.draw_details()

    def action_scroll_details(self, step: int) -> None:
        """Scroll the details by lines while the list keeps the focus."""
        self.query_one(f"#{self.details_id}").scroll_relative(y=3 * step, animate=False)


class DetailedScreen(WithDetails):
    """A subclass makes a ``Details`` below its list, calls ``draw_details`` after a change, and gives the texts."""

    least_height: ClassVar[int] = _HIGH
    # selects the list that has the cursor
    list_selector: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self._resting: Timer | None = None
        self._behind = False

    def detail_parts(self) -> tuple[object, Sequence[Part]]:
        """Return what tells the selected row from others, and its texts; none where no row is selected."""
        raise NotImplementedError

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Show or hide the details, as there is room for them now."""
        self.call_after_refresh(self.draw_details)

    def on_data_table_row_highlighted(self) -> None:
        """Show the row that the cursor is on now."""
        self.follow_cursor()

    def on_long_list_moved(self) -> None:
        """Show the row that the cursor is on now."""
        self.follow_cursor()

    def follow_cursor(self) -> None:
        """Show the selected row: at once, and while the cursor runs every now and then."""
        if self._resting is not None:
            self._behind = True
            return
        self.draw_details()
        self._resting = self.set_timer(_REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if self._behind:
            self._behind = False
            self.follow_cursor()

    def draw_details(self) -> None:
        """Show the selected row, if the details are shown."""
        if not self.can_be_drawn:
            return
        place, parts = self.detail_parts() if self.details_shown else (None, ())
        self.set_class(bool(parts), "-details")
        if parts:
            self.query_one(Details).show(parts, place)
        elif isinstance(self.focused, DetailPane):
            self.query_one(self.list_selector).focus()

    def list_room(self, grid: Grid) -> int:
        """Return how many lines the rows of ``grid`` have: above the details it grows with its rows to its share."""
        lines = int(self.size.height * _SHARE_OF_LIST) if self.details_shown else grid.size.height
        return max(0, lines - grid.header_height)

    # --- keys

    def action_scroll_details(self, step: int) -> None:
        """Scroll the details by lines while the list keeps the focus."""
        self.query_one(Details).scroll_text(3 * step)

    def leave_details(self) -> bool:
        """Give the focus back to the list; return False where the list has it."""
        if not isinstance(self.focused, DetailPane):
            return False
        self.query_one(self.list_selector).focus()
        return True

    def go_to_pane(self, name: str) -> None:
        """Focus a text of the details, which are shown then."""
        if not self.details_shown:
            self.action_details()
        self.call_after_refresh(super().go_to_pane, name)

    def text_to_copy(self) -> str:
        """Return the focused text, else the selected row."""
        return self.focused.text if isinstance(self.focused, DetailPane) else super().text_to_copy()

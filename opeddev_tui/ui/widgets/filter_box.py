"""The line that a filter is typed into: closed until a key opens it.

It knows nothing of what is filtered: ``FilteredScreen`` reads ``Input.Changed`` and calls ``open`` and ``drop``.
"""

from __future__ import annotations

from textual.widgets import Input

from opeddev_tui.ui.key_rows import Key

# what the keys do while a filter is typed: no other key of the screen is heard
TYPING = (
    Key("enter", "", "Keep", "Keep the filter and go back to the list.", footer=True),
    Key("escape", "", "Drop", "Drop the filter.", footer=True),
)


class FilterBox(Input):
    """An input above a list. ``what`` names what can be typed; ``target`` selects the list that gets the focus back."""

    def __init__(self, what: str, target: str, value: str = "") -> None:
        super().__init__(value, placeholder=f"filter: {what}", id="filter")
        self._target = target

    def open(self) -> None:
        """Show the line and focus it."""
        self.add_class("-open")
        self.focus()

    def drop(self) -> bool:
        """Empty and close the line; return False where it was empty and closed."""
        used = bool(self.value) or self.has_class("-open")
        self.value = ""
        self.remove_class("-open")
        self.screen.query_one(self._target).focus()
        return used

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the list."""
        event.stop()
        self.screen.query_one(self._target).focus()

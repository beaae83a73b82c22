"""The line that a filter is typed into: closed until it is asked for, open while it filters.

The screen decides what is filtered: it reads ``Input.Changed`` and calls ``open`` and ``drop`` from its keys.
"""

from __future__ import annotations

from textual.widgets import Input


class FilterBox(Input):
    """An input above a list. ``target`` is the selector of the list, which gets the focus back."""

    def __init__(self, what: str, target: str) -> None:
        super().__init__(placeholder=f"filter: {what}; Enter keeps it, Esc drops it", id="filter")
        self._target = target

    def open(self) -> None:
        """Show the line and type into it."""
        self.add_class("-open")
        self.focus()

    def drop(self) -> bool:
        """Empty and close the line; False where nothing was open or typed."""
        used = bool(self.value) or self.has_class("-open")
        self.value = ""
        self.remove_class("-open")
        self.screen.query_one(self._target).focus()
        return used

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the list."""
        event.stop()
        self.screen.query_one(self._target).focus()

"""Owns the log: what the libraries printed, filtered, errors first if wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, RichLog, Static

from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import LOG, Key, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.filter_box import FilterBox

_ERROR = re.compile(r"error|exception|traceback|critical|fatal|out of memory|\bnan\b", re.IGNORECASE)
_WARNING = re.compile(r"warn", re.IGNORECASE)
MOST_LINES = 3000
# seconds between two looks at the file while the screen is shown
EVERY = 1.0


class LogScreen(BaseScreen):
    """The tail of train.log."""

    mode: ClassVar[str] = "log"
    own_keys: ClassVar[tuple[Key, ...]] = LOG
    BINDINGS: ClassVar[list[BindingType]] = bindings(LOG)
    AUTO_FOCUS = "#log"

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._wanted = ""
        self._errors_first = False

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the filter and the lines."""
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox("text in the line", "#log")
        log = RichLog(id="log", markup=False, highlight=False, wrap=True, max_lines=MOST_LINES, auto_scroll=True)
        log.add_class("pane")
        log.border_title = "train.log"
        yield log

    def on_mount(self) -> None:
        """Read the file now and then."""
        self.set_interval(EVERY, self._read)
        self._read()

    def _read(self) -> None:
        if self.is_current:
            self.shell.disk.read_log(self._take)

    def _take(self, lines: list[str]) -> None:
        if lines == self._lines and lines:
            return
        old, self._lines = self._lines, lines
        grown = bool(old) and lines[: len(old)] == old and not self._errors_first
        self._draw(lines[len(old) :] if grown else None)

    def _draw(self, new: list[str] | None = None) -> None:
        """Write all lines again, or only ``new`` ones at the end."""
        log = self.query_one(RichLog)
        if new is None:
            log.clear()
        shown = self._chosen(self._lines if new is None else new)
        for line in shown[-MOST_LINES:]:
            log.write(_styled(line))
        self._head()

    def _chosen(self, lines: list[str]) -> list[str]:
        found = [line for line in lines if self._wanted.lower() in line.lower()]
        return sorted(found, key=_rank) if self._errors_first else found

    def _head(self) -> None:
        errors = sum(1 for line in self._lines if _ERROR.search(line))
        parts = [f"{len(self._lines):,} lines", f"{errors:,} with errors"]
        parts += [f"filter: {clean_line(self._wanted)}"] if self._wanted else []
        parts += ["errors first"] if self._errors_first else []
        words = " · ".join(parts) if self._lines else "The log is empty: libraries have printed nothing yet."
        self.query_one("#which", Static).update(Content(words))

    def show_body(self, view: View) -> None:
        """The log has its own clock."""

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self._wanted = event.value
        self._draw()

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterBox).open()

    def action_clear_filter(self) -> None:
        """Drop the filter."""
        self.query_one(FilterBox).drop()

    def action_errors_first(self) -> None:
        """Errors before everything else, or in order again."""
        self._errors_first = not self._errors_first
        log = self.query_one(RichLog)
        log.auto_scroll = not self._errors_first
        self._draw()
        if self._errors_first:
            log.scroll_home(animate=False)

    def action_down(self) -> None:
        """A line down."""
        self.query_one(RichLog).scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """A line up; the end is no longer followed."""
        log = self.query_one(RichLog)
        log.auto_scroll = False
        log.scroll_relative(y=-1, animate=False)

    def action_top(self) -> None:
        """The first line."""
        log = self.query_one(RichLog)
        log.auto_scroll = False
        log.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The last line, and follow it."""
        log = self.query_one(RichLog)
        log.auto_scroll = True
        log.scroll_end(animate=False)

    def text_to_copy(self) -> str:
        """Return the lines that are shown."""
        return "\n".join(clean_line(line, max_chars=5000) for line in self._chosen(self._lines)[-200:])


def _rank(line: str) -> int:
    return 0 if _ERROR.search(line) else 1 if _WARNING.search(line) else 2


def _styled(line: str) -> Text:
    """Return a line with a mark, so that an error is seen without colour."""
    mark, style = (("✗ ", "bold"), ("! ", ""), ("  ", "dim"))[_rank(line)]
    return Text(mark + clean_line(line, max_chars=2000), style=style)

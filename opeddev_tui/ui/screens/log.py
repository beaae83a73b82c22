"""The log screen: the end of train.log as a person reads it, filtered, in order of time or errors first; or raw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.color import Color as RichColor
from rich.style import Style
from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import RichLog, Static

from opeddev_tui.format import plural
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import LOG, bindings
from opeddev_tui.ui.screens.base import FilteredScreen
from opeddev_tui.ui.screens.log_lines import Level, read
from opeddev_tui.ui.theme_colours import parsed_colour
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.legend import Legend

_MARKS: Mapping[Level, str] = {"error": "✗ ", "warning": "! ", "info": "  ", "detail": "  "}
_RANKS: Mapping[Level, int] = {"error": 0, "warning": 1, "info": 2, "detail": 2}
MOST_LINES = 3000
# seconds between two readings of the file while the screen is on top
EVERY = 1.0


class LogScreen(FilteredScreen):
    """The newest lines of train.log. It follows the file for as long as its last line is in view."""

    mode: ClassVar[str] = "log"
    BINDINGS: ClassVar[list[BindingType]] = bindings(LOG)
    AUTO_FOCUS = "#log"
    explanations: ClassVar[Mapping[str, Legend]] = {
        "log": "What training and libraries wrote and the app told; {log.raw} shows the lines of the file.",
    }

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._errors_first = False
        self._raw = False
        self._width = 0
        # whether the last line was in view, before the size changed
        self._following = self._at_end = True

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the filter and the lines."""
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox("text in the line", "#log")
        log = RichLog(id="log", markup=False, highlight=False, wrap=True, min_width=1, max_lines=MOST_LINES)
        log.add_class("pane")
        log.border_title = "train.log"
        yield log

    def on_mount(self) -> None:
        """Read the file once a second."""
        self.set_interval(EVERY, self._read)
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.fill())
        self._read()

    def on_resize(self, event: Resize) -> None:
        """Wrap the lines anew, and stay at the end: the widget keeps them as they were wrapped, and its first line."""
        self._at_end = self._following
        if self._width not in (0, event.size.width):
            self.call_after_refresh(self.fill)
        self._width = event.size.width

    def _read(self) -> None:
        if self.is_current:
            self._following = self.query_one(RichLog).is_vertical_scroll_end
            self.shell.disk.read_log(self._take)

    def _take(self, lines: list[str]) -> None:
        if lines == self._lines and lines:
            return
        old, self._lines = self._lines, lines
        grown = bool(old) and lines[: len(old)] == old and not self._errors_first
        self._draw(lines[len(old) :] if grown else None)

    def fill(self) -> None:
        """Write all lines again."""
        self._draw()

    def _draw(self, new: list[str] | None = None) -> None:
        """Write all lines again, or only ``new`` ones at the end."""
        log = self.query_one(RichLog)
        # whoever has scrolled up keeps reading there
        log.auto_scroll = (self._at_end or log.is_vertical_scroll_end) and not self._errors_first
        self._at_end = False
        if new is None:
            log.clear()
        for line in self._chosen(self._lines if new is None else new)[-MOST_LINES:]:
            log.write(self._styled(line))
        if log.auto_scroll:
            self.call_after_refresh(log.scroll_end, animate=False)
        self._draw_heading()

    def _chosen(self, lines: list[str]) -> list[str]:
        chosen = [line for line in lines if self.filter_text.lower() in line.lower()]
        return sorted(chosen, key=_rank) if self._errors_first else chosen

    def _draw_heading(self) -> None:
        errors = sum(1 for line in self._lines if read(line).level == "error")
        count = plural(len(self._lines), "line")
        if self.filter_text:
            count = f"{len(self._chosen(self._lines)):,} of {count}"
        parts = [count, f"{errors:,} with errors"]
        parts += [f"filter: {clean_line(self.filter_text)}"] if self.filter_text else []
        parts += ["errors first"] if self._errors_first else []
        parts += ["raw"] if self._raw else []
        text = " · ".join(parts) if self._lines else "The log is empty: the libraries have printed nothing yet."
        self.query_one("#which", Static).update(Content(text))

    def action_errors_first(self) -> None:
        """Show errors before everything else, or all lines in order of time again."""
        self._errors_first = not self._errors_first
        self.fill()
        if self._errors_first:
            self.action_top()
        else:
            self.action_bottom()

    def action_raw(self) -> None:
        """Show the lines as they are in the file, or as a person reads them again."""
        self._raw = not self._raw
        self.fill()

    def _styled(self, line: str) -> Text:
        """Return a line with a mark in front, so that an error can be seen without colour."""
        found = read(line)
        text = f"{found.time} {found.text}" if found.time and not self._raw else line
        styles = {
            "error": Style(bold=True, color=self._colour("text-error-own")),
            "warning": Style(color=self._colour("warning")),
            "detail": Style(color=self._colour("muted")),
        }
        shown = Text(_MARKS[found.level] + clean_line(text, max_chars=2000), style=styles.get(found.level, Style()))
        if found.time and not self._raw and found.level == "info":
            shown.stylize(Style(color=self._colour("muted")), 2, 2 + len(found.time))
        return shown

    def _colour(self, name: str) -> RichColor | None:
        colour = parsed_colour(self.app.theme_variables.get(name, ""))
        return colour.rich_color if colour is not None else None

    def action_move(self, step: int) -> None:
        """Scroll by lines."""
        self.query_one(RichLog).scroll_relative(y=step, animate=False)
        self._following = False

    def action_top(self) -> None:
        """Go to the first line."""
        self.query_one(RichLog).scroll_home(animate=False)
        self._following = False

    def action_bottom(self) -> None:
        """Go to the last line."""
        self.query_one(RichLog).scroll_end(animate=False)
        self._following = True

    def text_to_copy(self) -> str:
        """Return the newest lines on show, 200 at most."""
        return "\n".join(clean_line(line, max_chars=5000) for line in self._chosen(self._lines)[-200:])

    def text_to_read(self) -> str:
        """Return all lines on show."""
        return "\n".join(clean_line(line, max_chars=5000) for line in self._chosen(self._lines))


def _rank(line: str) -> int:
    return _RANKS[read(line).level]

"""A filter that is more than text: the line it is typed into, and below it what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from opeddev_tui.errors import Problem
from opeddev_tui.text import clean_line


class QueryError(Static):
    """One line below a filter. It takes no room while there is nothing to say."""

    DEFAULT_CSS = "QueryError { height: auto; padding: 0 1; display: none; } QueryError.-wrong { display: block; }"

    def __init__(self) -> None:
        super().__init__(markup=False, id="query-error")

    def say(self, problem: Problem | None) -> None:
        """Say what is wrong, None: nothing is."""
        self.set_class(problem is not None, "-wrong")
        text = f"✗ {clean_line(str(problem))}" if problem is not None else ""
        self.update(Content.styled(text, "$text-error-own"))


def heading(parts: Iterable[str], filter_text: str) -> Content:
    """Return the line above a list: its parts, and the filter."""
    named = [*parts, *([f"filter: {clean_line(filter_text)}"] if filter_text.strip() else [])]
    return Content(" · ".join(named))

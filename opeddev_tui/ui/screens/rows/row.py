"""One row over the list: as the model sees it, as it was written, and what runs recorded of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import ClassVar, cast

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.analysis.row_records import EncodedText
from opeddev_tui.data.rows import Example
from opeddev_tui.format import plural
from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keys import bindings
from opeddev_tui.ui.list_keys import ROW
from opeddev_tui.ui.screens.rows.details import about, conversation
from opeddev_tui.ui.screens.rows.encoded import encoded, summary
from opeddev_tui.ui.screens.rows.listing import label
from opeddev_tui.ui.screens.rows.recorded import recorded
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.rows import RowSet, RowTasks
from opeddev_tui.ui.widgets.bars import ClickBar, key_part
from opeddev_tui.ui.widgets.code_text import code, coloured
from opeddev_tui.ui.widgets.text_pane import TextPane, scrolled_text

_SIDES = ("seen", "written", "recorded")
_SEEN = "As the model sees it"
_WAIT = "Being encoded; until then its texts as the file has them:"
# letters of a field that stands beside its name
_SHORT = 50
# columns from which on the row as it was written stands beside it, and what was recorded too
_BESIDE, _ALL = 110, 170


class RowScreen(Dialog[int]):
    """A row of a list; its result is the place in the list of the row that was read last."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(ROW)
    CSS = """
    RowScreen { background: $background; align: left top; layout: vertical; }
    RowScreen #row { height: 1fr; width: 1fr; }
    RowScreen #about { height: auto; max-height: 3; padding: 0 1; }
    RowScreen #sides { height: 1fr; }
    RowScreen .pane { display: none; width: 1fr; height: 1fr; }
    RowScreen #seen, RowScreen #written { width: 2fr; }
    RowScreen .-shown { display: block; }
    RowScreen #row-keys { height: 1; background: $surface; padding: 0 1; }
    """

    def __init__(self, tasks: RowTasks, rows: RowSet, chosen: Sequence[int], place: int, lowest: int) -> None:
        super().__init__()
        self._tasks, self._rows, self._chosen, self._place, self._lowest = tasks, rows, chosen, place, lowest
        self._side = 0
        # when the row on show was asked for, monotonic seconds; None: it is there
        self._asked: float | None = None
        self._told: EncodedText | None = None

    def compose(self) -> Iterable[Widget]:
        """Make the heading, the three sides and the keys."""
        with Vertical(id="row"):
            yield Static(markup=False, id="about")
            with Horizontal(id="sides"):
                yield TextPane(_SEEN, id="seen")
                yield TextPane("As it was written", id="written")
                yield TextPane("What was recorded", id="recorded")
            yield ClickBar(id="row-keys")

    def on_mount(self) -> None:
        """Show the row, and how long it takes."""
        self.set_interval(1.0, self._tell_wait)
        self._show()

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Show two sides where there is room."""
        self._show_sides()
        self.call_after_refresh(self._draw_seen)
        self.call_after_refresh(lambda: self.query_one(ClickBar).lay(key_part(key) for key in ROW if key.footer))

    def _show_sides(self) -> None:
        width = self.size.width
        for at, name in enumerate(_SIDES):
            visible = width >= _ALL or (at < 2 and self._side < 2 and width >= _BESIDE) or at == self._side
            self.query_one(f"#{name}").set_class(visible, "-shown")
        self.query_one(f"#{_SIDES[self._side]}").focus()

    def _show(self) -> None:
        """Show the row at the present place of the list; its texts arrive later."""
        at = self._chosen[self._place]
        example = self._rows.examples[at]
        self.query_one("#about", Static).update(self._about(at))
        self._asked, self._told = time.monotonic(), None
        self._draw_waiting(at)
        self._pane("written").set_text("As it was written", Content.styled("Reading the file …", "$muted"), place=at)
        self._pane("recorded").set_text("What was recorded", recorded(self._rows, at, self._lowest), place=at)
        self._show_sides()

        def seen(told: EncodedText) -> None:
            if self._is_on_show(at):
                self._asked, self._told = None, told
                self._draw_seen()

        def fields(found: list[tuple[str, str]]) -> None:
            if self._is_on_show(at):
                self._pane("written").set_text("As it was written", written(found, example),
                                               below=self._place_of(example.where), place=at)  # fmt: skip

        self._tasks.as_seen(example, not self._rows.holdout, seen)
        self._tasks.as_written(self._rows.name, example.where, fields)

    def _draw_seen(self) -> None:
        """Show the row as the model sees it, if it is here already."""
        told = self._told
        if told is None or not self.query("#seen"):
            return
        at, pane = self._chosen[self._place], self._pane("seen")
        title = f"{_SEEN} · {plural(told.tokens('prompt', 'loss', 'grade'), 'token')}"
        # without the blanks of the frame and the scrollbar
        text = encoded(told, (pane.size.width or self.size.width) - 1, self._rows.examples[at].kind)
        pane.set_text(title, text, below=summary(told), place=at)

    def _place_of(self, where: str) -> str:
        """Return a place in a file as a path in the workspace, where it is there."""
        root = cast("Shell", self.app).session.root
        return where.removeprefix(f"{root}/") if root is not None else where

    def _draw_waiting(self, at: int) -> None:
        """Show what can be read before the row is encoded: a process of its own does that, and begins slowly."""
        example = self._rows.examples[at]
        parts = [Content.styled(_WAIT, "$muted"), Content(""), conversation(example), Content("")]
        answer = [Content.styled("Answer:", "bold $primary"), coloured(example.completion, example.kind)]
        self._pane("seen").set_text(_SEEN, Content("\n").join([*parts, *answer]), below="encoding …", place=at)

    def _tell_wait(self) -> None:
        """Say how long the row has been awaited; its texts stay where they are scrolled to."""
        if self._asked is not None:
            self._pane("seen").border_subtitle = Content(f"encoding … {time.monotonic() - self._asked:.0f} s")

    def _is_on_show(self, at: int) -> bool:
        return self.is_running and bool(self.query("#seen, #written")) and self._chosen[self._place] == at

    def _pane(self, name: str) -> TextPane:
        return self.query_one(f"#{name}", TextPane)

    def _about(self, at: int) -> Content:
        example = self._rows.examples[at]
        grade = label(self._rows, example.grade, self._lowest)
        parts = [f"{clean_line(self._rows.name)} · row {at + 1}", f"grade {grade}" if grade else "", *about(example)]
        place = f"{self._place + 1:,} of {len(self._chosen):,}"
        words = " · ".join(filter(None, parts))
        return Content.styled(words, "bold") + Content.styled(f"   {place}", "$muted")

    # --- keys

    def action_side(self) -> None:
        """Show the row in another way."""
        step = 2 if _BESIDE <= self.size.width < _ALL and self._side == 0 else 1
        self._side = (self._side + step) % len(_SIDES)
        self._show_sides()

    def action_scroll(self, step: int) -> None:
        """Scroll by lines."""
        scrolled_text(self, _SIDES[self._side]).scroll_relative(y=2 * step, animate=False)

    def action_ends(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        scrolled_text(self, _SIDES[self._side]).go_to_end(way)

    def action_next(self, step: int) -> None:
        """Read the next row of the list, or the one before."""
        place = max(0, min(self._place + step, len(self._chosen) - 1))
        if place != self._place:
            self._place = place
            self._show()

    def action_copy(self) -> None:
        """Copy the side on show."""
        pane = self.focused if isinstance(self.focused, TextPane) else self._pane(_SIDES[self._side])
        self.app.copy_to_clipboard(pane.text)
        cast("Shell", self.app).tell(f"Copied {len(pane.text):,} characters.")

    def action_pager(self) -> None:
        """Show the side on show in the person's pager."""
        pane = self.focused if isinstance(self.focused, TextPane) else self._pane(_SIDES[self._side])
        cast("Shell", self.app).show_in_pager(pane.text)

    def action_leave(self) -> None:
        """Back to the list, with the cursor on this row."""
        self.dismiss(self._place)


def written(fields: Sequence[tuple[str, str]], example: Example) -> Content:
    """Return the fields of a row below each other, its code in colours."""
    if not fields:
        return Content.styled("The row is no longer at its place in the file.", "$muted")
    parts = []
    for name, text in fields:
        is_code = bool(text.strip()) and text.strip() == example.submission.strip()
        value = code(text, example.kind) if is_code else coloured(text, example.kind)
        beside = "\n" not in text and len(text) <= _SHORT and not is_code
        parts.append(Content.styled(clean_line(name), "bold $primary") + Content("  " if beside else "\n") + value)
        parts += [] if beside else [Content("")]
    return Content("\n").join(parts).rstrip()

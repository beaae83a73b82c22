"""All probe prompts of two points of the training in one table, to sort and to search; Enter reads one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct
from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from opeddev_tui.format import plural
from opeddev_tui.ui.keys import PROBES, bindings
from opeddev_tui.ui.screens.detailed import DetailedScreen
from opeddev_tui.ui.screens.generations.probe_details import FRAMES, NONE_YET, parts_of
from opeddev_tui.ui.screens.generations.probe_list import (
    ORDERS,
    TEXTS,
    TITLES,
    Probe,
    chosen,
    lines,
    probes,
    titles,
    written,
)
from opeddev_tui.ui.screens.generations.snapshots import Key as PointKey
from opeddev_tui.ui.screens.generations.snapshots import Pair, points
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.tasks.lists import Listed
from opeddev_tui.ui.widgets.details import Details, Part
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.legend import Legend
from opeddev_tui.ui.widgets.query_box import heading


class Shown(Struct, frozen=True):
    """What is to be read side by side: the prompt's number, and the two points (None: the beginning, the newest)."""

    prompt: int
    left: PointKey | None
    right: PointKey | None


class ProbesScreen(DetailedScreen):
    """A line per probe prompt. It follows the training, or shows any two points of it. Its result is ``Shown``."""

    mode: ClassVar[str] = "probes"
    BINDINGS: ClassVar[list[BindingType]] = bindings(PROBES)
    AUTO_FOCUS = "#probes"
    list_selector: ClassVar[str] = "#probes"
    panes: ClassVar[tuple[str, ...]] = FRAMES
    explanations: ClassVar[Mapping[str, Legend]] = {
        "probes": {
            "grades": "before and now, and the right one",
            "flips": "how often the grade changed",
            "reference": "what a person wrote",
        },
        "details": "The selected prompt in full; −‹only before› +‹only now›. {probes.details} hides it.",
    }

    def __init__(self, left: PointKey | None, right: PointKey | None, *, searching: bool = False) -> None:
        super().__init__()
        self._pair, self._searching = Pair(left, right), searching
        self._order = next(iter(ORDERS))
        self._probes: list[Probe] = []
        self._run = ""

    def compose_body(self) -> Iterable[Widget]:
        """Make the heading, the search and the table."""
        yield Static(markup=False, id="which", classes="hint")
        yield FilterBox("words in the prompt, the answers or the reference; broken, fixed", "#probes")
        yield Grid(TITLES, id="probes", enter="open_row", tall=TEXTS)
        yield Details(FRAMES)

    def on_mount(self) -> None:
        """Open the search where that is what was asked for."""
        if self._searching:
            self.call_after_refresh(self.action_filter)

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002 - Textual's signature
        """Fit the texts to the new width."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        if self.can_be_drawn:
            self.fill()

    def on_grid_laid(self) -> None:
        """Give the texts the lines that there are now."""
        super().on_grid_laid()
        self.fill()

    def show_body(self, view: View) -> None:
        """Show the two chosen points of the run on show."""
        if self._run and view.run != self._run:
            self._pair = Pair()
        self._run = view.run
        self._pair.points = points(view.previous, view.state)
        self.fill()

    def fill(self) -> None:
        """Show the prompts that contain what is searched for."""
        if not self.can_be_drawn:
            return
        if not self._pair.points:
            self.query_one("#which", Static).update(Content(NONE_YET))
            self.query_one(Grid).fill([])
            self.draw_details()
            return
        left, right = self._pair.chosen()
        self._probes = probes(self._pair.points, left, right)
        listed = chosen(self._probes, self._order, self.filter_text)
        grid = self.query_one(Grid)
        shown = titles(self.size.width)
        grid.retitle(shown, lines(listed, self.size.width, len(shown), self.list_room(grid)))
        count = plural(len(self._probes), "prompt")
        count = count if len(listed) == len(self._probes) else f"{len(listed)} of {count}"
        between = f"{left.label} → {right.label}"
        counts = [f"{name} {number}" for name in ("fixed", "broken") if (number := self._count(name))]
        parts = [between, count, *counts, self._order]
        self.query_one("#which", Static).update(heading(parts, self.filter_text))
        self.draw_details()

    def detail_parts(self) -> tuple[object, Sequence[Part]]:
        """Return the texts of the selected prompt at the two points."""
        selected = self.query_one(Grid).selected
        probe = next((item for item in self._probes if str(item.number) == selected), None)
        if probe is None or not self._pair.points:
            return None, ()
        left, right = self._pair.chosen()
        return (probe.asked.prompt, left.key, right.key), parts_of(probe, left.label, right.label)

    def _count(self, change: str) -> int:
        return sum(probe.change == change for probe in self._probes)

    def listed(self) -> Callable[[], Listed]:
        """Return what hands over the prompts that are listed, in their order, with all of their texts."""
        return partial(written, chosen(self._probes, self._order, self.filter_text))

    # --- keys

    def action_order(self) -> None:
        """Sort in another way."""
        names = list(ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self.fill()
        self.query_one(Grid).move_cursor(row=0)

    def action_epoch(self, step: int) -> None:
        """Show a later or an earlier point as now; from the newest one on it follows the training."""
        if self._pair.points:
            self._pair.choose_right(self._pair.places()[1] + step)
            self.fill()

    def action_left_epoch(self, step: int) -> None:
        """Show a later or an earlier point as before."""
        if self._pair.points:
            self._pair.move_left(step)
            self.fill()

    def action_open_row(self) -> None:
        """Read the selected prompt side by side."""
        if selected := self.query_one(Grid).selected:
            shown: Any = Shown(int(selected), self._pair.left, self._pair.right)
            self.dismiss(shown)

    def action_back(self) -> None:
        """Drop the search, else go back to the generations."""
        if not self.leave_details() and not self.query_one(FilterBox).drop():
            self.dismiss(None)

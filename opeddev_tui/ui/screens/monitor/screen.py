"""The monitor: the panes of a run side by side or as tabs, and the decision bar below them."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterable
from typing import ClassVar

from msgspec.structs import replace
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.events import DescendantFocus, Resize
from textual.widget import Widget

from opeddev_tui.ui.keys import CURVES, GLOBAL, MONITOR, Key, bindings
from opeddev_tui.ui.plots.curves import SMOOTHINGS, CurvesView
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.monitor.decision import DecisionBar
from opeddev_tui.ui.screens.monitor.epochs import EpochsPane
from opeddev_tui.ui.screens.monitor.inventory import InventoryPane
from opeddev_tui.ui.screens.monitor.latest import LatestPane
from opeddev_tui.ui.screens.monitor.machine import MachinePane
from opeddev_tui.ui.screens.monitor.metrics import MetricsPane
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.bars import PaneTabs
from opeddev_tui.ui.widgets.legend import fitting
from opeddev_tui.ui.widgets.pane import Pane

# columns and lines: in fewer the panes become tabs, from these on all panes have room
NARROW = (100, 30)
WIDE = (150, 44)
# seconds between two drawings of the curves: a plot is most of the bytes on a slow line
CURVES_EVERY = 1.0

TABS: tuple[tuple[str, str], ...] = (
    ("metrics", "Metrics"),
    ("curves", "Curves"),
    ("epochs", "Epochs"),
    ("inventory", "Batches"),
    ("latest", "Samples"),
    ("machine", "Machine"),
)
# panes that two columns have no room for: they are seen as tabs, in three columns, or grown
_LARGE_ONLY = ("latest", "machine")
# modules that the curves and the smoothed loss need
_PLOTTING = ("numpy", "plotext")


class MonitorScreen(BaseScreen):
    """The default screen."""

    mode: ClassVar[str] = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = bindings(MONITOR)
    AUTO_FOCUS = "#metrics"
    panes: ClassVar[tuple[str, ...]] = tuple(name for name, _ in TABS)

    def __init__(self) -> None:
        super().__init__()
        self._current = "metrics"
        self._curves_at = float("-inf")
        self._curves_key: tuple[object, ...] = ()
        self._loading = False

    def compose_body(self) -> Iterable[Widget]:
        """Make the panes and the bar."""
        curves = CurvesView(id="curves", classes="pane", number=2)
        smoothing = self.shell.loaded.settings.ui.smoothing
        if smoothing in SMOOTHINGS:
            curves.look = replace(curves.look, smoothing=smoothing)
        yield PaneTabs()
        yield Container(
            MetricsPane(id="metrics", number=1),
            curves,
            EpochsPane(id="epochs", number=3),
            InventoryPane(id="inventory", number=4),
            LatestPane(id="latest", number=5),
            MachinePane(id="machine", number=6),
            id="panes",
        )
        yield DecisionBar()

    def on_resize(self, event: Resize) -> None:
        """Choose between tabs, two columns and three columns."""
        width, height = event.size
        narrow = width < NARROW[0] or height < NARROW[1]
        self.set_class(narrow, "-narrow")
        self.set_class(not narrow and width >= WIDE[0] and height >= WIDE[1], "-wide")
        self._choose(self._current)
        self.call_after_refresh(self.shell.show_now)

    def show_body(self, view: View) -> None:
        """Draw the panes and the bar."""
        self.write_keys()
        for pane in self.query(Pane):
            pane.show(view)
        self._show_curves(view)
        self.query_one(DecisionBar).show(view)
        self.query_one(PaneTabs).show_tabs(TABS, self._current, numbered=True)
        self.refresh_bindings()

    def _show_curves(self, view: View) -> None:
        """Draw the curves: at once after an event such as an epoch's end, once a second for mere progress."""
        state = view.state
        key = (view.run, len(state.epochs), len(state.holdout), state.status, len(view.previous))
        if key == self._curves_key and view.clock - self._curves_at < CURVES_EVERY:
            return
        if (state.curves.loss or state.holdout) and not all(name in sys.modules for name in _PLOTTING):
            if not self._loading:
                self._loading = True
                self.shell.run_worker(self._load_plotting, exit_on_error=False)
            return
        self._curves_key, self._curves_at = key, view.clock
        self.query_one(CurvesView).update_state(state, view.previous)

    async def _load_plotting(self) -> None:
        """Import the plotting modules in a worker thread: that takes longer than everything else on the screen."""
        await asyncio.to_thread(lambda: [importlib.import_module(name) for name in _PLOTTING])
        self.shell.show_now()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Show the focused pane's tab and keys, however the focus moved."""
        if event.widget.id in dict(TABS) and event.widget.id != self._current:
            self._choose(str(event.widget.id))
        self.explain()

    def footer_keys(self) -> tuple[Key, ...]:
        """Return the keys of the focused pane; of a grown one the way back first."""
        own = (*CURVES, *MONITOR) if isinstance(self.focused, CurvesView) else MONITOR
        if self.has_class("-grown"):
            back = next(key for key in MONITOR if key.action == "shrink")
            own = (replace(back, footer=True), *(key for key in own if key.action != "grow"))
        return (*own, *GLOBAL)

    def explain(self) -> None:
        """Say in the frame of the focused pane what is seen there."""
        for pane in self.query(".pane"):
            brief = pane.explained if isinstance(pane, Pane) else getattr(pane, "brief", "")
            brief = fitting(self.shell.session.keymap.text(brief), pane.size.width)
            pane.border_subtitle = Content(brief if pane is self.focused else "")

    def _choose(self, name: str) -> None:
        self._current = name
        for pane, _ in TABS:
            self.query_one(f"#{pane}").set_class(pane == name, "-current")
        self.query_one(PaneTabs).show_tabs(TABS, name, numbered=True)

    def action_show_pane(self, name: str) -> None:
        """Go to a pane."""
        self._choose(name)
        self.query_one(f"#{name}").focus()

    def go_to_pane(self, name: str) -> None:
        """Go to a pane, in the full screen where the layout has no room for it."""
        if name not in self._reachable():
            self.toggle_class("-grown")
        self.action_show_pane(name)
        self.call_after_refresh(self.shell.show_now)

    def _reachable(self) -> list[str]:
        everything = any(self.has_class(name) for name in ("-narrow", "-wide", "-grown"))
        return [name for name, _ in TABS if everything or name not in _LARGE_ONLY or name == self._current]

    def action_pane(self, step: int) -> None:
        """Go to the next or the previous pane."""
        names = self._reachable()
        self.action_show_pane(names[(names.index(self._current) + step) % len(names)])

    def action_grow(self) -> None:
        """Grow the focused pane to the full screen, or shrink it again."""
        self.toggle_class("-grown")
        self._leave_hidden()
        self.call_after_refresh(self.shell.show_now)

    def _leave_hidden(self) -> None:
        """Go on to the metrics where the pane that was grown has no place beside others."""
        if not any(self.has_class(name) for name in ("-narrow", "-wide", "-grown")) and self._current in _LARGE_ONLY:
            self.action_show_pane("metrics")

    def action_machine(self) -> None:
        """Show the machine on the full screen, or shrink it again."""
        if self._current == "machine" and self.has_class("-grown"):
            self.action_grow()
            return
        self.add_class("-grown")
        self.action_show_pane("machine")
        self.call_after_refresh(self.shell.show_now)

    def action_shrink(self) -> None:
        """Shrink a grown pane, else return from an old run."""
        if self.has_class("-grown"):
            self.action_grow()
        else:
            self.shell.back_to_live()

    def action_decide(self, choice: str) -> None:
        """Answer the open question; while training, s stops."""
        self.shell.decide(choice)

    def action_stop_now(self) -> None:
        """Save and stop, resumable."""
        self.shell.decide("stop")

    def action_more(self) -> None:
        """Offer what else can be chosen at the question."""
        from opeddev_tui.ui.screens.monitor.more import open_more

        open_more(self.shell)

    def action_in_full(self) -> None:
        """Show the whole text of the situation."""
        from opeddev_tui.ui.screens.monitor.in_full import InFullScreen

        self.shell.push_screen(InFullScreen(self.shell.session.shown))

    def action_undo(self) -> None:
        """Undo the choice."""
        self.shell.undo()

    def action_start(self) -> None:
        """Start the next step or resume an interrupted run."""
        self.shell.offered("start", self.shell.start_training)

    def action_ask(self, what: str) -> None:
        """Pause or go on, generate the probe prompts, or save a checkpoint: now."""
        self.shell.ask(what)

    def action_make_workspace(self) -> None:
        """Make a workspace here."""
        self.shell.offered("make_workspace", self.shell.make_workspace)

    def action_open_near(self) -> None:
        """Open a workspace in the folder of now; asks which one, where there are several."""
        self.shell.offered("open_near", self._open_near)

    def _open_near(self) -> None:
        near = self.shell.session.near
        if len(near) == 1:
            self.shell.open_workspace(near[0])
            return

        from opeddev_tui.ui.widgets.dialogs import CANCEL, AskScreen  # the first picture has no dialog

        def chosen(answer: str | None) -> None:
            if answer:
                self.shell.open_workspace(near[int(answer) - 1])

        answers = tuple((str(at), str(at), name) for at, name in enumerate(near, 1))
        self.shell.push_screen(AskScreen("Open which workspace?", "", (*answers, CANCEL)), chosen)

    def action_demo(self) -> None:
        """Run the demo."""
        self.shell.offered("demo", self.shell.run_demo)

    def action_back_to_live(self) -> None:
        """Return to the newest run."""
        self.shell.back_to_live()

    def action_compare(self) -> None:
        """Put this run and others into one chart."""
        from opeddev_tui.ui.screens.compare.screen import CompareScreen

        self.shell.push_screen(CompareScreen())

    def text_to_copy(self) -> str:
        """Return the text of the focused pane."""
        pane = self.query_one(f"#{self._current}")
        return pane.plain_text() if isinstance(pane, Pane | CurvesView) else ""

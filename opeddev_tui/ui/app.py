"""The app: it switches screens, drains the training's events on a timer, and carries out what keys ask for.

What is known is kept in ``session``; what is on disk is read through ``provider`` in threads. Nothing of the
training stack is imported here: the first frame comes first.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, cast

from msgspec.structs import replace
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.screen import ModalScreen, Screen

from opeddev_tui import launch
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import Problem
from opeddev_tui.launch import Runner
from opeddev_tui.runs.control import Adjust, StepRequest
from opeddev_tui.runs.events import AnyEvent, Choice, HardwareSampled, Progress
from opeddev_tui.terminal.own_session import Owner
from opeddev_tui.text import clean_line, clean_lines
from opeddev_tui.ui.announcer import Announcer
from opeddev_tui.ui.everywhere import EverywhereKeys
from opeddev_tui.ui.keymap import Keymap, keymap_of
from opeddev_tui.ui.keys import GLOBAL, bindings
from opeddev_tui.ui.screens.base import BaseScreen
from opeddev_tui.ui.screens.modes import SCREENS
from opeddev_tui.ui.state.app_state import AppState
from opeddev_tui.ui.state.dead_keys import why_dead
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.state.situation_text import why_not
from opeddev_tui.ui.state.training_thread import RUNS_ALREADY, TrainingThread
from opeddev_tui.ui.tasks.recovery import CrashFound
from opeddev_tui.ui.tasks.workspace import WorkspaceTasks
from opeddev_tui.ui.theme_colours import completed
from opeddev_tui.ui.themes import put_in_place

# seconds between two looks into the queue, and between two drawings where nothing but time has passed
TICK = 0.08
IDLE_DRAW = 1.0
# ticks between two drawings while there is only progress: few bytes on a slow line, and the training is not held up
PROGRESS_TICKS = 8
# events that are drawn with the next picture: they come several times a second
_MEASURES = (Progress, HardwareSampled)
_LOG = logging.getLogger(__name__)
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}


class OpeddevApp(EverywhereKeys):
    """The app. Its result says how it was left: "quit", "detach" (training goes on), "lost" (no terminal), "demo".

    "open": for the workspace ``opens``.
    """

    TITLE = "opeddev-tui"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    # styles that the first picture does without
    LATER_CSS_PATH = Path(__file__).with_name("later.tcss")
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(SCREENS)
    DEFAULT_MODE = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = bindings(GLOBAL)
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {lambda: _palette()}

    def __init__(
        self,
        root: Path | None,
        loaded: LoadedSettings,
        *,
        run: str | None = None,
        start: bool | StepRequest = False,
        read_only: bool = False,
        runner: Runner = launch.train,
        live: TrainingThread | None = None,
        driver_class: type[Driver] | None = None,
        owner: Owner | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class, owner=owner)
        self.set_class("NO_COLOR" in os.environ, "-no-colour", update=False)
        self._on_ready = on_ready
        self.loaded = loaded
        self.live = live or TrainingThread(runner)
        self.disk = WorkspaceTasks(self)
        self.provider = WorkspaceReader(root or Path.cwd(), loaded)
        self.session = AppState(root, loaded, self.live, self.disk.send, read_only=read_only)
        self._use_keys(keymap_of(loaded.keys))
        self.announcer = Announcer(self)
        # the workspace that it was left for
        self.opens: Path | None = None
        self._open_run = run
        self._start_at_once = start
        self._leaving = False
        self._ticks = 0
        self._undrawn = 0
        self._remembered_theme = loaded.settings.ui.theme
        self.failed_themes, self.missing_theme = put_in_place(self, root, self._remembered_theme)
        self.match_colours()

    def action_redraw(self) -> None:
        """Draw everything again, the window's title too."""
        self.announcer.forget()
        super().action_redraw()

    def get_css_variables(self) -> dict[str, str]:
        """Return the theme's colours with those that the app's own styles use: a theme need not know them."""
        theme = self.current_theme
        self.theme_variables = completed(super().get_css_variables(), theme.variables, dark=theme.dark)
        return self.theme_variables

    def on_mount(self) -> None:
        """Begin to look at the training and to read the workspace, after the first frame."""
        if self._on_ready is not None:
            self._on_ready()
        self.set_interval(TICK, self._tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        launch.collect_again()
        self._read_later_styles()
        for failed in self.failed_themes:
            self.tell(f"Theme {failed.path}: {failed.reason}", severity="warning")
        if self.missing_theme:
            self.tell(f"There is no theme {self.missing_theme}; {self.theme} is used.", severity="warning")
        self.theme_changed_signal.subscribe(self, lambda theme: self._remember_theme(theme.name))
        self.disk.open(self._open_run, self._start_at_once)
        self.show_now()

    def _read_later_styles(self) -> None:
        """Know the styles of all that comes after the first picture."""
        self.stylesheet.read(self.LATER_CSS_PATH)
        self.stylesheet.parse()
        if len(self.screen_stack) > 1:
            # what is open by now was made without them
            self.refresh_css(animate=False)

    # --- time

    def _tick(self) -> None:
        """Look what has happened; draw if something did."""
        if not self.is_running:
            return  # the last ticks come while the screens are taken down
        session = self.session
        trained_by = session.trained_by
        events = session.drain()
        self.announcer.tell(events)
        error = session.settle()
        if error is not None:
            (self.disk.log_failure if session.trouble else self.disk.follow_instead_of_start)(error)
        if self.live.queue.overflowed:
            self.disk.follow_instead_of_queue()
        chosen = session.guard.chosen is not None
        sent = session.send_due()
        self._ticks += 1
        self._undrawn += any(True for _ in events)
        happened = any(not isinstance(event, _MEASURES) for event in events)
        urgent = sent is not None or error is not None or happened or session.trained_by != trained_by
        due = self._ticks * TICK >= IDLE_DRAW or (self._undrawn and self._ticks >= PROGRESS_TICKS)
        if urgent or due or chosen:
            self.show_now()
        if self._leaving and not self.live.running:
            self.exit("quit")

    def show_now(self) -> None:
        """Hand the newest view to the screen on top, if it wants one."""
        self._ticks, self._undrawn = 0, 0
        if not self.is_running:
            return
        view = self.session.view()
        self.session.seen(view)
        self.announcer.look(view)
        for screen in self.screen_stack:
            show = getattr(screen, "show", None)
            if show is not None and screen.is_mounted and screen.is_running:
                show(view)

    def tell(self, text: str, *, severity: str = "information", logged: bool = False) -> None:
        """Say something for some seconds; the text may come from anywhere. The log keeps it, where it is not yet there.

        What went well is said in the status line. A warning or an error is a notice below it, where there is no key,
        and so is what is said over a dialog. Several problems have a line each.
        """
        words = self.session.keymap.text(self.session.shown.typed(text))
        lines = clean_lines(words)
        if not logged:
            whole = " · ".join(line for line in words.splitlines() if line.strip())
            _LOG.log(_LEVELS.get(severity, logging.INFO), "%s", clean_line(whole, max_chars=2000))
        if severity == "information" and not isinstance(self.screen, ModalScreen):
            self.session.tell(clean_line(" · ".join(lines), max_chars=300))
            self.show_now()
        else:
            self.notify("\n".join(lines), severity=cast("Any", severity), markup=False, timeout=8)

    def announce(self, events: Iterable[AnyEvent]) -> None:
        """Notify a person of those of ``events`` that are worth it."""
        self.announcer.tell(events)

    def on_crash_found(self, message: CrashFound) -> None:
        """Ask what to do about a run that ended unexpectedly."""
        from opeddev_tui.ui.screens.recovery import ask

        ask(self, message.found)

    # --- what keys ask for

    def offered(self, action: str, do: Callable[[], None]) -> None:
        """Do what the bar offers, if it offers it and has been visible long enough; say why nothing can be started."""
        situation = self.session.shown.situation
        if situation.offers_action(action):
            if self.session.guard.accepts(time.monotonic()):
                do()
                self.show_now()
        else:
            self._tell_dead(action)

    def _tell_dead(self, action: str) -> None:
        """Say why a key that the bar does not offer does nothing."""
        if reason := why_dead(self.session.shown, action):
            self.tell(reason, severity="warning" if reason == why_not(self.session.shown) else "information")

    def decide(self, choice: str) -> None:
        """Hold an answer to the question, or a stop of the training."""
        stops = choice == "stop"
        if not self.session.decide(cast("Choice", choice)) and not (stops and self.session.stop_now()):
            # while a training runs, the same key stops it
            ends = stops and self.session.shown.situation.offers_action("stop_now")
            self._tell_dead("stop_now" if ends else f"decide('{choice}')")
        self.show_now()

    def adjust(self, command: Adjust) -> None:
        """Hand over what is chosen for the next step."""
        if not self.session.adjust(command):
            self.tell("The question is no longer open: nothing was chosen.", severity="warning")
        self.show_now()

    def undo(self) -> None:
        """Take back what was chosen."""
        if self.session.undo():
            self.tell("Taken back: nothing has happened.")
        self.show_now()

    def ask(self, action: str) -> None:
        """Pause, sample or save now."""
        if not self.session.ask(action):
            self._tell_dead(f"ask('{action}')")
        self.show_now()

    def start_training(self, start: StepRequest | None = None) -> None:
        """Begin to train; where another process trains here, show that training instead and say so."""
        if self.session.start(start or StepRequest()):
            self.show_now()
        elif self.session.trained_by == "other":
            self.session.old = None
            self.tell(RUNS_ALREADY)

    def _use_keys(self, keymap: Keymap) -> None:
        """Use other keys from now on, in what is pressed and in what is shown."""
        self.session.keymap = keymap
        self.set_keymap(keymap.changes())
        for screen in self.screen_stack if self.is_running else ():
            if isinstance(screen, BaseScreen):
                screen.keys_changed()

    def _taken_keys(self, loaded: LoadedSettings) -> LoadedSettings:
        """Use the keys of ``loaded``; where they are wrong, say so and return ``loaded`` with those of before."""
        try:
            self._use_keys(keymap_of(loaded.keys))
        except Problem as problem:
            self.tell(f"The keys as they were stay in use: {problem}", severity="error")
            return replace(loaded, keys=self.loaded.keys)
        return loaded

    def use_settings(self, loaded: LoadedSettings) -> None:
        """Use other settings from now on: those of the screen at once, those of a training with the next run."""
        before = self.loaded.settings
        if loaded.keys != self.loaded.keys:
            loaded = self._taken_keys(loaded)
        self.loaded = self.session.loaded = loaded
        self.provider.use(loaded)
        self.session.guard.set_times(loaded.settings.ui.guard_ms / 1000, loaded.settings.ui.undo_seconds)
        theme = loaded.settings.ui.theme
        if theme != before.ui.theme and theme in self.available_themes:
            self._remembered_theme = theme
            self.theme = theme
        after = loaded.settings
        if (after.paths, after.data, after.grading) != (before.paths, before.data, before.grading):
            self.session.scan = None
            self.disk.refresh()
        self.show_now()

    def make_workspace(self) -> None:
        """Make a workspace in the folder the app was started in."""
        self.disk.make_workspace()

    def open_workspace(self, name: str) -> None:
        """Leave for the workspace ``name`` in the folder of now: the app starts anew there."""
        self.opens = Path.cwd() / name
        self.exit("open")

    def run_demo(self) -> None:
        """Leave for the demo: it has a workspace of its own, so the app starts anew there."""
        self.exit("demo")

    def back_to_live(self) -> None:
        """From an old run to the newest one."""
        self.session.old = None
        self.show_now()

    def action_go(self, mode: str) -> None:
        """Go to a screen."""
        self.switch_mode(mode)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return the palette's entries."""
        from opeddev_tui.ui.palette import entries

        return (SystemCommand(item.title, item.help, item.do) for item in entries(self, screen, self.choose_theme))


def _palette() -> type[Provider]:
    from opeddev_tui.ui.palette import KeyCommands

    return KeyCommands

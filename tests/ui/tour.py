"""Opens every screen and every dialog of the app by keys, each with what it shows in use; exports pictures of them.

``python tests/ui/tour.py OUT [THEME [COLUMNSxLINES [STOP …]]]`` writes an SVG of each.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from engine import ScriptedEngine
from graded import disputes, raced_step
from graded import workspace as write_rows
from grader_child import FakeChildren
from many import export
from msgspec import Struct
from msgspec.structs import replace
from scenes import BATCHES, awaiting, run_id, until, write
from store import LORA_RUN, write_run
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import DataTable, Input, TextArea

from opeddev_tui import ui
from opeddev_tui.analysis.row_records import EncodedText, Part
from opeddev_tui.config import loading
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.keys import PLACES
from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
from opeddev_tui.ui.screens.checkpoints.try_prompt import TryScreen
from opeddev_tui.ui.screens.command_line.screen import CommandLine
from opeddev_tui.ui.screens.compare.screen import CompareScreen
from opeddev_tui.ui.screens.generations.blind import BlindScreen
from opeddev_tui.ui.screens.generations.grades import GradesScreen
from opeddev_tui.ui.screens.generations.grades import RowScreen as GradedRow
from opeddev_tui.ui.screens.generations.probes import ProbesScreen
from opeddev_tui.ui.screens.generations.screen import GenerationsScreen
from opeddev_tui.ui.screens.grader.choose import ChooseCheckpoint
from opeddev_tui.ui.screens.grader.correct import CorrectScreen
from opeddev_tui.ui.screens.grader.screen import GraderScreen
from opeddev_tui.ui.screens.grading.regrade import AskGrade, RegradeScreen
from opeddev_tui.ui.screens.grading.screen import GradingScreen
from opeddev_tui.ui.screens.help import HelpScreen
from opeddev_tui.ui.screens.log import LogScreen
from opeddev_tui.ui.screens.monitor.in_full import InFullScreen
from opeddev_tui.ui.screens.monitor.more import RateScreen
from opeddev_tui.ui.screens.monitor.screen import MonitorScreen
from opeddev_tui.ui.screens.note import NoteScreen
from opeddev_tui.ui.screens.quit import QuitScreen
from opeddev_tui.ui.screens.recovery import RecoveryScreen
from opeddev_tui.ui.screens.rows.row import RowScreen
from opeddev_tui.ui.screens.rows.screen import RowsScreen
from opeddev_tui.ui.screens.runs import RunsScreen
from opeddev_tui.ui.screens.setting_dialogs import ChoiceScreen, EditScreen, ManyScreen
from opeddev_tui.ui.screens.settings import SettingsScreen
from opeddev_tui.ui.state.data_scan import Scan
from opeddev_tui.ui.tasks.grader import GraderTasks
from opeddev_tui.ui.tasks.rows import RowTasks
from opeddev_tui.ui.widgets.dialogs import AskScreen, AskText
from opeddev_tui.ui.widgets.filter_box import FilterBox
from opeddev_tui.workspace.paths import Workspace


class Stop(Struct, frozen=True):
    """A screen or dialog: the keys that open it from anywhere, what is on top then, whether a text has the focus."""

    keys: tuple[str, ...]
    shown: type[Screen[Any]]
    text: bool = False


# of the workspace while nothing is trained
AT_REST: dict[str, Stop] = {
    "monitor": Stop(("1",), MonitorScreen),
    "note": Stop(("1", "o"), NoteScreen, text=True),
    "compare": Stop(("1", "C"), CompareScreen),
    "compare-filter": Stop(("1", "C", "slash"), CompareScreen, text=True),
    "generations": Stop(("2",), GenerationsScreen),
    "own-prompt": Stop(("2", "a"), NoteScreen, text=True),
    "blind": Stop(("2", "b"), BlindScreen),
    "blind-help": Stop(("2", "b", "question_mark"), HelpScreen),
    "grades": Stop(("2", "m"), GradesScreen),
    "graded-row": Stop(("2", "m", "enter"), GradedRow),
    "probes": Stop(("2", "t"), ProbesScreen),
    "probes-search": Stop(("2", "t", "slash"), ProbesScreen, text=True),
    "checkpoints": Stop(("3",), CheckpointsScreen),
    "checkpoints-filter": Stop(("3", "slash"), CheckpointsScreen, text=True),
    "train-from": Stop(("3", "enter"), AskScreen),
    "checkpoint-note": Stop(("3", "n"), AskText, text=True),
    "export": Stop(("3", "x"), AskText, text=True),
    "prune": Stop(("3", "D"), AskScreen),
    "try": Stop(("3", "t"), TryScreen, text=True),
    "try-template": Stop(("3", "t", "ctrl+t"), TryScreen, text=True),
    "try-row": Stop(("3", "t", "ctrl+r"), AskText, text=True),
    "try-file": Stop(("3", "t", "ctrl+o"), AskText, text=True),
    "log": Stop(("4",), LogScreen),
    "log-filter": Stop(("4", "slash"), LogScreen, text=True),
    "settings": Stop(("5",), SettingsScreen),
    "settings-filter": Stop(("5", "slash"), SettingsScreen, text=True),
    "setting": Stop(("5", "slash", *"resume_learning", "enter", "enter"), EditScreen, text=True),
    "choice": Stop(("5", "slash", *"policy", "enter", "enter"), ChoiceScreen),
    "choices": Stop(("5", "slash", *"trackers", "enter", "enter"), ManyScreen),
    "runs": Stop(("6",), RunsScreen),
    "runs-filter": Stop(("6", "slash"), RunsScreen, text=True),
    "other-seeds": Stop(("6", "j", "s"), AskScreen),
    "grading": Stop(("7", "alt+1"), GradingScreen),
    "trust": Stop(("7", "alt+2"), GradingScreen),
    "disputed": Stop(("7", "alt+3"), GradingScreen),
    "regrade": Stop(("7", "alt+3", "enter"), RegradeScreen),
    "regrade-grade": Stop(("7", "alt+3", "enter", "g"), AskGrade, text=True),
    "regrade-note": Stop(("7", "alt+3", "enter", "n"), AskText, text=True),
    "rows": Stop(("8",), RowsScreen),
    "rows-filter": Stop(("8", "slash"), RowsScreen, text=True),
    "row": Stop(("8", "enter"), RowScreen),
    "grader": Stop(("9",), GraderScreen),
    "grader-code": Stop(("9", "i"), GraderScreen, text=True),
    "grader-path": Stop(("9", "p"), GraderScreen, text=True),
    "grader-answer": Stop(("9", "i", *"<p>", "ctrl+g"), GraderScreen),
    "choose-checkpoint": Stop(("9", "escape", "f"), ChooseCheckpoint),
    "correct": Stop(("9", "i", "x", "ctrl+g", "escape", "c"), CorrectScreen, text=True),
    "help": Stop(("1", "question_mark"), HelpScreen),
    "palette": Stop(("1", "ctrl+p"), CommandPalette, text=True),
    "command-line": Stop(("1", "colon"), CommandLine, text=True),
}
# while a training waits for a decision
ASKED: dict[str, Stop] = {
    "question": Stop(("1",), MonitorScreen),
    "reasons": Stop(("1", "i"), InFullScreen),
    "more": Stop(("1", "e"), AskScreen),
    "next-rate": Stop(("1", "e", "l"), RateScreen, text=True),
    "next-batch": Stop(("1", "e", "b"), AskScreen),
    "beside-training": Stop(("3", "t"), AskScreen),
    "quit": Stop(("1", "q"), QuitScreen),
}


_MODES = {key: mode for key, mode, _ in PLACES}
STOPS = {**AT_REST, **ASKED}


def modules() -> list[ModuleType]:
    """Return all modules of the package's screens, imported."""
    return [importlib.import_module(found.name) for found in pkgutil.walk_packages(ui.__path__, f"{ui.__name__}.")]


def screens() -> set[type[Screen[Any]]]:
    """Return the classes of all screens and dialogs of the package."""
    modules()
    return {kind for kind in _below(Screen) if kind.__module__.startswith(f"{ui.__name__}.")}


def _below(kind: type) -> set[type]:
    return {kind, *(one for below in kind.__subclasses__() for one in _below(below))}


def make(folder: Path, theme: str = "opeddev-dark") -> OpeddevApp:
    """Return an app on a workspace with rows, checkpoints, a race, and a newest run that was cut off at a question."""
    tables = {
        "ui": {"theme": theme, "guard_ms": 0, "undo_seconds": 0.0},
        "paths": {"model_store": str(folder / "store")},
        "grade": {"task": "Centre a card."},
    }
    loaded = loading.resolve([loading.Layer("--set", tables)])
    (folder / "config.toml").touch()
    workspace, now = Workspace(folder, loaded.settings.paths), time.time()
    write_rows(folder)
    first = write_run(workspace, run_id(0), 0)
    write_run(workspace, LORA_RUN, 1, lora=True, parent=str(first[-1]))
    holdout = load_holdout(folder, loaded.settings).version
    for run, events in (
        ("20260103-000000-step1-raced", raced_step(1, now - 3600)),
        ("20260104-000000-step2-asked", awaiting(now - 600)),
    ):
        write(workspace, run, _named(run, holdout, events))
    workspace.log.write_text("loading shard 1 of 2\nFutureWarning: this will change\nRuntimeError: out of memory\n")
    return OpeddevApp(folder, loaded, runner=ScriptedEngine())


def _named(run: str, holdout: str, events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """Return ``events`` as those of ``run``, on the workspace's hold-out, whose grades get better with each epoch."""
    named: list[ev.AnyEvent] = []
    for event in events:
        if isinstance(event, ev.RunStarted):
            event = replace(event, run=run, holdout_fingerprint=holdout)
        if isinstance(event, ev.GradesMeasured):
            read = tuple((row + (3 - event.epoch) * (row % 3)) % 5 + 1 for row in range(10))
            event = replace(event, predicted=read, reference=tuple(row % 5 + 1 for row in range(10)))
        named.append(event)
    return named


@asynccontextmanager
async def fake_graders() -> AsyncIterator[FakeChildren]:
    """Let graders and encoders of rows be answered here, without processes that load models for seconds."""
    children = FakeChildren()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraderTasks, "open", lambda tasks, source, **more: children.open(tasks, source, **more))
        patch.setattr(RowTasks, "prepare", lambda _tasks: None)
        patch.setattr(RowTasks, "_asked", _encoded)
        yield children


async def _encoded(_tasks: RowTasks, _line: bytes) -> EncodedText:
    return EncodedText((Part("prompt", "as the model sees it", 5), Part("loss", "Grade: 3", 3)), max_length=96)


def _ready(screen: Screen[Any]) -> bool:
    """Return whether what a screen reads in the background is there, so that its keys have something to do."""
    if isinstance(screen, CheckpointsScreen):
        return screen.shelf is not None
    if isinstance(screen, GradingScreen):
        return screen.corrections.rows is not None and screen.trust_is_there
    if isinstance(screen, RowsScreen):
        return bool(screen.chosen)
    if isinstance(screen, GraderScreen):
        return not screen.desk.busy
    tables = screen.query(DataTable)
    return screen.is_running and (not tables or any(table.row_count for table in tables))


async def go(app: OpeddevApp, pilot: Pilot[str], stop: Stop, *, but_last: bool = False) -> None:
    """Close every dialog and filter, then open ``stop``; ``but_last``: up to its last key."""
    while len(app.screen_stack) > 1:
        if isinstance(app.screen, CommandPalette):
            # its search must be told
            await pilot.press("escape")
        else:
            app.pop_screen()
        await pilot.pause()
    for box in app.screen.query(FilterBox):
        box.drop()
    if isinstance(app.focused, Input | TextArea):
        app.screen.set_focus(None)
    for at, key in enumerate(stop.keys[:-1] if but_last else stop.keys):
        await until(pilot, lambda: _ready(app.screen))
        if stop.keys[at - 1] == "alt+3" and isinstance(app.screen, GradingScreen):
            app.screen.corrections.take_disputed(disputes(app.screen))
        await pilot.press(key)
        if at == 0:
            await until(pilot, lambda: app.current_mode == _MODES[stop.keys[0]] and len(app.screen_stack) == 1)
    await until(pilot, lambda: but_last or type(app.screen) is stop.shown)
    await until(pilot, lambda: _ready(app.screen))
    await pilot.pause()


async def tour(
    app: OpeddevApp, pilot: Pilot[str], names: Collection[str] = (), *, but_last: bool = False
) -> AsyncIterator[str]:
    """Open one screen or dialog after the other (those in ``names``, else all) and yield its name.

    ``but_last``: the last key of each is left to the caller.
    """
    await until(pilot, lambda: isinstance(app.screen, RecoveryScreen) and app.disk.opened)
    for group in ("watch", "follow"):
        app.workers.cancel_group(app, group)
    if not names or "recovery" in names:
        yield "recovery"
    await pilot.press("escape")
    for name, stop in AT_REST.items():
        if not names or name in names:
            await go(app, pilot, stop, but_last=but_last)
            yield name
    if names and not set(names) & set(ASKED):
        return
    app.session.scan = Scan(BATCHES)
    app.start_training(StepRequest(new=True))
    # a key counts for what is shown
    await until(pilot, lambda: app.session.shown.situation.offers_action("more") and app.live.running)
    for name, stop in ASKED.items():
        if not names or name in names:
            await go(app, pilot, stop, but_last=but_last)
            yield name
    app.live.stop("the tour is over")
    await until(pilot, lambda: not app.live.running)


async def _pictures(out: Path, theme: str, size: tuple[int, int], names: Collection[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = make(Path(folder), theme)
        async with fake_graders(), app.run_test(size=size) as pilot:
            async for name in tour(app, pilot, names):
                for _ in range(4):
                    await pilot.pause(0.03)
                export(app, out / f"{name}-{size[0]}x{size[1]}-{theme}.svg")


if __name__ == "__main__":
    target, *more = (Path(sys.argv[1]), *sys.argv[2:])
    target.mkdir(parents=True, exist_ok=True)
    columns, _, lines = (more[1] if len(more) > 1 else "120x40").partition("x")
    asyncio.run(_pictures(target, more[0] if more else "opeddev-dark", (int(columns), int(lines)), more[2:]))

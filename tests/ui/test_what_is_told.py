"""What the app tells: good news in the status line, problems where they cover no key, one word for one thing."""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import msgspec
import pytest
import scenes
from scenes import make, opened, run_id, settle, trained, training, until, write
from test_app import LARGE, MIDDLE, SMALL, text_of
from textual.widgets._toast import Toast

from opeddev_tui.cli import main
from opeddev_tui.commands import open as open_command
from opeddev_tui.commands.console import ConsoleView
from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.commands.status import run as show_status
from opeddev_tui.config import loading
from opeddev_tui.demo.workspace import CONFIG
from opeddev_tui.runs.events import (
    AnyEvent,
    DataPrepared,
    Interrupted,
    Paused,
    RankPlace,
    RankSilent,
    RanksStarted,
    RunFinished,
    Warned,
)
from opeddev_tui.runs.state import reduce
from opeddev_tui.ui import process
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.screens.monitor.epochs import EpochsPane
from opeddev_tui.ui.state.situation_text import situation
from opeddev_tui.ui.state.view import BatchRow, RunRow, View
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.setup import make_workspace

NOW = time.time()
LONG = "the disk is full: no space left on the device that holds the model store. Free some space there. " * 3


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
@pytest.mark.parametrize("name", ["awaiting", "failed", "ready", "paused"])
async def test_problems_cover_no_key(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    app = make(tmp_path, name)
    async with app.run_test(size=size, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, name)
        for number in range(4):
            app.tell(f"{number}: {LONG}", severity="error" if number % 2 else "warning")
        await until(pilot, lambda: len(app.screen.query(Toast)) >= 4)
        await pilot.pause()
        rack = app.screen.query_one("ToastRack").region
        for bar in ("#decision", "#keys", "#places", "#status", "#tabs"):
            assert not rack.overlaps(app.screen.query_one(bar).region), bar


async def test_good_news_are_in_the_status_line(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        app.clear_notifications()
        app.tell("Saved and verified: optimizer step 150.")
        await pilot.pause()
        assert "your decision │ Saved and verified: optimizer step 150." in text_of(app).splitlines()[1]
        assert not app._notifications


async def test_ctrl_c_names_the_key_of_the_footer(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "q quits" in text_of(app)
        assert "q Quit" in text_of(app)
        assert "ctrl+q" not in text_of(app)


async def test_a_demo_right_after_a_new_workspace_leaves_nothing_unawaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app = OpeddevApp(None, loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0}})]))
        async with app.run_test(size=SMALL) as pilot:
            await opened(pilot)
            app.make_workspace()
            app.run_demo()
            await pilot.pause()
    assert app.return_value == "demo"


@pytest.mark.parametrize(("names", "keys", "opens"), [
    (["opeddev-demo"], ["O"], "opeddev-demo"),
    (["'odd' name", "b"], ["O", "2"], "b"),
    (["'odd' name", "b"], ["O", "1"], "'odd' name"),
    (["a", "b"], ["O", "escape", "q"], None),
])  # fmt: skip
async def test_a_workspace_in_the_folder_is_opened_by_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], keys: list[str], opens: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        make_workspace(tmp_path / name)
    app = OpeddevApp(None, loading.resolve([loading.Layer("test", {"ui": {"guard_ms": 0}})]))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        said = text_of(app)
        assert "This folder is no workspace" in said
        assert all(name in said for name in names)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
    assert app.opens == (tmp_path / opens if opens else None)


def test_the_app_starts_anew_in_the_workspace_it_was_left_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path | None, bool]] = []

    def run_app(root: Path | None, *_: object, read_only: bool, **__: object) -> int | str:
        asked.append((root, read_only))
        return 3 if root else str(tmp_path / "mine")

    monkeypatch.chdir(tmp_path)
    make_workspace(tmp_path / "mine")
    monkeypatch.setattr(process, "run_app", run_app)
    monkeypatch.setattr(open_command, "split", lambda: None)
    assert main(["open", "--view"]) == 3
    assert asked == [(None, True), (tmp_path / "mine", True)]


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
async def test_the_grades_stay_where_they_are_when_a_decision_is_asked_for(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    headings = set()
    for name in ("training", "awaiting", "finished"):
        (tmp_path / name).mkdir()
        app = make(tmp_path / name, name)
        async with app.run_test(size=size) as pilot:
            await opened(pilot)
            await settle(app, name)
            await pilot.press("tab", "tab")
            epochs = app.screen.query_one(EpochsPane)
            await until(pilot, lambda epochs=epochs: epochs.plain_text())
            headings.add(epochs.plain_text().splitlines()[0])
    assert len(headings) == 1
    assert {"exact", "±1", "kappa"} <= set(headings.pop().split())


async def test_the_decision_names_the_grades_and_what_they_must_beat(tmp_path: Path) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        await pilot.pause()
        assert "Grades: 54% exact (to beat: 41%), 81% within one (to beat: 64%), kappa 0.46." in text_of(app)


async def test_runs_has_the_run_that_trains(tmp_path: Path) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=MIDDLE) as pilot:
        await opened(pilot)
        await settle(app, "training")
        app.session.rows = ()
        await pilot.press("6")
        await until(pilot, lambda: "▶ training" in text_of(app))
        assert "No runs yet" not in text_of(app)


async def test_a_replay_says_nothing_of_what_comes_next(tmp_path: Path) -> None:
    app = make(tmp_path, "finished")
    async with app.run_test(size=MIDDLE) as pilot:
        await opened(pilot)
        await settle(app, "finished")
        state = reduce(trained(0, 1_700_000_000.0))
        app.session.old = RunRow(run_id(0), state, "finished")
        app.show_now()
        await pilot.pause()
        shown = text_of(app)
        assert "This is the run as it was." in shown
        assert "next step" not in shown.lower().replace("s next step", "")
        assert "starts from" not in shown


def test_a_pause_is_at_the_step_of_its_event() -> None:
    # the last logged point is older: not every optimizer step is logged
    state = reduce([*training(1_700_000_000.0), Paused(global_step=79)])
    shown = situation(View(state=state, trained_by="mine", now=state.last_event_at))
    assert "optimizer step 79" in shown.lines[0]


def test_status_says_what_becomes_of_a_step_that_is_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    for name in ("processed_webdev_coding", "incremental/batch_100_01", "incremental/batch_100_02"):
        folder = tmp_path / "datasets" / name
        folder.mkdir(parents=True)
        (folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    workspace = Workspace(tmp_path, loading.load(tmp_path).settings.paths)
    write(workspace, run_id(0), trained(0, 1_700_000_000.0))
    with RunLock(workspace):
        write(workspace, run_id(1), training(time.time()))
        show_status(argparse.Namespace(workspace=tmp_path, overrides=[], json=False))
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [row[3].strip() for row in rows if row[1].strip()] == ["trained", "training", "waiting"]


def with_two_processes(at: float) -> list[AnyEvent]:
    """Return a training with two processes on two machines, one of which is silent."""
    events = [
        msgspec.structs.replace(event, processes=2) if isinstance(event, DataPrepared) else event
        for event in training(at)
    ]
    places = tuple(RankPlace(rank, f"node{rank}", "NVIDIA L4", 100 + rank) for rank in range(2))
    return [
        *events,
        RanksStarted(at=at, ranks=places, backend="nccl"),
        RankSilent(at=at, rank=1, host="node1", since=at - 15),
    ]


async def test_processes_their_rows_per_step_and_a_silent_one_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scenes.SCENES, "training", with_two_processes)
    app = make(tmp_path, "training")
    async with app.run_test(size=LARGE) as pilot:
        await opened(pilot)
        await settle(app, "training")
        await pilot.pause()
        shown = text_of(app)
        assert "2 processes, 4 rows per step" in shown.splitlines()[1]
        assert "on 2 machines · 4 rows per step" in shown
        assert "! rank 1 on node1 gives no sign; the training waits for it." in shown


def test_a_training_in_the_terminal_names_processes_and_a_silent_one(capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleView(CleanConsole()) as view:
        for event in with_two_processes(time.time() + 60):
            view.emit(event)
    printed = capsys.readouterr().out
    assert "2 processes, 4 rows per optimizer step" in printed
    assert "2 processes on node0 (NVIDIA L4), node1 (NVIDIA L4), by nccl" in printed
    assert "rank 1 on node1 gives no sign; the training waits for it" in printed


def test_a_step_that_ends_speaks_of_no_further_epoch() -> None:
    events = trained(1, 1_700_000_000.0)
    state = reduce(events[: next(at for at, event in enumerate(events) if isinstance(event, RunFinished))])
    assert state.decisions[-1].choice == "stop"
    state.status = "training"
    shown = situation(View(state=state, run="r", trained_by="mine", now=state.last_event_at))
    assert shown.lines[0].startswith("The step ends")
    assert not shown.offers


async def test_a_stop_on_its_way_is_shown_and_one_that_is_dropped_is_told(tmp_path: Path) -> None:
    app = make(tmp_path, "training")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, "training")
        session = app.session
        session.guard.set_times(0.0, 60.0)
        assert session.stop_now()
        session.current.apply(Paused(global_step=3))
        app.show_now()
        app.show_now()
        assert "Not done, because something else is asked now: Stop" in session.shown.told
        session.guard.set_times(0.0, 0.0)
        assert session.stop_now()
        assert session.send_due() is not None
        assert session.view().requested == ("stopping",)
        session.apply([Interrupted(reason="stopped by the person", checkpoint="c", global_step=3)])
        assert not session.view().requested


async def test_several_problems_have_a_line_each(tmp_path: Path) -> None:
    app = make(tmp_path, "ready")
    async with app.run_test(size=MIDDLE, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, "ready")
        app.tell("\n".join(f"file {number}: it is cut off." for number in range(1, 6)), severity="error")
        await until(pilot, lambda: "file 3" in text_of(app))
        lines = [" ".join(line.split()) for line in text_of(app).splitlines()]
        assert all(sum("file" in line and f"file {number}:" in line for line in lines) == 1 for number in (1, 2, 3))
        assert not any("file 1:" in line and "file 2:" in line for line in lines)
        assert any("… and 2 more" in line for line in lines)
        app.tell("The first is done.\nThe second too.")
        await until(pilot, lambda: "The first is done. · The second too." in text_of(app))
        assert "⏎" not in text_of(app)


async def test_what_is_told_can_be_read_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app, end = make(tmp_path, "awaiting"), "Note: the last words of it."
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        with caplog.at_level("INFO", "opeddev_tui.ui"):
            app.tell(f"card.css: grade 2, in batch_corrections_01 (1 row): data of step 3. {LONG}{end}")
            app.tell(f"{LONG}{end}", severity="error")
            app.announcer.tell([Warned(at=time.time() + 60, message="a run's own log has this", routine=True)])
    assert [record.levelname for record in caplog.records if record.message.endswith(end)] == ["INFO", "ERROR"]
    assert "a run's own log" not in caplog.text


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
async def test_what_the_status_line_cuts_names_the_log(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make(tmp_path, "awaiting")
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await settle(app, "awaiting")
        app.tell(LONG)
        await pilot.pause()
        assert text_of(app).splitlines()[1].rstrip().endswith("… (4 Log: all)")


@pytest.mark.parametrize(("events", "said"), [
    ([], True), (training(NOW), False), (scenes.awaiting(NOW), False),
    ([scenes.started(at=NOW)], True), ([scenes.started(at=NOW), scenes.question(1, NOW)], True),
    ([scenes.started(at=NOW), scenes.question(1, NOW), scenes.decided(1, NOW)], False),
])  # fmt: skip
def test_what_a_demo_is_for_is_said_until_the_first_decision(events: list[AnyEvent], *, said: bool) -> None:
    row = BatchRow("base", 0, 100, following=True)
    for demo in (True, False):
        view = View(now=NOW, workspace="/w/my-demo", demo=demo, state=reduce(events), batches=(row,),
                    trained_by="mine" if events else "none")  # fmt: skip
        found = situation(view)
        lines = [line for line in (*found.lines, *found.details) if line.startswith("The demo, in my-demo, shows")]
        assert bool(lines) == (said and demo), found


async def test_a_workspace_with_the_toy_model_is_the_demo(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    app = OpeddevApp(tmp_path, loading.load(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        assert app.session.view().demo

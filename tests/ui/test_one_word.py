"""One fact has one word: in every state of a workspace ``status``, its JSON, the monitor and the palette agree."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from leftovers import ended
from msgspec import Struct
from scenes import awaiting, make, opened, run_id, trained, training, until, write
from test_app import text_of

from opeddev_tui.analysis.workspace_steps import read_steps
from opeddev_tui.commands import status as command
from opeddev_tui.config import loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import manifest
from opeddev_tui.runs.history import list_runs
from opeddev_tui.training import step_data
from opeddev_tui.training.plan import StepPlan
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.palette import entries
from opeddev_tui.ui.screens.monitor.inventory import InventoryPane
from opeddev_tui.ui.widgets.bars import StatusLine
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace

BASE, ONE, TWO = "processed_webdev_coding", "incremental/batch_100_01", "incremental/batch_100_02"
HOLDOUT = "holdout_webdev_coding"
ALL = (BASE, ONE, TWO, HOLDOUT)
Events = Callable[[float], list[ev.AnyEvent]]


def stopped(at: float) -> list[ev.AnyEvent]:
    return [*training(at), ev.Interrupted(reason="stopped by the person", checkpoint="c", global_step=72)]


def paused(at: float) -> list[ev.AnyEvent]:
    return [*training(at), ev.Paused(at=at, global_step=72)]


def failed(*, resumable: bool = True, again: bool = True) -> Events:
    event = ev.RunFailed(kind="storage", message="the disk is full.", resumable=resumable, again=again)
    return lambda at: [*training(at), event]


class Case(Struct, frozen=True):
    """A state of a workspace, and what has to be said of it: the words of the steps, the kind, what comes next."""

    name: str
    words: str
    kind: str
    next: str = ""
    sets: Sequence[str] = ALL
    wrong: Sequence[str] = ()
    # sets whose rows are others since the runs
    changed: Sequence[str] = ()
    runs: Sequence[Events] = ()
    # another process holds the lock, and trains the last of the runs
    lives: bool = False
    trains: bool = False


FIRST: Events = lambda at: trained(0, at)  # noqa: E731 - a row of the table
SECOND: Events = lambda at: trained(1, at)  # noqa: E731 - a row of the table
STEP_0, STEP_1, STEP_2 = "step 0 (base)", "step 1 (batch_100_01)", "step 2 (batch_100_02)"

CASES = [
    Case("nothing", "", "empty", "no data", sets=()),
    Case("base only, without a hold-out", "next", "problem", "cannot", sets=(BASE,)),
    Case("base wrong", "problem waiting waiting", "problem", "cannot", wrong=(BASE,)),
    Case("hold-out wrong", "next waiting waiting", "problem", "cannot", wrong=(HOLDOUT,)),
    Case("ready", "next waiting waiting", "ready", STEP_0),
    Case("a later batch wrong", "next waiting problem", "ready", STEP_0, wrong=(TWO,)),
    Case("about to begin", "starting waiting waiting", "starting", lives=True),
    Case("training", "trained training waiting", "training", runs=(FIRST, training), lives=True, trains=True),
    Case("paused", "trained paused waiting", "paused", runs=(FIRST, paused), lives=True, trains=True),
    Case("awaiting", "trained awaiting waiting", "awaiting", runs=(FIRST, awaiting), lives=True, trains=True),
    Case("resuming", "trained starting waiting", "starting", runs=(FIRST, stopped), lives=True),
    Case("resuming one that died", "trained starting waiting", "starting", runs=(FIRST, training), lives=True),
    Case("stopped", "trained interrupted waiting", "interrupted", f"resume {STEP_1}", runs=(FIRST, stopped)),
    Case("died", "trained interrupted waiting", "interrupted", f"resume {STEP_1}", runs=(FIRST, training)),
    Case("died at the question", "trained interrupted waiting", "interrupted", f"resume {STEP_1}",
         runs=(FIRST, awaiting)),
    Case("stopped, then the data went wrong", "trained problem waiting", "interrupted", "cannot",
         runs=(FIRST, stopped), wrong=(ONE,)),
    *(Case(f"{name}, then its rows changed", f"trained {word} waiting", word, "cannot", runs=(FIRST, events),
           changed=(ONE,))
      for name, word, events in (("stopped", "interrupted", stopped), ("died", "interrupted", training),
                                 ("died at the question", "interrupted", awaiting), ("failed", "failed", failed()))),
    Case("stopped, then the hold-out changed", "trained interrupted waiting", "interrupted", "cannot",
         runs=(FIRST, stopped), changed=(HOLDOUT,)),
    Case("failed for good, then its rows changed", "trained failed waiting", "failed", STEP_1,
         runs=(FIRST, failed(resumable=False)), changed=(ONE,)),
    Case("stopped, then a later batch changed", "trained interrupted waiting", "interrupted", f"resume {STEP_1}",
         runs=(FIRST, stopped), changed=(TWO,)),
    Case("finished, then the hold-out changed", "trained trained next", "finished", "cannot", runs=(FIRST, SECOND),
         changed=(HOLDOUT,)),
    Case("failed", "trained failed waiting", "failed", f"resume {STEP_1}", runs=(FIRST, failed())),
    Case("failed for good", "trained failed waiting", "failed", STEP_1, runs=(FIRST, failed(resumable=False))),
    Case("finished", "trained trained next", "finished", STEP_2, runs=(FIRST, SECOND)),
    Case("finished, the next batch wrong", "trained trained problem", "finished", "cannot", runs=(FIRST, SECOND),
         wrong=(TWO,)),
    Case("finished, the hold-out gone", "trained trained next", "finished", "cannot", runs=(FIRST, SECOND),
         sets=(BASE, ONE, TWO)),
    Case("all trained", "trained trained", "finished", "all trained", runs=(FIRST, SECOND), sets=(BASE, ONE, HOLDOUT)),
]  # fmt: skip


def lay(root: Path, case: Case) -> None:
    """Make the workspace of ``case`` at ``root``."""
    for name in ("incremental", HOLDOUT, BASE):
        (root / "datasets" / name).mkdir(parents=True)
    for name in case.sets:
        write_rows(root / "datasets" / name)
    if HOLDOUT not in case.sets and case.sets:
        (root / "datasets" / HOLDOUT).rmdir()
    settings = loading.load(root).settings
    workspace = Workspace(root, settings.paths)
    for number, events in enumerate(case.runs[: -1 if case.trains else None]):
        write(workspace, run_id(number), events(time.time() - 1000))
    if case.runs and HOLDOUT in case.sets:
        remember(workspace, settings)
    for name in case.wrong:
        write_rows(root / "datasets" / name, end='{"prompt": "cut')
    for name in case.changed:
        write_rows(root / "datasets" / name, word="replies")


def write_rows(folder: Path, *, word: str = "answers", end: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"prompt": f"{folder.name} asks {at} things", "completion": f"{folder.name} {word} {at}"} for at in range(3)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows) + end)


def remember(workspace: Workspace, settings: Settings) -> None:
    """Write what a training leaves beside the journals: which hold-out it was, and what the newest run trains on."""
    records = list_runs(workspace)
    found = read_steps(workspace, settings, records)
    chosen = found.data_of(records[-1].step)
    plan = StepPlan(records[-1].step, chosen[-1], None, None, data=chosen)
    data = step_data.read_step(workspace, settings, plan)
    step_data.record_holdout(workspace, data)
    left = manifest.RunManifest(
        run=records[-1].id,
        step=plan.step,
        data=msgspec.convert(data.describe(workspace), manifest.DataRecord),
        settings=manifest.masked(msgspec.to_builtins(settings)),
    )
    workspace.run_manifest(records[-1].id).write_bytes(manifest.encode(left))


@contextmanager
def process_of(workspace: Workspace, case: Case) -> Iterator[None]:
    """Have another process hold the lock as one that trains does; what it records comes after it took the lock."""
    if not case.lives:
        yield
        return
    code = (
        "import sys; from pathlib import Path; from opeddev_tui.config import loading\n"
        "from opeddev_tui.workspace.lock import RunLock; from opeddev_tui.workspace.paths import Workspace\n"
        "root = Path(sys.argv[1])\n"
        "with RunLock(Workspace(root, loading.load(root).settings.paths)):\n"
        "    print('holds', flush=True); sys.stdin.read()"
    )
    started = [sys.executable, "-c", code, str(workspace.root)]
    with ended(subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        if case.trains:
            number = len(case.runs) - 1
            write(workspace, run_id(number), case.runs[number](time.time()))
        yield
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def said(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, object], list[str], str]:
    """Return what ``status`` says: as values, the words of its table, and as text without line breaks."""
    overrides = [f'paths.model_store="{root / "store"}"']
    asked = argparse.Namespace(workspace=root, overrides=overrides, json=True)
    capsys.readouterr()
    assert command.run(asked) == 0
    values = json.loads(capsys.readouterr().out)
    asked.json = False
    assert command.run(asked) == 0
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")] for line in out.splitlines() if line.startswith("│")]
    return values, [row[3] for row in rows if row[1]], " ".join(out.split())


def check_next(case: Case, values: dict[str, object], text: str, app: OpeddevApp) -> None:
    """Compare what comes next in ``status`` and what the bar offers."""
    view = app.session.shown
    offers = {offer.action: f"{offer.label}: {offer.effect}" for offer in view.situation.offers}
    bar = " ".join(view.situation.lines)
    begins = offers.get("start", "")
    assert ("Cannot train yet" in text) == (case.next == "cannot") == bool(values["problems"])
    assert ("Cannot train yet" in f"{view.situation.headline} {bar}") == (case.next == "cannot")
    assert ("All batches are trained." in text) == ("All batches are trained." in bar) == (case.next == "all trained")
    assert ("No data yet" in text) == (view.situation.headline == "No data yet") == (case.next == "no data")
    trains = case.next.startswith(("step", "resume"))
    assert bool(begins) == trains
    assert ("Next: " in text) == trains
    if trains:
        resumes, _, step = case.next.rpartition("step ")
        assert text.count(f"step {step}: opeddev-tui train") == 1
        assert ("resume run" in text) == bool(resumes) == (values["resumes"] is not None)
        # "Try again" says from where
        assert any(word in begins for word in ("Resume", "verified checkpoint")) == bool(resumes)
        assert view.next_batch is not None
        assert f"{view.next_batch.number} ({view.next_batch.name})" == step


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_place_says_the_same(tmp_path: Path, case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    app = make(tmp_path, "empty")
    lay(tmp_path, case)
    with process_of(app.provider.workspace, case):
        values, table, text = said(tmp_path, capsys)
        async with app.run_test(size=(120, 40)) as pilot:
            await opened(pilot)
            await until(pilot, lambda: app.session.scan is not None)
            app.show_now()
            if case.next == "cannot":
                # found out after the rows are read, by what ``opened`` has ended
                await app.disk._look_whether_refused()
                app.show_now()
            await pilot.pause()
            view = app.session.shown
            assert view.situation.kind == case.kind
            # the table of ``status``, its JSON and the pane of batches have the same words
            words = case.words.split()
            assert [row.state for row in view.batches] == words
            assert table == words
            assert [step["state"] for step in values["steps"]] == words or not case.sets  # type: ignore[attr-defined]
            pane = app.screen.query_one(InventoryPane).plain_text()
            assert all(word in pane for word in words)
            # so have the list of runs, the status line and the palette
            runs: list[dict[str, object]] = values["runs"]  # type: ignore[assignment]
            assert [row.status for row in app.session.all_runs()] == [run["status"] for run in reversed(runs)]
            line = str(app.screen.query_one(StatusLine).content)
            assert case.kind in line
            assert ("A training runs in process" in text) == case.lives == view.alive
            titles = [entry.title for entry in entries(app, app.screen, app.choose_theme)]
            offered = [f"{offer.label}  ({offer.key})" for offer in view.situation.offers]
            assert titles[: len(offered)] == offered
            assert "Traceback" not in text_of(app)
            check_next(case, values, text, app)


def test_a_step_in_training_says_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").touch()
    lay(tmp_path, Case("", "", "", runs=(FIRST, awaiting), trains=True))
    workspace = Workspace(tmp_path, loading.load(tmp_path).settings.paths)
    with RunLock(workspace):
        write(workspace, run_id(1), awaiting(time.time()))
        _, _, text = said(tmp_path, capsys)
    assert "│ 1 │ batch_100_01 │ awaiting │ 3 of 3 │ 0.9641 │" in text
    assert "│ 0 │ base │ trained │ 3 │ 0.9641 │" in text
    assert "Your decision is awaited after epoch 3" in text


def test_a_training_that_has_been_silent_for_long_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").touch()
    lay(tmp_path, Case("", "", "", runs=(FIRST, training), trains=True))
    workspace = Workspace(tmp_path, loading.load(tmp_path).settings.paths)
    with RunLock(workspace):
        write(workspace, run_id(1), training(time.time()))
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        _, _, text = said(tmp_path, capsys)
    assert "No event for 1 h 00 min: it may be stalled." in text

"""Several seeds on the Runs screen: which belong together, another one taken, more begun in a process of their own."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import engine_helpers as eh
import pytest
import screen_text
from engine import ScriptedEngine
from recorded_training import without_learning
from scenes import until

from opeddev_tui import launch
from opeddev_tui.cli import main
from opeddev_tui.config.loading import load
from opeddev_tui.reports.report import write_report
from opeddev_tui.runs.groups import list_groups
from opeddev_tui.runs.history import finished_steps, list_runs
from opeddev_tui.runs.journal import Journal
from opeddev_tui.ui.app import OpeddevApp
from opeddev_tui.ui.palette import entries
from opeddev_tui.ui.screens.monitor.inventory import InventoryPane
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.widgets.dialogs import AskScreen
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.workspace.lock import RunLock

Make = Callable[..., Path]


@pytest.fixture
def root(workspace_factory: Make, children: object) -> Path:  # noqa: ARG001 - nothing is learnt here
    """A workspace whose step was trained with two seeds, the second of which is the step's."""
    root = workspace_factory(batches=(20,))
    assert main(["train", "-w", str(root), "--seeds", "2"]) == 0
    return root


@pytest.fixture
def undecided(workspace_factory: Make, children: object) -> Path:  # noqa: ARG001 - nothing is learnt here
    """A workspace whose first step was trained with two seeds, of which a person is to choose one."""
    root = workspace_factory(batches=(20,))
    assert main(["train", "-w", str(root), "--seeds", "2", "--choose", "ask"]) == 0
    return root


def said(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """Return what ``status`` says, as values and as text without line breaks."""
    capsys.readouterr()
    assert main(["status", "-w", str(root), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert main(["status", "-w", str(root)]) == 0
    return values, " ".join(capsys.readouterr().out.split())


async def test_where_no_seed_is_chosen_every_place_says_to_choose_one(
    undecided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (record.id for record in list_runs(eh.workspace_of(undecided)))
    values, text = said(undecided, capsys)
    assert values["undecided"] == {"step": 0, "seeds": 2, "left": 0, "finished": [first, second]}
    assert (values["next_step"], values["resumes"]) == ({"step": 0, "batch": "base"}, None)
    assert [step["state"] for step in values["steps"]] == ["undecided", "waiting"]
    chosen = "none of them is chosen. Choose one: opeddev-tui checkpoints take"
    assert f"Next: step 0 was trained with 2 seeds, and {chosen}" in text
    assert f"{first} (or another)." in text
    engine = ScriptedEngine()
    app = OpeddevApp(undecided, load(undecided, environment={}), runner=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.disk.opened and app.session.scan is not None)
        await pilot.pause()
        shown = app.session.shown
        assert [row.state for row in shown.batches] == ["undecided", "waiting"]
        assert "? undecided" in app.screen.query_one(InventoryPane).plain_text()
        assert [offer.label for offer in shown.situation.offers] == ["Choose a seed"]
        assert "none of them is chosen. In Runs (6) a takes the selected one." in " ".join(shown.situation.lines)
        titles = [entry.title for entry in entries(app, app.screen, app.choose_theme)]
        assert titles[0] == "Choose a seed  (6)"
        # the key that starts says so too, and starts nothing
        await pilot.press("t")
        await until(pilot, lambda: "none of them is chosen" in screen_text.words_of(app.screen))
        assert engine.starts == []
        await pilot.press("6")
        await until(pilot, lambda: app.screen.query_one(Grid).selected == second)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("t")
        await until(pilot, lambda: [row.state for row in app.session.shown.batches] == ["trained", "next"])
        await pilot.press("1")
        assert app.session.shown.situation.offers_action("start")
    values, text = said(undecided, capsys)
    assert (values["undecided"], values["steps"][0]["state"]) == (None, "trained")
    assert "Next: step 1 (batch_100_01): opeddev-tui train" in text


async def test_where_seeds_are_left_the_app_offers_no_start_and_says_what_goes_on_with_them(
    undecided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = eh.workspace_of(undecided)
    # as if the second one had been killed at its end
    eh.take_back_end(undecided)
    values, text = said(undecided, capsys)
    assert values["undecided"]["left"] == 1
    assert (values["resumes"], values["steps"][0]["state"]) == (None, "interrupted")
    told = "tep 0 is trained with 2 seeds, and 1 of them are not done. Go on with them: opeddev-tui train"
    assert f"Next: s{told}" in text
    shutil.rmtree(workspace.run_folder(list_runs(workspace)[-1].id))
    assert said(undecided, capsys)[0]["steps"][0]["state"] == "interrupted"
    app = OpeddevApp(undecided, load(undecided, environment={}), runner=ScriptedEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.disk.opened and app.session.scan is not None)
        await pilot.pause()
        assert app.session.shown.situation.offers == ()
        assert f"S{told}"[:60] in " ".join(app.session.shown.situation.lines)


async def test_another_seed_is_taken_and_more_are_begun(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Sequence[str]] = []
    monkeypatch.setattr(launch, "start_detached", lambda _workspace, words: begun.append(words) or 7)
    workspace = eh.workspace_of(root)
    first, second = list_runs(workspace)
    app = OpeddevApp(root, load(root, environment={}))
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: app.disk.opened)
        await pilot.press("6")
        await until(pilot, lambda: "seed 43, the step's" in screen_text.text_of(app.screen))
        assert "finished, seed 42 " in screen_text.text_of(app.screen)
        grid = app.screen.query_one(Grid)
        await pilot.press("down")
        await until(pilot, lambda: grid.selected == first.id)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("t")
        await until(pilot, lambda: finished_steps(list_runs(workspace))[0].id == first.id)
        await until(pilot, lambda: "seed 42, the step's" in screen_text.text_of(app.screen))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("4")
        await until(pilot, lambda: bool(begun))
    assert begun[0][:4] == ["repeat", first.id, "-w", str(root)]
    assert "--seeds=4" in begun[0]
    assert second.id != first.id


def test_a_seed_that_trains_beside_another_is_told_as_living(root: Path) -> None:
    with without_learning():
        eh.train(root)
    workspace = eh.workspace_of(root)
    reader = WorkspaceReader(root, load(root, environment={}))
    run = list_groups(workspace)[0].members[0].run
    path = workspace.run_folder(run) / "events.jsonl"
    # as if it had not ended yet
    path.write_bytes(b"".join(line for line in path.read_bytes().splitlines(True) if b"RunFinished" not in line))
    with RunLock(workspace):
        assert {row.run: row.status for row in reader.runs()}[run] == "interrupted"
        journal = Journal(workspace.run_folder(run))
        assert reader.lives(run)
        assert {row.run: row.status for row in reader.runs()}[run] == "training"
        journal.close()
    assert not reader.lives(run)


def test_the_report_has_every_seed_and_the_spread(root: Path) -> None:
    workspace = eh.workspace_of(root)
    _, markdown = write_report(workspace, list_runs(workspace))
    text = markdown.read_text()
    assert "## Seeds" in text
    assert "the step's run" in text
    assert "mean (least to greatest, sd)" in text
    assert "seed 42, not chosen" in text

"""Several seeds on the Runs screen: which belong together, another one taken, more begun in a process of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import engine_helpers as eh
import pytest
import screen_text
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

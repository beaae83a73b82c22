"""Plots after a step: on a thread of their own, without the run's lock, in turn with other processes."""

import multiprocessing
import threading
from pathlib import Path

import journal_samples as js
import pytest
from engine_helpers import Seen, make_workspace, states, train, workspace_of

from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import BusyProblem
from opeddev_tui.launch import attended
from opeddev_tui.reports import plots
from opeddev_tui.reports.plots import alone, plots_after_step
from opeddev_tui.runs import events as ev
from opeddev_tui.workspace.lock import RunLock
from opeddev_tui.workspace.paths import Workspace

FINISHED = ev.RunFinished(epochs=1, last_checkpoint="c", best_checkpoint="c", best_epoch=1, val_loss=1.0)


def drawn(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.path(workspace.paths.plots).iterdir()}


def test_the_lock_is_free_while_plots_are_drawn(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real training: drawing waits here until the training has returned, and takes the run's lock itself."""
    root = make_workspace(tmp_path / "workspace", tiny_model, settings={"training.num_train_epochs": 1})
    workspace, returned, locks = workspace_of(root), threading.Event(), []

    def slow(where: Workspace, step: int) -> str | None:
        assert returned.wait(60)
        with RunLock(workspace):
            locks.append(step)
        return plots_after_step(where, step)

    monkeypatch.setattr(plots, "plots_after_step", slow)
    seen = Seen()
    with attended(root, Settings(), seen) as sink:
        train(root, sink=sink)
        returned.set()
    # at the end of the block everything is on disk, whole, and nothing half-written is left
    assert locks == [0]
    assert {"loss_step_base.png", "loss_step_base.svg", "holdout_over_size.svg"} <= drawn(workspace)
    assert not [name for name in drawn(workspace) if name.startswith(".")]
    phases = [event.detail for event in seen.of(ev.PhaseChanged) if event.phase == ev.AFTERWARDS]
    assert phases == ["drawing the plots", "sending the last notices"]
    assert seen.of(ev.Warned) == []


def test_no_step_waits_for_its_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a step returns although drawing has not begun; all are drawn, in order, at the end of the block."""
    go_on, steps = threading.Event(), []

    def slow(_where: Workspace, step: int) -> str | None:
        assert go_on.wait(30)
        steps.append(step)
        return "no ink" if step == 1 else None

    monkeypatch.setattr(plots, "plots_after_step", slow)
    seen = Seen()
    with attended(tmp_path, Settings(), seen) as sink:
        for step in (0, 1, 2):
            sink.emit(js.run_events(step, [2.0])[0])
            sink.emit(FINISHED)
        assert steps == []
        go_on.set()
    assert steps == [0, 1, 2]
    assert [event.message for event in seen.of(ev.Warned)] == ["no ink"]


def test_a_warning_of_the_plots_is_in_the_journal(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real training, over by the time that drawing fails."""
    root = make_workspace(tmp_path / "workspace", tiny_model, settings={"training.num_train_epochs": 1})
    returned = threading.Event()
    monkeypatch.setattr(plots, "plots_after_step", lambda *_: "no ink" if returned.wait(60) else None)
    seen = Seen()
    with attended(root, Settings(), seen) as sink:
        train(root, sink=sink)
        returned.set()
    assert [event.message for event in seen.of(ev.Warned)] == ["no ink"]
    assert states(root)[0].warnings == ["no ink"]


def test_a_failed_training_leaves_nothing_undrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second step fails: the plots of the first are there all the same."""
    steps: list[int] = []
    monkeypatch.setattr(plots, "plots_after_step", lambda _where, step: steps.append(step))

    def fail() -> None:
        with attended(tmp_path, Settings(), Seen()) as sink:
            sink.emit(js.run_events(0, [2.0])[0])
            sink.emit(FINISHED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert steps == [0]


def _hold(root: str, held: "multiprocessing.synchronize.Event", release: "multiprocessing.synchronize.Event") -> None:
    with alone(Workspace(Path(root), Settings().paths)):
        held.set()
        release.wait(60)


def test_two_processes_draw_one_after_the_other(tmp_path: Path) -> None:
    """While another process draws nobody else does; when it is done, or killed, drawing goes on."""
    workspace = js.make_workspace(tmp_path, [js.run_events(0, [2.0, 1.5])])
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), held, release))
    other.start()
    assert held.wait(60)
    with pytest.raises(BusyProblem, match="still drawing"), alone(workspace, patience=0.0):
        raise AssertionError("both at once")
    other.kill()
    other.join(30)
    assert plots_after_step(workspace, 0) is None
    assert "loss_step_base.svg" in drawn(workspace)

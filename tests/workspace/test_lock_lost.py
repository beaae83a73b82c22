"""A lock that was deleted, a clock that was set back, a holder nobody can know: nothing runs twice, nothing lies."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import journal_samples as js
import pytest
from leftovers import ended
from pty_tools import until

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.journal import Journal
from opeddev_tui.workspace import lock as locks
from opeddev_tui.workspace import paths
from opeddev_tui.workspace.lock import FileLock, RunLock, who_may_train, who_trains
from opeddev_tui.workspace.paths import Workspace, new_run_id

Make = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with one finished run and one that is in progress or was cut off."""
    return js.make_workspace(
        tmp_path, [js.run_events(0, [2.0, 1.5, 1.2]), js.run_events(1, [1.2, 1.0], finished=False)]
    )


def test_a_lock_on_a_deleted_file_is_no_lock(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.acquire()
    assert first.valid
    (tmp_path / "a.lock").unlink()
    assert not first.valid
    assert second.acquire()
    assert second.valid
    second.release()
    first.release()


def test_a_training_makes_its_deleted_lock_again_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.02)
    told: list[str] = []
    with RunLock(workspace) as lock:
        lock.tell = told.append
        workspace.lock.unlink()
        until(lambda: told, what="the deletion is noticed")
        assert "was deleted or replaced while this training ran; it was made again" in told[0]
        assert lock.valid
        holder = who_trains(workspace)
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(BusyProblem):
            RunLock(workspace).acquire()
    assert who_trains(workspace) is None


def test_a_stolen_lock_is_told_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.02)
    told: list[str] = []
    with RunLock(workspace) as lock:
        lock.tell = told.append
        workspace.lock.unlink()
        thief = FileLock(workspace.lock)
        until(thief.acquire if not told else lambda: True, what="the thief has the new file or came too late")
        if not lock.valid:
            until(lambda: told, what="it is told")
            assert "is held by another process" in told[0]
        thief.release()


def test_two_trainings_never_write_one_journal(workspace_factory: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """Even in the moment between the deletion of the lock file and its return."""
    root = workspace_factory(**{"early_stop.policy": "ask"})
    process = eh.start_training(root)
    eh.Follower(root).wait(lambda event: isinstance(event, ev.PhaseChanged) and event.phase == "waiting", process)
    before = eh.journal_of(root)
    workspace = eh.workspace_of(root)
    os.kill(process.pid or 0, 19)  # SIGSTOP: it cannot make its lock again
    try:
        workspace.lock.unlink()
        assert main(["train", "-w", str(root)]) == 7
        assert "another process writes this run's journal" in capsys.readouterr().err
    finally:
        os.kill(process.pid or 0, 18)
    assert eh.journal_of(root) == before
    until(lambda: who_trains(workspace) is not None, what="the lock file is back")
    assert main(["decide", "stop", "-w", str(root)]) == 0
    assert process.code() == 0


def test_a_journal_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opeddev_tui.runs import journal

    monkeypatch.setattr(journal, "_LOCK_SECONDS", 0.05)
    first = Journal(tmp_path)
    with pytest.raises(BusyProblem, match="another process writes"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


# --- what cannot be known


def test_a_lock_of_another_user_is_neither_alive_nor_dead(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root reads every lock, so the refusal is simulated."""
    opened = os.open

    def refuse(path: object, *rest: int, **more: int) -> int:
        if str(path) == str(workspace.lock):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)  # type: ignore[arg-type]

    workspace.lock.parent.mkdir(exist_ok=True)
    workspace.lock.touch()
    monkeypatch.setattr(locks.os, "open", refuse)
    assert main(["status", "--json", "-w", str(workspace.root)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["alive"] is None
    assert [(run["status"], run["alive"]) for run in report["runs"]] == [("finished", False), ("unknown", None)]
    assert main(["status", "-w", str(workspace.root)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "cannot be known from here: its lock belongs to a process of another user" in told
    assert ": unknown, optimizer step" in told


def test_a_training_on_another_machine_is_unknown_where_locks_may_not_reach(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.lock.parent.mkdir(exist_ok=True)
    workspace.lock.write_text("77\nanother-host\n5.0\n")
    assert who_may_train(workspace) is None
    monkeypatch.setattr(locks, "on_network", lambda _: True)
    holder = who_may_train(workspace)
    assert holder is not None
    assert (holder.pid, holder.host, holder.certain) == (77, "another-host", False)
    # this machine's own lock is free: nobody holds it here
    workspace.lock.write_text(f"77\n{platform.node()}\n5.0\n")
    assert who_may_train(workspace) is None
    # whoever wants to train only asks the lock
    assert who_trains(workspace) is None
    with RunLock(workspace):
        pass
    assert workspace.lock.read_text() == ""


def test_a_file_system_without_locks_is_a_clear_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(StorageProblem, match=r"no locks available\. Its file system has no locks"):
        FileLock(tmp_path / "a.lock").acquire()
    # a journal is written all the same: the workspace's lock is what refuses
    Journal(tmp_path / "run").close()


def test_another_container_has_other_process_ids(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunLock(workspace):
        holder = who_trains(workspace)
        assert holder is not None
        assert not holder.elsewhere
        monkeypatch.setattr(locks, "namespace", lambda: "pid:[1]")
        holder = who_trains(workspace)
        assert holder is not None
        assert holder.elsewhere


@pytest.mark.skipif(os.getuid() != 0, reason="a namespace of one's own takes root")
def test_a_lock_holds_across_containers(workspace: Workspace) -> None:
    """Two PID and network namespaces over one folder: the lock, its holder and its death are seen in both."""
    code = (
        "import sys, os; from pathlib import Path; from opeddev_tui.config.settings import Paths\n"
        "from opeddev_tui.workspace.lock import RunLock; from opeddev_tui.workspace.paths import Workspace\n"
        "lock = RunLock(Workspace(Path(sys.argv[1]), Paths())); lock.acquire(); print(os.getpid(), flush=True)\n"
        "sys.stdin.read()"
    )
    words = ["unshare", "-p", "-n", "-f", "--mount-proc", sys.executable, "-c", code, str(workspace.root)]
    with ended(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        first = process.stdout.readline()
        if not first:
            pytest.skip("no namespaces here")
        holder = who_trains(workspace)
        assert holder is not None
        assert (holder.pid, holder.elsewhere, holder.certain) == (int(first), True, True)
        with pytest.raises(BusyProblem):
            RunLock(workspace).acquire()
        process.stdin.close()
        process.wait()
    assert who_trains(workspace) is None


# --- the clock


def test_run_ids_grow_though_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.gmtime(1_800_000_000)
    monkeypatch.setattr(paths.time, "gmtime", lambda *given: time_gmtime(*given) if given else now)
    first = new_run_id(0, "base")
    second = new_run_id(0, "base", [first])
    now = time.gmtime(1_000_000_000)
    third = new_run_id(1, "more", [first, second])
    assert first < second < third
    # what is no time of day is no reason to stop
    assert new_run_id(1, "more", ["99991231-235959-x", "strange"]) > ""


time_gmtime = time.gmtime


def test_the_newest_run_is_the_last_one_begun_though_the_clock_was_set_back(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=8, batches=(8,), **{"training.num_train_epochs": 1})
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 5_000_000)
    monkeypatch.setattr(paths.time, "gmtime", lambda *given: time_gmtime(*given or (time.time(),)))
    eh.train(root)
    monkeypatch.setattr(time, "time", real)
    eh.train(root)
    assert [state.begun.step for state in eh.states(root)] == [0, 1]
    assert main(["status", "-w", str(root)]) == 0
    assert "All batches are trained" in capsys.readouterr().out
    assert Workspace(root, Paths()).run_ids() == [state.begun.run for state in eh.states(root)]

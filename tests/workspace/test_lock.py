"""A file lock belongs to one holder at a time, says who that is, and ends with its process."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from leftovers import ended

from opeddev_tui.config.settings import Paths
from opeddev_tui.errors import BusyProblem, StorageProblem
from opeddev_tui.reports.plots import alone
from opeddev_tui.workspace import lock as lock_module
from opeddev_tui.workspace.lock import FileLock, RunLock, described_holder, lock_holder
from opeddev_tui.workspace.paths import Workspace


def test_one_holder_at_a_time_and_its_words_can_be_read(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "deep/a.lock"), FileLock(tmp_path / "deep/a.lock")
    assert described_holder(first.path) is None
    assert first.acquire()
    assert described_holder(first.path) == ""
    first.describe("a long word about the first holder")
    first.describe("first")
    assert described_holder(first.path) == "first"
    assert not second.acquire()
    assert described_holder(first.path) == "first"
    first.release()
    first.release()
    assert described_holder(first.path) is None
    assert second.acquire()
    second.release()


def test_patience_waits_for_the_holder(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert first.acquire()
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(second.acquire(patience=60)), daemon=True)
    waiting.start()
    first.release()
    waiting.join(60)
    assert got == [True]


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from opeddev_tui.workspace.lock import FileLock\n"
        "lock = FileLock(pathlib.Path(sys.argv[1])); print(lock.acquire(), flush=True); sys.stdin.read()"
    )
    path = tmp_path / "a.lock"
    words = [sys.executable, "-c", code, str(path)]
    with ended(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        lock = FileLock(path)
        assert not lock.acquire()
        process.kill()
        process.wait()
    assert lock.acquire()
    lock.release()


def test_a_place_that_takes_no_file_is_a_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageProblem, match="cannot be written"):
        FileLock(tmp_path / "file/a.lock").acquire()


def test_plots_are_drawn_by_one_process_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, Paths())
    with alone(workspace), pytest.raises(BusyProblem, match="still drawing"), alone(workspace, patience=0.0):
        pass
    with alone(workspace, patience=0.0):
        pass


def test_a_lock_that_is_released_while_its_file_is_looked_after_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_LOOK_SECONDS", 0.0)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    workspace = Workspace(tmp_path, Paths())
    for turn in range(200):
        lock = RunLock(workspace)
        lock.acquire()
        if turn % 2:
            workspace.lock.unlink()
        lock.release()
        assert lock_holder(workspace) is None
    assert failed == []

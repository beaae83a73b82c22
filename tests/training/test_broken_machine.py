"""Disks that return errors, take no more files or become read-only, little memory, stops and jumps of the clock."""

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import engine_helpers as eh
import pytest
import torch
from pty_tools import until

from opeddev_tui import cli
from opeddev_tui.checkpoints import folders
from opeddev_tui.errors import ModelProblem, StorageProblem
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control
from opeddev_tui.training import deciders

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def expected(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of an undisturbed run."""
    root = eh.make_workspace(tmp_path_factory.mktemp("undisturbed") / "w", tiny_model)
    eh.train(root)
    return eh.final_weights(root)


class Disk:
    """Calls on files of certain names fail from ``now`` on, as on a disk that breaks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._faults: dict[str, tuple[str, int]] = {}
        for call in ("fsync", "write"):
            patch.setattr(os, call, self._failing(call, getattr(os, call)))

    def now(self, call: str, part: str, number: int) -> None:
        """Let ``call`` fail with the error ``number`` for paths with ``part``; no call: mend the disk."""
        self._faults = {call: (part, number)} if call else {}

    def _failing(self, call: str, real: Callable[..., int]) -> Callable[..., int]:
        def maybe(descriptor: int, *rest: object) -> int:
            part, number = self._faults.get(call, ("", 0))
            if part and part in os.readlink(f"/proc/self/fd/{descriptor}"):
                raise OSError(number, os.strerror(number))
            return real(descriptor, *rest)

        return maybe


@pytest.mark.parametrize(
    ("call", "part", "number", "told"),
    [
        ("fsync", "events.jsonl", errno.EIO, "input/output error. Look at the disk's health"),
        ("write", "events.jsonl", errno.EIO, "input/output error. Look at the disk's health"),
        ("fsync", "model.safetensors", errno.EIO, "input/output error. Look at the disk's health"),
        ("fsync", "MANIFEST", errno.EDQUOT, "disk quota exceeded. Your quota is used up"),
        ("fsync", "metrics_step", errno.EROFS, "read-only file system. The file system is read-only"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_disk_that_breaks_ends_the_run_and_loses_at_most_an_epoch(
    workspace_factory: Make,
    monkeypatch: pytest.MonkeyPatch,
    expected: str,
    call: str,
    part: str,
    number: int,
    told: str,
) -> None:
    root, disk = workspace_factory(), Disk(monkeypatch)

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7:
            disk.now(call, part, number)

    with pytest.raises(StorageProblem) as caught:
        eh.train(root, sink=eh.Seen(react))
    assert told in str(caught.value)
    assert folders.newest_verified(eh.checkpoint_folder(root), for_resume=True).folder is not None
    disk.now("", "", 0)
    seen = eh.Seen()
    eh.train(root, sink=seen)
    assert seen.of(ev.Resumed)[-1].global_step in (5, 10)
    assert eh.final_weights(root) == expected


def test_a_disk_that_knows_no_fsync_is_trained_on(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root, disk = workspace_factory(rows=8), Disk(monkeypatch)
    disk.now("fsync", "/", errno.EINVAL)
    eh.train(root)
    assert eh.states(root)[0].status == "finished"


def test_a_disk_without_owners_is_trained_on(workspace_factory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """exFAT and the like refuse to change a mode."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    root = workspace_factory(rows=8)
    monkeypatch.setattr(os, "chmod", refuse)
    before = os.umask(0o002)
    try:
        eh.train(root)
    finally:
        os.umask(before)
    assert eh.states(root)[0].status == "finished"


def test_a_store_that_takes_no_more_files(
    workspace_factory: Make, small_disk: Callable[..., Path], expected: str
) -> None:
    """No inodes are left, though there is room."""
    disk = small_disk("size=64m", "nr_inodes=80")
    root = workspace_factory(**{"paths.model_store": str(disk / "store")})

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 6:
            with contextlib.suppress(OSError):
                for number in range(100):
                    (disk / f"ballast{number}").touch()

    with pytest.raises(StorageProblem, match="no space left on device: it takes no more files"):
        eh.train(root, sink=eh.Seen(react))
    newest = folders.newest_verified(eh.checkpoint_folder(root), for_resume=True).folder
    assert newest is not None
    assert newest.name == "checkpoint-5"
    for path in disk.glob("ballast*"):
        path.unlink()
    eh.train(root)
    assert eh.final_weights(root) == expected


@pytest.mark.parametrize("what", ["store", "runs"])
def test_a_disk_that_becomes_read_only(
    workspace_factory: Make, small_disk: Callable[..., Path], expected: str, what: str
) -> None:
    """As the kernel does after an error of the device."""
    disk = small_disk("size=64m")
    key = {"store": "paths.model_store", "runs": "paths.runs"}[what]
    root = workspace_factory(**{key: str(disk / what)})

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 7:
            # files open for writing keep a file system from being mounted read-only, but not an error
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=what == "store", capture_output=True)

    if what == "store":
        with pytest.raises(StorageProblem, match="read-only file system"):
            eh.train(root, sink=eh.Seen(react))
        assert eh.states(root)[0].failure is not None
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        eh.train(root)
    else:
        # the journal is open, so the disk stays writable; the run is whole either way
        eh.train(root, sink=eh.Seen(react))
    assert eh.final_weights(root) == expected


# --- memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["python", "torch"],
)
def test_memory_that_runs_out_on_a_cpu_halves_the_batch(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from transformers import Qwen3ForCausalLM

    root, forward = workspace_factory(), Qwen3ForCausalLM.forward

    def limited(self: torch.nn.Module, input_ids: torch.Tensor, *rest: object, **more: object) -> object:
        if self.training and input_ids.shape[0] > limit:
            raise error
        return forward(self, input_ids, *rest, **more)

    limit = 2
    monkeypatch.setattr(Qwen3ForCausalLM, "forward", limited)
    seen = eh.Seen()
    eh.train(root, sink=seen)
    assert [item.batch_size for item in seen.of(ev.MemoryRetried)] == [2]
    assert eh.states(root)[0].status == "finished"
    limit = 0
    with pytest.raises(ModelProblem, match="one example at a time does not fit into memory"):
        eh.train(root, "0", new=True)


# --- stops and clocks


def test_a_training_that_is_stopped_for_a_while_goes_on_as_if_nothing_was(
    workspace_factory: Make, expected: str
) -> None:
    """SIGSTOP and Ctrl+Z; meanwhile it is alive, and a second start is refused."""
    root = workspace_factory()
    process = eh.start_training(root)
    follower = eh.Follower(root)
    pid = process.pid or 0
    for step in (2, 6):
        follower.wait(lambda event, at=step: isinstance(event, ev.Progress) and event.global_step >= at, process)
        os.kill(pid, signal.SIGSTOP)
        assert cli.main(["train", "-w", str(root)]) == 7
        time.sleep(0.3)
        os.kill(pid, signal.SIGCONT)
    assert process.code() == 0
    assert eh.final_weights(root) == expected


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_while_training_changes_nothing(
    workspace_factory: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    expected: str,
    jump: float,
) -> None:
    root, real = workspace_factory(), time.time

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Progress) and event.global_step == 4:
            monkeypatch.setattr(time, "time", lambda: real() + jump)

    eh.train(root, sink=eh.Seen(react))
    assert eh.final_weights(root) == expected
    monkeypatch.setattr(time, "time", real)
    assert cli.main(["status", "-w", str(root)]) == 0
    assert cli.main(["checkpoints", "list", "-w", str(root)]) == 0
    assert "Next:" not in capsys.readouterr().out


def test_a_deadline_is_a_time_of_day_also_for_a_machine_that_slept(
    workspace_factory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspended laptop: the time of day jumps, the time that was waited does not."""
    monkeypatch.setattr(deciders, "_LOOK_SECONDS", 0.05)
    settings = {
        "early_stop.policy": "ask",
        "early_stop.decision_timeout_minutes": 600.0,
        "training.num_train_epochs": 2,
    }
    root, real = workspace_factory(rows=8, **settings), time.time

    def react(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.PhaseChanged) and event.phase == "waiting":
            monkeypatch.setattr(time, "time", lambda: real() + 7 * 3600 + 4 * 3600)

    eh.train(root, sink=eh.Seen(react), control=Control())
    assert eh.states(root)[0].decisions[0].by == "timeout"


# --- kills of commands


@pytest.mark.parametrize(
    "words", [["checkpoints", "prune", "--yes"], ["report"], ["plot"], ["checkpoints", "export", "latest", "EXPORT"]]
)
@pytest.mark.parametrize("after", [0.05, 0.3])
def test_a_command_that_is_killed_leaves_nothing_half(
    trained_workspace: Path, tmp_path: Path, words: list[str], after: float
) -> None:
    root = eh.copy_workspace(trained_workspace, tmp_path / "w")
    target = tmp_path / "export"
    words = [str(target) if word == "EXPORT" else word for word in words]
    process = eh.Command([*words, "-w", str(root)], tmp_path / "out")
    process.join(after)
    process.kill_hard()
    whole = [
        folder
        for run in eh.workspace_of(root).run_ids()
        for folder in folders.list_folders(eh.workspace_of(root).checkpoints(run))
    ]
    # a checkpoint is there to the byte, or it does not look like one
    assert [folder for folder in whole if folders.read_manifest(folder) and folders.problems_of(folder)] == []
    for record in eh.states(root):
        assert record.finished is not None
        assert folders.problems_of(eh.place_of(root, record.finished.last_checkpoint)) == []
    if target.exists():
        assert {"config.json", "model.safetensors", "README.md"} <= {path.name for path in target.iterdir()}
    target_was_there = target.exists()
    plots = root / ".specs/plots"
    assert [path for path in plots.glob("*.png") if not path.read_bytes().endswith(b"IEND\xaeB`\x82")] == []
    # and the same command, once more, does its work
    code = eh.Command([*words, "-w", str(root)], tmp_path / "out").code()
    assert code == (StorageProblem.exit_code if "export" in words and target_was_there else 0)
    assert cli.main(["checkpoints", "verify", "-w", str(root)]) == 0


def test_a_workspace_that_is_renamed_while_it_trains_is_told_or_goes_on(
    workspace_factory: Make, tmp_path: Path
) -> None:
    root = workspace_factory()
    process = eh.start_training(root)
    eh.Follower(root).wait(lambda event: isinstance(event, ev.Progress) and event.global_step == 2, process)
    moved = root.rename(tmp_path / "moved")
    code = process.code()
    assert code in (0, 4), process.text()
    until(lambda: (moved / "logs").is_dir())
    eh.train(moved)
    assert eh.states(moved)[-1].status == "finished"

"""A machine that fails while the real ``train`` runs: calls that return errors, no memory, stops, a clock that jumps.

Run from a clone with the app installed, with a C compiler, as root (file systems are mounted, a control group is
made): ``python benchmarks/reliability/broken_machine.py [--only NAME]``. Each fault begins in the second epoch of a run
of three and ends with the process. Afterwards ``train`` must go on from the newest verified checkpoint to bit-equal
weights, and whatever ended the process must have been a documented exit code with one sentence, or a kill. Faults that
a training can outlive must not end it. Prints a table in Markdown and exits 1 if one of that is not so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common import finish, undisturbed
from engine_helpers import Follower, build_model, checkpoint_folder, final_weights, make_workspace, states, workspace_of
from msgspec import Struct

from opeddev_tui.checkpoints import folders
from opeddev_tui.runs import events as ev
from opeddev_tui.workspace.lock import who_trains

ROWS = 40
# bytes of address space: enough to start, not enough to train
LITTLE_MEMORY = 1600 << 20
SOURCE = Path(__file__).with_name("faults.c")


class Real(Struct):
    """A real process with the faults before its C library; it has what ``Follower`` asks of a process."""

    process: subprocess.Popen[bytes]
    out: Path

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    @property
    def exitcode(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.process.poll()

    def text(self) -> str:
        """Return what it has printed."""
        return self.out.read_text(errors="replace")


class Machine:
    """Builds the library of faults, and starts processes under it."""

    def __init__(self, folder: Path) -> None:
        self.library, self.faults = folder / "faults.so", folder / "faults.txt"
        words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(self.library), str(SOURCE), "-ldl", "-lpthread"]
        subprocess.run(words, check=True)

    def now(self, *lines: str) -> None:
        """Let these faults be there from now on, and no others."""
        half = self.faults.with_suffix(".new")
        half.write_text("".join(f"{line}\n" for line in lines))
        half.replace(self.faults)

    def train(self, root: Path, *, before: Callable[[], None] | None = None) -> Real:
        """Start ``train``; ``before`` runs in the new process first."""
        out = root.parent / "out.txt"
        variables = {**os.environ, "LD_PRELOAD": str(self.library), "FAULTS": str(self.faults)}
        with out.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "opeddev_tui", "train", "-w", str(root)],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables, preexec_fn=before,
            )  # fmt: skip
        return Real(process, out)


class Case(Struct, frozen=True):
    """A fault: its name, how it is made once the second epoch runs, and the exit codes that are right."""

    name: str
    begin: Callable[[Machine, Real, Path], None]
    codes: tuple[int, ...]
    told: str = ""
    before: Callable[[], None] | None = None
    options: str = ""
    at_start: bool = False


def lines(*faults: str) -> Callable[[Machine, Real, Path], None]:
    """Return a beginning that lets the calls ``faults`` fail."""
    return lambda machine, _process, _root: machine.now(*faults)


def stop_for(seconds: float) -> Callable[[Machine, Real, Path], None]:
    """Return a beginning that stops the process and lets it go on; meanwhile it must count as alive."""

    def begin(_machine: Machine, process: Real, root: Path) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        holder = who_trains(workspace_of(root))
        assert holder is not None, "a stopped training does not count as alive"
        assert holder.pid == process.pid
        os.kill(process.pid, signal.SIGCONT)

    return begin


def remount(_machine: Machine, _process: Real, root: Path) -> None:
    """Make the disk of the model store read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(root.parent / "disk")], check=True)


def use_up_inodes(_machine: Machine, _process: Real, root: Path) -> None:
    """Leave the disk of the model store no inode."""
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (root.parent / f"disk/ballast{number}").touch()


def starve(_machine: Machine, process: Real, _root: Path) -> None:
    """Let the kernel kill the process for memory: its control group may hold less than it has."""
    group = Path("/sys/fs/cgroup/memory/opeddev-reliability")
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text(str(process.pid))
    # the group may not give memory back to the disk instead
    with contextlib.suppress(OSError):
        (group / "memory.swappiness").write_text("0")
    (group / "memory.limit_in_bytes").write_text(str(8 << 20))


def little_memory() -> None:
    """Limit the address space of this process."""
    resource.setrlimit(resource.RLIMIT_AS, (LITTLE_MEMORY, LITTLE_MEMORY))


def few_files() -> None:
    """Limit the open files of this process."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))


DAY = 86_400
CASES = [
    Case("write of the journal returns EIO", lines("write 5 events.jsonl"), (4,), "input/output error"),
    Case("fsync of the journal returns EIO", lines("fsync 5 events.jsonl"), (4,), "input/output error"),
    Case("write of a checkpoint returns EIO", lines("write 5 /store/"), (4,), "input/output error"),
    Case("fsync of a checkpoint returns EIO", lines("fsync 5 /store/"), (4,), "input/output error"),
    Case("rename of a manifest returns EIO", lines("rename 5 MANIFEST"), (4,), "input/output error"),
    Case("quota used up (EDQUOT) in the store", lines("write 122 /store/"), (4,), "quota"),
    Case("write of the log returns EIO", lines("write 5 train.log"), (0,)),
    Case("a disk without fsync (EINVAL)", lines("fsync 22 *"), (0,), at_start=True),
    Case("a disk without hard links (EPERM)", lines("link 1 *"), (0,), at_start=True),
    Case("a disk without locks (ENOLCK)", lines("flock 37 *"), (4,), "no locks", at_start=True),
    Case("the store is remounted read-only", remount, (4,), "read-only", options="size=64m"),
    Case("the store has no inodes left", use_up_inodes, (4,), "no inodes are left", options="size=64m,nr_inodes=90"),
    Case("1.6 GiB of address space", lines(), (0, 5, -6), before=little_memory, at_start=True),
    Case("24 open files", lines(), (0, 4, 5), before=few_files, at_start=True),
    Case("the kernel kills it for memory (control group)", starve, (-9,)),
    Case("SIGSTOP for two minutes", stop_for(120), (0,)),
    Case("the clock is set back by a day", lines(f"clock -{DAY}"), (0,)),
    Case("the clock is set forward by a day", lines(f"clock {DAY}"), (0,)),
    Case("the clock is set to 1970", lines("clock -1790000000"), (0,)),
]  # fmt: skip


@contextlib.contextmanager
def disk_of(folder: Path, options: str) -> Iterator[dict[str, object]]:
    """Mount a file system in memory for the store, if ``options`` ask for one; give the settings that use it."""
    if not options:
        yield {}
        return
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        yield {"paths.model_store": str(disk / "store")}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def mend(machine: Machine, case: Case, folder: Path) -> None:
    """End the fault."""
    machine.now()
    if case.options:
        subprocess.run(["mount", "-o", "remount,rw", str(folder / "disk")], check=True)
        for path in (folder / "disk").glob("ballast*"):
            path.unlink()


def once(machine: Machine, case: Case, folder: Path, model: Path, expected: str) -> tuple[str, list[str]]:
    """Make the fault in a run; return how it ended, and what is wrong."""
    with disk_of(folder, case.options) as settings:
        root = make_workspace(folder / "workspace", model, rows=ROWS, settings=settings)
        machine.now()
        if case.at_start:
            case.begin(machine, Real(subprocess.Popen(["true"]), folder), root)
        process = machine.train(root, before=case.before)
        if not case.at_start:
            Follower(root).wait(lambda event: isinstance(event, ev.Progress) and event.global_step == 13, process)
            case.begin(machine, process, root)
        code = process.process.wait(600)
        told = " ".join(process.text().lower().split())
        found = [] if code in case.codes else [f"exit code {code}: {told[-300:]}"]
        found += [] if case.told in told else [f"not told: {case.told}: {told[-300:]}"]
        found += ["a traceback"] if "traceback" in told else []
        mend(machine, case, folder)
        found += resumed(root, expected, began=not case.at_start or code == 0)
        return f"exit code {code}", found


def resumed(root: Path, expected: str, *, began: bool) -> list[str]:
    """Go on without the fault; return what is wrong with what was lost and with the weights."""
    if began and folders.newest_verified(checkpoint_folder(root), for_resume=True).folder is None:
        return ["more than the present epoch was lost"]
    if not began or states(root)[-1].status != "finished":
        finish(root)
    return [] if final_weights(root) == expected else ["other weights"]


def chosen(only: str) -> Sequence[Case]:
    """Return the cases whose names contain ``only``."""
    return [case for case in CASES if only in case.name]


def main() -> int:
    """Run every case and print the table."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="cases whose names contain this")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="opeddev-machine-"))
    model, machine = build_model(folder / "model"), Machine(folder)
    expected, _ = undisturbed(folder, model, ROWS)
    print("| fault | ended with | as it should be |\n| --- | --- | --- |")
    good = True
    for number, case in enumerate(chosen(options.only)):
        place = folder / f"run{number}"
        place.mkdir()
        try:
            ended, found = once(machine, case, place, model, expected)
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            ended, found = "not tried", [f"{type(error).__name__}: {error}"]
        good = good and not found
        print(f"| {case.name} | {ended} | {'; '.join(found) or 'yes'} |", flush=True)
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

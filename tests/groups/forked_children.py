"""Children of a group that are forked from their leader, which has the training stack loaded: they begin at once.

That ``children`` starts a process of its own is tested in ``test_seeds``.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, ClassVar

from opeddev_tui.groups import children


class Forked:
    """Stands in for ``subprocess.Popen`` as ``children.Child`` uses it."""

    # the leader's: a child that kept one would keep its siblings alive
    inputs: ClassVar[list[IO[bytes]]] = []

    def __init__(
        self, words: Sequence[str], *, stdout: IO[bytes], env: Mapping[str, str], cwd: Path, **_: object
    ) -> None:
        reading, writing = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            theirs = (stream.fileno() for stream in self.inputs if not stream.closed)
            for descriptor in (writing, *theirs, *_locks()):
                os.close(descriptor)
            _become(words, reading, stdout.fileno(), env, cwd)
        os.close(reading)
        self.stdin = open(writing, "wb", buffering=0)  # noqa: SIM115 - closed with the child
        self.inputs.append(self.stdin)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._ended(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for its end and return the exit code."""
        return self._ended(0)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _locks() -> list[int]:
    """Return the descriptors of locks: a child that kept one would hold it when its leader is gone."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    return [number for number in numbers if _target(number).endswith(".lock")]


def _target(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""  # that of the listing


def _become(words: Sequence[str], reading: int, output: int, environment: Mapping[str, str], cwd: Path) -> None:
    """Be the command ``words`` (Python, -m, the program, its words) and end with its exit code."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor, standard in ((reading, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, standard)
        sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ.update(environment)
        os.chdir(cwd)
        from opeddev_tui.cli import main

        code = main(list(words[3:]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fork_children() -> None:
    """Have this process fork the children of its groups."""
    children.subprocess = SimpleNamespace(PIPE=subprocess.PIPE, Popen=Forked)  # type: ignore[assignment]

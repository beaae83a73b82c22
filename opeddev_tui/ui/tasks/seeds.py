"""Begin the training of a step with other seeds, in a process of its own, and take another seed as the step's run."""

from __future__ import annotations

from functools import partial

from opeddev_tui import launch
from opeddev_tui.ui.tasks.base import TaskBase


class SeedTasks(TaskBase):
    """Starts and chooses; what happens is followed as any training of another process."""

    def train(self, run: str, count: int) -> None:
        """Train the step of ``run`` with ``count`` other seeds, in a process that outlives the app."""
        session, provider = self._shell.session, self._shell.provider
        if session.read_only or self._shell.live.running or session.trained_by != "none":
            self._shell.tell("Not now: a training runs here, or this app only looks.", severity="warning")
            return
        words = ["repeat", run, "-w", str(provider.root), f"--seeds={count}"]
        words += [f"--set={override}" for override in provider.overrides()]
        self._shell.tell(f"Starting {count} trainings with other seeds …")
        self._in_thread("seeds", partial(launch.start_detached, provider.workspace, words), self._started)

    def _started(self, pid: int) -> None:
        self._shell.tell(f"The seeds are trained in process {pid}, also when you leave.")

    def take(self, run: str) -> None:
        """Make ``run`` the run of its step instead of another seed."""
        from opeddev_tui.groups.seeds import take

        if self._shell.session.read_only:
            self._shell.tell("This app only looks.", severity="warning")
            return
        self._in_thread("seeds", partial(take, self._shell.provider.workspace, run), lambda _: self._taken(run))

    def _taken(self, run: str) -> None:
        self._shell.disk.refresh()
        self._shell.tell(f"{run} is its step's run now: the next step starts from it.")

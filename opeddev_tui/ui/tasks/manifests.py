"""Background task of the lists of runs: read the settings that runs were started with, each manifest once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from opeddev_tui.analysis.run_facts import Settings, facts_of
from opeddev_tui.analysis.run_filter import Facts
from opeddev_tui.runs import manifest
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.tasks.base import TaskBase


class RunSettings(TaskBase):
    """Knows the settings of runs. Until a manifest is read, a run has what its journal says."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell)
        self._settings: dict[str, Settings] = {}
        self._asked: set[str] = set()

    def read(self, runs: Sequence[str], done: Callable[[], None]) -> None:
        """Read the manifests of ``runs`` that were not read yet, then call ``done``; returns at once."""
        new = [run for run in runs if run not in self._asked]
        if not new:
            return
        self._asked.update(new)

        def take(found: dict[str, Settings]) -> None:
            self._settings.update(found)
            done()

        self._in_thread("manifests", partial(self._read, new), take)

    def _read(self, runs: Sequence[str]) -> dict[str, Settings]:
        workspace = self._shell.provider.workspace
        return {run: manifest.settings_of(workspace.run_manifest(run)) for run in runs}

    def facts(self, row: RunRow) -> Facts:
        """Return everything known of a run."""
        return facts_of(row.run, row.state, row.status, self._settings.get(row.run, {}))

    def of(self, run: str) -> Settings:
        """Return the settings in the manifest of ``run``, empty until it was read."""
        return self._settings.get(run, {})

"""Owns the screens' reading and writing of a workspace: runs, batches, log, settings. The only UI module that does.

Every method may touch a slow disk: call them in a thread, never on the event loop.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.config import loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.runs.control import AnyCommand, send
from opeddev_tui.runs.history import status_of
from opeddev_tui.runs.journal import JournalReader, length
from opeddev_tui.runs.live_file import read_live
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.ui.state.view import RunRow, Watched
from opeddev_tui.workspace.lock import lock_holder, who_trains
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.setup import make_workspace

LOG_BYTES = 300_000


class WorkspaceReader:
    """What the screens know about one workspace."""

    def __init__(self, root: Path, loaded: LoadedSettings) -> None:
        self.root = root
        self.loaded = loaded
        self.workspace = Workspace(root, loaded.settings.paths)
        # what each journal told when it was this many bytes long
        self._told: dict[str, tuple[int, RunState]] = {}

    def exists(self) -> bool:
        """True where the folder is a workspace or could be trained in as it is."""
        paths = self.loaded.settings.paths
        signs = (loading.CONFIG_NAME, loading.SAVED_NAME, paths.base, paths.increments, paths.runs)
        return any(self.workspace.path(sign).exists() for sign in signs)

    def make_workspace(self) -> None:
        """Make the folders and a commented configuration."""
        make_workspace(self.root)

    def latest_run(self) -> str:
        """Return the id of the newest run, or nothing."""
        return next(iter(reversed(self.workspace.run_ids())), "")

    def open_run(self, run: str) -> tuple[RunState, JournalReader]:
        """Return a run's state now and the reader that goes on from there."""
        reader = JournalReader(self.workspace.run_folder(run))
        state = reduce(reader.read_new())
        self._told[run] = reader.size, state
        return state, reader

    def _state_of(self, run: str) -> RunState:
        """Return a run's state now, read again only if its journal has grown."""
        known = self._told.get(run)
        if known is not None and known[0] == length(self.workspace.run_folder(run)):
            return known[1]
        return self.open_run(run)[0]

    def watched(self, state: RunState) -> Watched:
        """Return who trains, and what that process says beside the journal of the newest run, whose state this is."""
        holder = who_trains(self.workspace)
        if holder is None:
            return Watched()
        if (holder.pid, holder.host) == (os.getpid(), platform.node()):
            return Watched("none" if state.over or state.started is None else "mine")
        said = read_live(self.workspace, holder)
        told_at = said.phase.at if said.phase is not None else holder.since
        if state.last_event_at < holder.since or (state.over and told_at > state.last_event_at):
            phase = f"{said.phase.phase} {said.phase.detail}" if said.phase is not None else ""
            return Watched("other", starting=True, preparing=phase)
        if state.over or state.started is None:
            return Watched()
        streaming = said.streaming if said.run == state.started.run else None
        if streaming is not None and state.samples and state.samples[-1].at >= streaming.at:
            streaming = None  # the whole texts are known already
        return Watched("other", streaming=streaming)

    def send(self, run: str, command: AnyCommand) -> None:
        """Leave a command for the process that trains ``run``."""
        send(self.workspace.run_folder(run), command)

    def runs(self) -> list[RunRow]:
        """Return all runs, newest first."""
        busy = lock_holder(self.workspace) is not None
        rows: list[RunRow] = []
        for run in reversed(self.workspace.run_ids()):
            state = self._state_of(run)
            alive = busy and not rows
            rows.append(RunRow(run, state, status_of(state, alive=alive)))
        return rows

    def log_tail(self) -> list[str]:
        """Return the last lines of the log of the libraries."""
        try:
            with self.workspace.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - LOG_BYTES))
                content = file.read()
        except OSError:
            return []
        lines = content.decode(errors="replace").replace("\r\n", "\n").split("\n")
        # a progress bar rewrites its line with carriage returns: what stayed is the last part
        return [line.rsplit("\r", 1)[-1] for line in lines[1 if end > LOG_BYTES else 0 :] if line]

    def append_log(self, text: str) -> None:
        """Add ``text`` to the log, if the disk takes it: it is told on the screen as well."""
        try:
            self.workspace.log.parent.mkdir(parents=True, exist_ok=True)
            with self.workspace.log.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except OSError:
            return

    def save(self, changes: Mapping[str, Any]) -> LoadedSettings:
        """Save settings to the app's own file and return all settings anew; raises ``Problem``."""
        loading.save(self.root, changes)
        self.loaded = loading.load(self.root, overrides=list(self._overrides()))
        self.workspace = Workspace(self.root, self.loaded.settings.paths)
        return self.loaded

    def _overrides(self) -> Sequence[str]:
        import msgspec

        tables = msgspec.to_builtins(self.loaded.settings)
        named = [name.partition(".") for name, origin in self.loaded.origins.items() if origin == "--set"]
        return [f"{section}.{key}={loading.toml_value(tables[section][key])}" for section, _, key in named]

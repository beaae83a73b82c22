"""Read and write a workspace for the screens: its runs, who trains, its log, its settings.

Every method may wait for a slow disk: call them in a thread, never on the event loop.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.config import described, loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.files import open_file
from opeddev_tui.runs import groups, history
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.runs.history import status_as_known
from opeddev_tui.runs.journal import JournalReader, is_written, length
from opeddev_tui.runs.live_file import not_begun, read_live
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import RunRow, Watched
from opeddev_tui.workspace.lock import who_may_train, who_trains
from opeddev_tui.workspace.paths import Workspace
from opeddev_tui.workspace.setup import is_workspace

LOG_BYTES = 300_000


class WorkspaceReader:
    """Reads and writes one workspace. A journal is read again only if it has grown."""

    def __init__(self, root: Path, loaded: LoadedSettings) -> None:
        self.root = root
        self.loaded = loaded
        self.workspace = Workspace(root, loaded.settings.paths)
        # by run: the length of its journal in bytes, and its state at that length
        self._states: dict[str, tuple[int, RunState]] = {}

    def exists(self) -> bool:
        """Return whether the folder is a workspace, or can be trained in as it is."""
        return is_workspace(self.root, self.loaded.settings.paths)

    def latest_run(self) -> str:
        """Return the id of the newest run, "" where there is none."""
        return next(iter(reversed(self.workspace.run_ids())), "")

    def open_run(self, run: str) -> tuple[RunState, JournalReader]:
        """Return the state of ``run`` now, and the reader of the events that follow."""
        state, reader = history.open_run(self.workspace, run)
        self._states[run] = reader.size, state
        return state, reader

    def _state_of(self, run: str) -> RunState:
        size, state = self._states.get(run, (-1, RunState()))
        return state if size == length(self.workspace.run_folder(run)) else self.open_run(run)[0]

    def watched(self, state: RunState) -> Watched:
        """Return who trains, and what that process says outside the journal; ``state`` is that of the newest run."""
        holder = who_trains(self.workspace)
        if holder is None:
            return Watched()
        if (holder.pid, holder.host) == (os.getpid(), platform.node()):
            return Watched("none" if state.over or state.started is None else "mine")
        live = read_live(self.workspace, holder)
        if not_begun(state, holder, live):
            phase = f"{live.phase.phase} {live.phase.detail}" if live.phase is not None else ""
            return Watched("other", starting=True, preparing=phase)
        if state.over or state.started is None:
            return Watched()
        streaming = live.streaming if live.run == state.started.run else None
        if streaming is not None and state.samples and state.samples[-1].at >= streaming.at:
            streaming = None  # the journal has the finished texts already
        return Watched("other", streaming=streaming)

    def runs(self) -> list[RunRow]:
        """Return all runs, newest first."""
        holder = who_may_train(self.workspace)
        busy = None if holder is not None and not holder.certain else holder is not None
        rows: list[RunRow] = []
        for run in reversed(self.workspace.run_ids()):
            state = self._state_of(run)
            alive = self._lives(run, state) if busy and state.group else False if rows else busy
            rows.append(RunRow(run, state, status_as_known(state, alive=alive)))
        return rows

    def undecided(self) -> dict[int, Undecided]:
        """Return the seeds of every step that was trained with several, and of which none is its run yet."""
        found = groups.list_groups(self.workspace)
        runs = self.workspace.run_ids() if found else []
        every = [history.RunRecord(run, self.workspace.run_folder(run), self._state_of(run)) for run in runs]
        records = history.begun(every)
        seeds = {group.step: groups.undecided(found, records, group.step) for group in found}
        return {step: item for step, item in seeds.items() if item is not None}

    def _lives(self, run: str, state: RunState) -> bool:
        """Return whether a process trains one of several seeds."""
        return not state.over and is_written(self.workspace.run_folder(run))

    def lives(self, run: str) -> bool:
        """Return whether a process of another run's leader trains ``run`` now, so that it can be followed."""
        return self._lives(run, self._state_of(run))

    def log_tail(self) -> list[str]:
        """Return the last lines of train.log, of its last ``LOG_BYTES`` bytes."""
        try:
            with os.fdopen(open_file(self.workspace.log), "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - LOG_BYTES))
                content = file.read()
        except OSError:
            return []
        lines = content.decode(errors="replace").replace("\r\n", "\n").split("\n")
        # a progress bar rewrites its line with carriage returns: the last part is what remains on a terminal
        return [line.rsplit("\r", 1)[-1] for line in lines[1 if end > LOG_BYTES else 0 :] if line]

    def append_log(self, text: str) -> None:
        """Append ``text`` to the log. Errors of the disk are ignored: the cause is on the screen as well."""
        try:
            self.workspace.log.parent.mkdir(parents=True, exist_ok=True)
            log = open_file(self.workspace.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            with os.fdopen(log, "a", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except OSError:
            return

    def save(self, changes: Mapping[str, Any]) -> LoadedSettings:
        """Save settings to the app's own file and return all settings as they are then; raises ``Problem``."""
        loading.save(self.root, changes)
        self.use(self.read_settings())
        return self.loaded

    def saved(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what the app's own file has for each of these settings, ``None`` where nothing."""
        return loading.saved(self.root, names)

    def settings_stamp(self) -> tuple[tuple[int, int], ...]:
        """Return sizes and times of the settings' files: they change when a person or another process edits one."""
        stamps = []
        for name in (loading.CONFIG_NAME, loading.SAVED_NAME):
            try:
                status = (self.root / name).stat()
            except OSError:
                stamps.append((-1, -1))
            else:
                stamps.append((status.st_size, status.st_mtime_ns))
        return tuple(stamps)

    def read_settings(self) -> LoadedSettings:
        """Return the settings as they are on disk now, without using them; raises ``Problem``."""
        return loading.load(self.root, overrides=list(self.overrides()))

    def use(self, loaded: LoadedSettings) -> None:
        """Read and write with other settings from now on."""
        self.loaded = loaded
        self.workspace = Workspace(self.root, loaded.settings.paths)

    def overrides(self) -> Sequence[str]:
        """Return what was set on the command line, as ``--set`` takes it: another process needs it too."""
        import msgspec

        tables = msgspec.to_builtins(self.loaded.settings)
        named = [name.partition(".") for name, origin in self.loaded.origins.items() if origin == "--set"]
        return [f"{section}.{key}={described.toml_value(tables[section][key])}" for section, _, key in named]

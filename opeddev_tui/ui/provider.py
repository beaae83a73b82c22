"""Owns the screens' reading and writing of a workspace: runs, batches, log, settings. The only UI module that does.

Every method may touch a slow disk: call them in a thread, never on the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from opeddev_tui import config
from opeddev_tui.config import LoadedSettings
from opeddev_tui.control import AnyCommand, send
from opeddev_tui.events import RunStarted, TokenStats
from opeddev_tui.journal import JournalReader, length
from opeddev_tui.lock import lock_holder
from opeddev_tui.state import RunState, reduce
from opeddev_tui.ui.view import BatchRow, RunRow, Whose
from opeddev_tui.workspace import Workspace

LOG_BYTES = 300_000


class Provider:
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
        signs = (config.CONFIG_NAME, config.SAVED_NAME, paths.base, paths.increments, paths.runs)
        return any(self.workspace.path(sign).exists() for sign in signs)

    def make_workspace(self) -> None:
        """Make the folders and a commented configuration."""
        from opeddev_tui.commands.init import make_workspace

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

    def trained_by(self, state: RunState) -> Whose:
        """Return whether this process, another one or none trains the run of ``state``."""
        holder = lock_holder(self.workspace)
        if holder is None or state.over or state.started is None:
            return "none"
        if holder == os.getpid():
            return "mine"
        return "other"

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
            rows.append(RunRow(run, state, state.status if state.over or alive else "interrupted"))
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
        config.save(self.root, changes)
        self.loaded = config.load(self.root, overrides=list(self._overrides()))
        self.workspace = Workspace(self.root, self.loaded.settings.paths)
        return self.loaded

    def _overrides(self) -> Sequence[str]:
        import msgspec

        tables = msgspec.to_builtins(self.loaded.settings)
        named = [name.partition(".") for name, origin in self.loaded.origins.items() if origin == "--set"]
        return [f"{section}.{key}={toml_value(tables[section][key])}" for section, _, key in named]


def toml_value(value: Any) -> str:
    """Return ``value`` as it is written in TOML."""
    import tomli_w

    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


def inventory(rows: Sequence[BatchRow], states: Sequence[RunState]) -> tuple[BatchRow, ...]:
    """Return the batches in order with their state, token lengths and cumulative size."""
    trained = trained_steps(states)
    stats: dict[str, TokenStats] = {}
    for state in states:
        stats.update({item.name: item for item in state.token_stats})
    busy = {state.started.batch for state in states if state.started is not None and not state.over}
    result: list[BatchRow] = []
    total, next_seen = 0, False
    for row in rows:
        total += row.rows or 0
        word = _word(row, trained, busy, next_seen)
        next_seen = next_seen or word in ("next", "problem")
        result.append(_with_stats(replace(row, state=word, cumulative=total or None), stats.get(row.name)))
    return tuple(result)


def trained_steps(states: Sequence[RunState]) -> dict[str, int]:
    """Return the step in which each batch was trained, by the batch's name."""
    starts: list[RunStarted] = [
        state.started for state in states if state.finished and state.started and not state.repeats
    ]
    return {started.batch: started.step for started in starts}


def _word(row: BatchRow, trained: Mapping[str, int], busy: set[str], next_seen: bool) -> str:
    if row.problem:
        return "problem"
    if row.name in trained:
        return f"step {trained[row.name]}"
    if row.name in busy:
        return "training"
    return "waiting" if next_seen else "next"


def _with_stats(row: BatchRow, stats: TokenStats | None) -> BatchRow:
    if stats is None:
        return row
    return replace(
        row,
        rows=row.rows if row.rows is not None else stats.rows,
        tokens=stats.tokens,
        loss_tokens=stats.loss_tokens,
        median=stats.median,
        percentile_95=stats.percentile_95,
        longest=stats.longest,
    )

"""Notice settings that change on disk while the app is open, say so and use them.

What a training in progress was started with stays its own: it is never mixed with newer settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from opeddev_tui.config import described, loading
from opeddev_tui.config.loading import LoadedSettings
from opeddev_tui.errors import Problem
from opeddev_tui.ui.shell import Shell

Changes = Mapping[str, tuple[Any, Any]]


class SettingsWatch:
    """Looks whether config.toml, or the app's own file of settings, has changed since it was read."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._stamp: tuple[tuple[int, int], ...] | None = None

    @property
    def known(self) -> bool:
        """True once the files were looked at."""
        return self._stamp is not None

    async def look(self) -> None:
        """Read the settings again if a file has changed. One that is wrong is told, and the old settings stay."""
        provider = self._shell.provider
        stamp = await asyncio.to_thread(provider.settings_stamp)
        if self._stamp in (None, stamp):
            self._stamp = stamp
            return
        self._stamp = stamp
        try:
            loaded = await asyncio.to_thread(provider.read_settings)
        except Problem as problem:
            self._shell.tell(f"The settings as they were stay in use: {problem}", severity="error")
            return
        self._take(loaded)

    def _take(self, loaded: LoadedSettings) -> None:
        """Use new settings and say which changed. The folders of a training in progress stay those it writes to."""
        session = self._shell.session
        trains = session.trained_by != "none" or self._shell.live.running
        paths = session.loaded.settings.paths
        moved = loaded.settings.paths != paths
        if moved and trains:
            loaded = replace(loaded, settings=replace(loaded.settings, paths=paths))
            # looked at again until the training is over
            self._stamp = ()
        changes = loading.differences(session.loaded.settings, loaded.settings)
        keys = loaded.keys != session.loaded.keys
        if not changes and not keys:
            return
        self._shell.use_settings(loaded)
        if changes:
            self._shell.tell(_words(changes, trains=trains))
        elif loaded.keys == self._shell.loaded.keys:
            self._shell.tell("Your keys have changed: they are used from now on.")

    def own_change(self) -> None:
        """Take the next look's files as known: the app has just written them itself."""
        self._stamp = None


def _words(changes: Changes, *, trains: bool) -> str:
    """Return a sentence on what changed, the first settings by name."""
    named = [f"{name} {_short(old)} → {_short(new)}" for name, (old, new) in list(changes.items())[:2]]
    more = f" and {len(changes) - 2} more" if len(changes) > 2 else ""
    shown = all(name.startswith(("ui.", "notify.")) for name in changes)
    kept = "" if shown else " The training in progress keeps its own." if trains else " Used from the next run on."
    return f"Settings changed: {', '.join(named)}{more}.{kept}"


def _short(value: Any) -> str:
    text = described.toml_value(value)
    return text if len(text) <= 24 else text[:23] + "…"

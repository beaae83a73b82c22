"""Find out what a run that ended unexpectedly left behind, and whether a training would take it up."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace
from textual.message import Message

from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.view import Refused

if TYPE_CHECKING:
    from opeddev_tui.checkpoints.recovery import Recovery
    from opeddev_tui.config.settings import Settings
    from opeddev_tui.training.step_data import Refusals
    from opeddev_tui.workspace.paths import Workspace


class CrashFound(Message):
    """The newest run ended unexpectedly: the app asks what to do about it."""

    def __init__(self, found: Recovery) -> None:
        super().__init__()
        # what that run left behind
        self.found = found


async def find_interrupted(shell: Shell) -> Recovery | None:
    """Return what a run that ended unexpectedly left behind, None where none did.

    Reads every byte of its newest checkpoint, and every row of its step, in threads.
    """
    session, workspace = shell.session, shell.provider.workspace
    if session.read_only or session.current.started is None:
        return None
    recovery = await asyncio.to_thread(importlib.import_module, "opeddev_tui.checkpoints.recovery")
    if not recovery.needs_recovery(session.current, alive=session.trained_by != "none"):
        return None
    shell.tell("The last run did not end well: reading its newest checkpoint and its rows …")
    run = session.current_run
    examined = cast("Recovery", await asyncio.to_thread(recovery.examine, workspace, run, session.current))
    refused = await refusals(workspace, session.loaded.settings, run)
    session.refused = told_of(run, refused)
    return replace(examined, refused=refused.resume, anew_refused=refused.anew)


def told_of(run: str, refused: Refusals) -> Refused:
    """Return what the screens need to know of ``refused``, which is about ``run``."""
    return Refused(run, refused.resume, not refused.anew)


async def refusals(workspace: Workspace, settings: Settings, run: str) -> Refusals:
    """Return what a training would refuse of ``run``; reads every row of its step, in a thread."""
    step_data = await asyncio.to_thread(importlib.import_module, "opeddev_tui.training.step_data")
    return cast("Refusals", await asyncio.to_thread(step_data.refusals, workspace, settings, run))

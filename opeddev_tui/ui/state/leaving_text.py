"""What becomes of the training when the app is left: before it is left, in the question, and in the terminal behind it.

An app that trains, one that follows another process and a replay say it in the same words. Pure.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opeddev_tui.format import duration
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import TrainedBy

if TYPE_CHECKING:
    from opeddev_tui.ui.state.view import View


def unwatched(state: RunState, *, starting: bool = False, now: float | None = None) -> str:
    """Return what the training does while nobody watches it, as the end of a sentence: "it …"."""
    if state.status == "awaiting" and not starting:
        deadline = state.question.deadline if state.question is not None else None
        if deadline is None:
            return "it waits for your decision as long as it takes"
        left = duration(max(0.0, deadline - (time.time() if now is None else now)))
        return f"it waits for your decision, and the rule decides in {left}"
    if state.status == "paused" and not starting:
        return "it stays paused until somebody lets it go on"
    asks = state.policy == "ask" and not starting
    return "it goes on until it asks after an epoch" if asks else "it goes on by itself"


def before_leaving(view: View) -> tuple[str, ...]:
    """Return what leaving the app does to the training; nothing where there is none that could be touched."""
    if view.trained_by == "mine" and view.state.over and not (view.replay or view.starting):
        return ()  # its last files are written; the bar says so
    if view.trained_by == "mine":
        what = "{everywhere.quit} asks whether it goes on without the app or is saved and stopped"
        line = f"This app trains: {what}; closing the terminal lets it go on."
    elif view.trained_by == "other":
        line = "Another process trains: {everywhere.quit} and closing the terminal leave the training as it is."
    else:
        line = "Nothing is trained now: {everywhere.quit} only closes the app." if view.replay else ""
    return (line,) if line else ()


def after_leaving(state: RunState, trained_by: TrainedBy, pid: int, again: str, *, starting: bool = False) -> str:
    """Return what the terminal says once the app is left, "" where there is nothing to say.

    ``trained_by`` is who trains on; ``again`` is the command that shows the training again.
    """
    if trained_by != "none":
        whose = " as before" if trained_by == "other" else ""
        doing = unwatched(state, starting=starting)
        return f"The training goes on in process {pid}{whose}: {doing}. See it again with: {again}"
    stopped = state.interrupted
    if state.status == "interrupted" and stopped is not None:
        return f"The training is saved and stopped at optimizer step {stopped.global_step}. Resume it with: {again}"
    return ""

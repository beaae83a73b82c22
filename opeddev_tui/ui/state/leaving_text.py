"""What becomes of the training when the app is left: before it is left, in the question, and in the terminal behind it.

An app that trains, one that follows another process and a replay say it in the same words. What trains nothing until a
person comes back, is never said to go on. Texts have places for keys, as ``Keymap.text`` fills them. Pure.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opeddev_tui.format import duration
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.state.view import TrainedBy

if TYPE_CHECKING:
    from opeddev_tui.ui.state.view import View


def unwatched(state: RunState, *, starting: bool = False, answered: bool = False, now: float | None = None) -> str:
    """Return what the training does while nobody watches it, as the end of a sentence: "it …".

    ``answered``: what a person chose at the open question is on its way.
    """
    waits = not starting and _waits(state)
    if waits == "awaiting" and answered:
        return "it does what you chose"
    if waits == "awaiting":
        deadline = state.question.deadline if state.question is not None else None
        if deadline is None:
            return "it waits for your decision as long as it takes: nothing is trained before you answer"
        left = duration(max(0.0, deadline - (time.time() if now is None else now)))
        return f"it waits for your decision, and the rule decides in {left}"
    if waits == "paused":
        return "it stays paused: nothing is trained until {monitor.pause} is pressed again in the app"
    asks = state.policy == "ask" and not starting
    return "it goes on until it asks after an epoch" if asks else "it goes on by itself"


def _waits(state: RunState) -> str:
    """Return as what nothing is trained until a person does something, "" where it is trained."""
    return state.status if state.status in ("awaiting", "paused") else ""


# what an app that trains does with the training as it is left, and as the terminal is closed
_LEFT = {
    "": ("goes on without the app", "lets it go on"),
    "paused": ("stays paused without the app", "leaves it paused"),
    "awaiting": ("waits on for your decision", "lets it wait"),
    "replay": ("is left alone", "leaves it alone"),
}


def before_leaving(view: View) -> tuple[str, ...]:
    """Return what leaving the app does to the training; nothing where there is none that could be touched."""
    if view.trained_by == "mine" and view.state.over and not (view.replay or view.starting):
        return ()  # its last files are written; the bar says so
    if view.trained_by == "mine":
        # how the run is that is trained meanwhile is not on show in a replay
        what, closing = _LEFT["" if view.starting else "replay" if view.replay else _waits(view.state)]
        asks = f"{{everywhere.quit}} asks whether it {what} or is saved and stopped"
        line = f"This app trains: {asks}; closing the terminal {closing}."
    elif view.trained_by == "other":
        line = "Another process trains: {everywhere.quit} and closing the terminal leave the training as it is."
    else:
        line = "Nothing is trained now: {everywhere.quit} only closes the app." if view.replay else ""
    return (line,) if line else ()


def after_leaving(
    state: RunState, trained_by: TrainedBy, pid: int, again: str, *, starting: bool = False, answered: bool = False
) -> str:
    """Return what the terminal says once the app is left, "" where there is nothing to say.

    ``trained_by`` is who trains on; ``again`` is the command that shows the training again; ``answered`` as above.
    """
    if trained_by != "none":
        whose = " as before" if trained_by == "other" else ""
        doing = unwatched(state, starting=starting, answered=answered)
        now = "stands still" if _waits(state) and not (starting or answered) else "goes on"
        return f"The training {now} in process {pid}{whose}: {doing}. See it again with: {again}"
    stopped = state.interrupted
    if state.status == "interrupted" and stopped is not None:
        return f"The training is saved and stopped at optimizer step {stopped.global_step}. Resume it with: {again}"
    return ""

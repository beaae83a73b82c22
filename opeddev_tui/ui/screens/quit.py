"""The question on quitting while a training runs in this process: what each answer does to the training."""

from __future__ import annotations

from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.keymap import DEFAULT_KEYS, Keymap
from opeddev_tui.ui.state.leaving_text import unwatched
from opeddev_tui.ui.widgets.dialogs import Answer, AskScreen

KEEP: Answer = ("k", "detach", "Leave it alone, without the app; opeddev-tui shows it again")
STOP: Answer = ("s", "stop", "Stop and save: the run can be resumed")
STAY: Answer = ("escape", "", "Cancel: stay here")
_TITLES = {"awaiting": "The training waits for your decision", "paused": "The training is paused"}
_RUNNING = "A training is running"


class QuitScreen(AskScreen):
    """Keep what goes on without the app, stop, or stay.

    ``chosen`` is a choice that takes effect by leaving, in words, or ""; ``starting``: the run has not begun;
    ``answered``: the open question was answered, which the training has not taken yet.
    """

    def __init__(
        self,
        state: RunState,
        keymap: Keymap = DEFAULT_KEYS,
        *,
        chosen: str = "",
        starting: bool = False,
        answered: bool = False,
    ) -> None:
        waits = not (chosen or starting or answered)
        title = _TITLES.get(state.status, _RUNNING) if waits else _RUNNING
        text = keymap.text(f"Left alone, {unwatched(state, starting=starting, answered=answered)}.")
        if chosen:
            text = f"Your choice takes effect as you leave ({chosen})."
        super().__init__(title, text, (KEEP, STOP, STAY))

"""The question on quitting while a training runs in this process."""

from __future__ import annotations

from opeddev_tui.ui.widgets.dialogs import Answer, AskScreen

STOP: Answer = ("s", "stop", "Stop and save: the run can be resumed")
STAY: Answer = ("escape", "", "Cancel: stay here")
# what goes on, and what leaving the screen means for it, by the run's status
_WAITING = {
    "awaiting": ("The training waits for your decision", "Leave the question open; opeddev-tui shows it again"),
    "paused": ("The training is paused", "Leave it paused without the screen; opeddev-tui shows it again"),
}
_RUNNING = ("A training is running", "Keep training without the screen; opeddev-tui shows it again")


class QuitScreen(AskScreen):
    """Keep what goes on without the screen, stop, or stay. ``decided``: a choice takes effect by leaving."""

    def __init__(self, status: str, *, decided: bool) -> None:
        title, keep = _RUNNING if decided else _WAITING.get(status, _RUNNING)
        super().__init__(title, "", (("k", "detach", keep), STOP, STAY))

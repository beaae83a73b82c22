"""Owns the question after a crash: what happened, what is safe, what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opeddev_tui.control import StepRequest
from opeddev_tui.recovery import Recovery, in_words
from opeddev_tui.ui.screens.quit import Answer, AskScreen

if TYPE_CHECKING:
    from opeddev_tui.ui.app import OpeddevApp

RESUME: Answer = ("r", "resume", "Resume this run")
NEW: Answer = ("b", "new", "Begin the step again as a new run; what this one left stays")
LOOK: Answer = ("l", "", "Only look; t on the monitor resumes later")


class RecoveryScreen(AskScreen):
    """Resume, begin anew, or only look."""

    def __init__(self, found: Recovery) -> None:
        answers = (RESUME, NEW, LOOK) if found.resumable else (NEW, LOOK)
        super().__init__("The last run did not end well", "\n".join(in_words(found)), answers)


def ask(app: OpeddevApp, found: Recovery) -> None:
    """Ask, and start what was chosen."""

    def chosen(answer: str | None) -> None:
        if answer in ("resume", "new"):
            app.start_training(StepRequest(which=str(found.step), new=answer == "new"))

    app.push_screen(RecoveryScreen(found), chosen)

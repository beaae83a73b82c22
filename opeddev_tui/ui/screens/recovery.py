"""The question after a crash: what happened, what the last verified checkpoint is, what to do now."""

from __future__ import annotations

from opeddev_tui.checkpoints.recovery import Recovery, in_words
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.dialogs import Answer, AskScreen

RESUME: Answer = ("r", "resume", "Resume this run")
NEW: Answer = ("b", "new", "Begin the step again as a new run; the files of this run are kept")
LOOK: Answer = ("escape", "", "Do nothing now; {monitor.start} on the monitor resumes it later")
CORRECT: Answer = ("escape", "", "Do nothing now; once that is corrected, {monitor.start} on the monitor goes on")


class RecoveryScreen(AskScreen):
    """Resume, begin anew, or do nothing yet: what the training would refuse is not offered."""

    def __init__(self, recovery: Recovery, shell: Shell) -> None:
        text = shell.session.shown.typed("\n".join(in_words(recovery)))
        look = CORRECT if recovery.refused else LOOK
        answers = [RESUME] if recovery.resumable and not recovery.refused else []
        answers += [] if recovery.anew_refused else [NEW]
        answers.append((*look[:2], shell.session.keymap.text(look[2])))
        super().__init__("The last run did not end well", text, tuple(answers))


def ask(shell: Shell, recovery: Recovery) -> None:
    """Ask, then start what was chosen."""

    def chosen(answer: str | None) -> None:
        if answer in ("resume", "new"):
            shell.start_training(StepRequest(which=str(recovery.step), new=answer == "new"))

    shell.push_screen(RecoveryScreen(recovery, shell), chosen)

"""The question after a crash: what happened, what the last verified checkpoint is, what to do now."""

from __future__ import annotations

from opeddev_tui.checkpoints.recovery import Recovery, in_words
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.ui.keymap import DEFAULT_KEYS, Keymap
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.widgets.dialogs import Answer, AskScreen

RESUME: Answer = ("r", "resume", "Resume this run")
NEW: Answer = ("b", "new", "Begin the step again as a new run; the files of this run are kept")
LOOK: Answer = ("escape", "", "Do nothing now; {monitor.start} on the monitor resumes it later")


class RecoveryScreen(AskScreen):
    """Resume, begin anew, or do nothing yet."""

    def __init__(self, recovery: Recovery, keymap: Keymap = DEFAULT_KEYS) -> None:
        look = (*LOOK[:2], keymap.text(LOOK[2]))
        answers = (RESUME, NEW, look) if recovery.resumable else (NEW, look)
        super().__init__("The last run did not end well", "\n".join(in_words(recovery)), answers)


def ask(shell: Shell, recovery: Recovery) -> None:
    """Ask, then start what was chosen."""

    def chosen(answer: str | None) -> None:
        if answer in ("resume", "new"):
            shell.start_training(StepRequest(which=str(recovery.step), new=answer == "new"))

    shell.push_screen(RecoveryScreen(recovery, shell.session.keymap), chosen)

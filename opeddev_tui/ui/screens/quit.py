"""The question on quitting while a training runs."""

from __future__ import annotations

from opeddev_tui.ui.widgets.dialogs import Answer, AskScreen

QUIT_ANSWERS: tuple[Answer, ...] = (
    ("k", "detach", "Keep training without the screen; opeddev-tui shows it again"),
    ("s", "stop", "Stop and save: the run can be resumed"),
    ("escape", "", "Cancel: stay here"),
)


class QuitScreen(AskScreen):
    """Keep training without the screen, stop, or stay."""

    def __init__(self) -> None:
        super().__init__("A training is running", "", QUIT_ANSWERS)

"""The answers of one or two checkpoints side by side; in a line of each what grades, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget

from opeddev_tui.format import capital
from opeddev_tui.serving.worker_messages import Answered
from opeddev_tui.terminal.ascii_fallback import ascii_only
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.keys import PANE, bindings
from opeddev_tui.ui.screens.grader.answer_text import answer_text, name_of
from opeddev_tui.ui.screens.grader.desk import Side
from opeddev_tui.ui.widgets.bars import keymap_in
from opeddev_tui.ui.widgets.text_pane import TextPane

_BEGIN = (
    ("grader.code", "write or paste code"),
    ("grader.path", "name a file or a folder"),
    ("grader.checkpoint", "choose the checkpoint ({grader.beside}: a second one beside it)"),
    ("grader.grade", "grade"),
)
_PROCESS = "The model runs in a process of its own; loading it takes some seconds."

# when its run began says little in a title of few cells
_RUN_BEGAN = re.compile(r"^\d{8}-\d{6}-")
_NOT_YET = "This one is not graded yet."


class AnswerPane(TextPane):
    """An answer that also scrolls by letters."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(PANE)


class Answers(Horizontal):
    """One pane per checkpoint."""

    def compose(self) -> Iterable[Widget]:
        """Make both panes."""
        yield AnswerPane("Answer", id="first")
        yield AnswerPane("Beside", id="second")

    def show(self, sides: Sequence[Side], number: int, corrected: Callable[[Answered], str]) -> None:
        """Show answer ``number`` of each of ``sides``."""
        self.set_class(len(sides) > 1, "-two")
        for side, pane in zip(sides, self.query(AnswerPane), strict=False):
            self._show_one(side, pane, number, corrected)

    def _show_one(self, side: Side, pane: AnswerPane, number: int, corrected: Callable[[Answered], str]) -> None:
        answer = side.answers.get(number)
        name = clean_line(_RUN_BEGAN.sub("", side.grader), max_chars=40)
        title = f"{'Answer' if pane.id == 'first' else 'Beside'} · {name}"
        if answer is None:
            waiting = f"{capital(side.words)} …" if side.busy and side.words else _NOT_YET
            words = clean_line(waiting) if side.answers or side.busy else _nothing(keymap_in(self))
            pane.set_text(title, Content(words))
            return
        room = max(24, pane.size.width - 4)
        text = answer_text(answer, side.ready, room, plain=ascii_only(), corrected=corrected(answer))
        pane.set_text(title, text, below=name_of(answer), place=(answer.id, answer.number))


def _nothing(keymap: Keymap) -> str:
    """Return how to begin, with the keys as they are now."""
    keys = [(keymap.first(name), keymap.text(words)) for name, words in _BEGIN]
    width = max(len(key) for key, _ in keys) + 4
    return "\n".join(["Nothing is graded yet.", "", *(f"{key:{width}}{words}" for key, words in keys), "", _PROCESS])


def heading(sides: Sequence[Side], keymap: Keymap) -> Content:
    """Return a line for each checkpoint: what grades, which one is chosen, what it does or why it cannot."""
    lines = []
    for place, side in enumerate(sides):
        words = side.words or ("ready" if side.ready is not None else "loaded when it grades first")
        style = "$text-error-own" if side.problem and not side.busy else "$muted"
        name = Content.styled(f"{'beside ' if place else ''}{clean_line(side.grader)}", "bold $primary")
        if side.grader != side.name:
            name += Content.styled(f"  chosen: {clean_line(side.name)}", "$muted")
        lines.append(name + Content.styled(f"  {clean_line(keymap.text(words), max_chars=300)}", style))
    return Content("\n").join(lines)

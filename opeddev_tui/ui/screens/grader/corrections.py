"""A person's corrections of answers: the dialog, what is typed and not kept yet, which answers are corrected."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.answered_row import lacking
from opeddev_tui.data.grade_scale import grade_of, range_words
from opeddev_tui.serving.worker_messages import Answered
from opeddev_tui.ui.screens.grader.answer_text import name_of
from opeddev_tui.ui.screens.grader.correct import CorrectScreen, Draft
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.grader import GraderTasks

if TYPE_CHECKING:
    from opeddev_tui.data.answer_history import Change
    from opeddev_tui.data.collected_answers import ByText
    from opeddev_tui.data.corrected_answers import Kept
    from opeddev_tui.serving.asked import Answer

_READ_ONLY = "This is read only: nothing is written."


class Corrections:
    """What is corrected in the open batch, and what is typed and not kept yet, by submission and prompt."""

    def __init__(self, shell: Shell, tasks: GraderTasks, changed: Callable[[], None]) -> None:
        self._shell, self._tasks, self._changed = shell, tasks, changed
        self._standing: ByText = {}
        self._drafts: dict[bytes, Draft] = {}
        # of each request and number, as texts may be long: the key of its draft, and a person's grade
        self._keys: dict[tuple[int, int], bytes] = {}
        self._grades: dict[tuple[int, int], str] = {}

    def read(self) -> None:
        """Read what stands in the open batch: it may be of another day, or kept by a command meanwhile."""
        self._tasks.corrected(self._take)

    def _take(self, standing: ByText) -> None:
        if standing != self._standing:
            self._standing = standing
            self._grades.clear()
            self._changed()

    def grade_of(self, answer: Answered) -> str:
        """Return the grade that a person gave, empty where none did."""
        if not self._standing:
            return ""
        # not before there are any: it brings all that reads data
        from opeddev_tui.data.collected_answers import same_row

        place = (answer.id, answer.number)
        if place not in self._grades:
            found = same_row(self._standing, answer.fields, self._shell.loaded.settings)
            self._grades[place] = found.grade if found is not None else ""
        return self._grades[place]

    def ask(self, answer: Answered) -> None:
        """Ask for the right grade of ``answer`` and keep it."""
        if self._shell.session.read_only:
            self._shell.tell(_READ_ONLY, severity="warning")
            return
        if not answer.fields:
            self._shell.tell("There is no submission that could become a row.", severity="warning")
            return
        key, graded = self._key(answer), answer.graded
        text = graded.feedback or ""
        draft = self._drafts.get(key) or Draft(feedback=text, offered=text, offered_for=graded.grade or "")
        grading = self._shell.loaded.settings.grading
        about = f"{name_of(answer)}: the grader gives {graded.grade or 'no grade'}.{_lacks(answer, grading)}"
        scale, areas = range_words(grading), tuple(graded.criteria)
        dialog = CorrectScreen(about, scale, areas, draft, partial(_same_grade, grading))

        def keep(given: Answer) -> None:
            def kept(found: Kept) -> None:
                self._drafts.pop(key, None)
                dialog.dismiss()
                self._tell(found, answer)

            self._drafts[key] = dialog.draft
            self._tasks.keep(answer.fields, given, graded.file, kept, dialog.refuse_kept)

        def leave(left: Draft) -> None:
            self._drafts[key] = left

        dialog.on_keep, dialog.on_leave = keep, leave
        self._shell.push_screen(dialog)

    def undo(self, answer: Answered | None) -> None:
        """Undo the last correction of ``answer``, of this session or of an earlier one."""
        if answer is None or not answer.fields:
            self._shell.tell("No submission is on show: there is nothing to undo.")
            return
        if self._shell.session.read_only:
            self._shell.tell(_READ_ONLY, severity="warning")
            return

        def undone(found: Kept) -> None:
            text = answer.graded.feedback or ""
            self._drafts[self._key(answer)] = _typed(found.change, text, answer.graded.grade or "")
            self._tell(found, answer, " {grader.correct} opens what you had typed.")

        self._tasks.undo(answer.fields, name_of(answer), undone, self._refuse)

    def _refuse(self, reason: str) -> None:
        self._shell.tell(reason, severity="warning")
        # it may have been undone elsewhere
        self.read()

    def _tell(self, found: Kept, answer: Answered, more: str = "") -> None:
        notes = "".join(f" Note: {note}" for note in found.notes)
        # a row without an id is named by its file
        name = name_of(answer).rpartition("/")[2]
        self._shell.tell(f"{found.told(name)}{notes}{self._shell.session.keymap.text(more)}")
        self.read()
        # the batches are counted again
        self._shell.disk.refresh()

    def _key(self, answer: Answered) -> bytes:
        place = (answer.id, answer.number)
        if place not in self._keys:
            content = msgspec.json.encode(answer.fields, order="sorted")
            self._keys[place] = hashlib.sha256(content).digest()
        return self._keys[place]


def _typed(undone: Change, offered: str, offered_for: str) -> Draft:
    """Return what a person had typed for the correction that is ``undone``; the model's own text is ``offered``."""
    row = undone.asked or undone.before or {}
    criteria = row.get("criteria")
    areas = ", ".join(f"{name}={said}" for name, said in criteria.items()) if isinstance(criteria, dict) else ""
    return Draft(undone.was, str(row.get("feedback") or ""), areas, offered, offered_for)


def _lacks(answer: Answered, grading: Grading) -> str:
    """Return a sentence on the fields that the row would not have, empty where it has all."""
    empty = lacking(answer.fields, grading)
    if not empty:
        return ""
    named, it = " and no ".join(empty), "it" if len(empty) == 1 else "them"
    return f" It has no {named}: type {it} under Submission and grade it again, or keep it without."


def _same_grade(grading: Grading, one: str, other: str) -> bool:
    """Return whether two texts are one grade of the scale; what is no grade is left to the keeping to refuse."""
    first = grade_of(one, grading)
    return first is None or first == grade_of(other, grading)

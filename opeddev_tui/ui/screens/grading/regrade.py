"""Read one row and give it another grade. The correction is written by whoever gets the result, not here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from msgspec import Struct
from msgspec.structs import replace
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from opeddev_tui.terminal.textual_private import Dialog
from opeddev_tui.text import clean_line
from opeddev_tui.ui.keymap import DEFAULT_KEYS, Keymap
from opeddev_tui.ui.keys import REGRADE, bindings
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.disputes import Dispute
from opeddev_tui.ui.tasks.grading import Row
from opeddev_tui.ui.widgets.bars import key_part
from opeddev_tui.ui.widgets.code_text import coloured, shown
from opeddev_tui.ui.widgets.dialogs import AskText

_DIGITS = "0123456789"
_ABOUT = (
    "A correction is kept beside your files, which stay as they are. It counts in every step that is trained from now "
    "on."
)


class Wish(Struct, frozen=True):
    """What a person wants for a row: another ``grade``, as written, or to ``undo`` the correction."""

    grade: str = ""
    note: str = ""
    undo: bool = False


def note_about(key: str) -> str:
    """Return what a draft of the note on the row ``key`` is about."""
    return f"note on row {key}"


def grade_keys(labels: Sequence[str], keymap: Keymap = DEFAULT_KEYS) -> dict[str, str]:
    """Return the key for each grade, where each grade has one: a single character that means nothing else."""
    taken = {key for row in keymap.keys(REGRADE) for key in row.keys.split(",")}
    keys = {label.strip().lower(): label for label in labels}
    usable = all(len(key) == 1 and key.isalnum() and key not in taken for key in keys)
    return keys if usable and len(keys) == len(labels) else {}


class AskGrade(AskText):
    """Asks for a grade of the scale."""

    def __init__(self, row: Row, labels: Sequence[str]) -> None:
        scale = ", ".join(labels) if len(labels) <= 12 else f"{labels[0]} to {labels[-1]}"
        super().__init__(
            "Another grade", f"In your file {row.own}; counts as {row.now}. The scale: {clean_line(scale)}"
        )
        self._labels = labels

    def accept(self, value: str) -> None:
        """Close with a grade of the scale."""
        typed = value.strip().casefold()
        found = next((label for label in self._labels if label.strip().casefold() == typed), None)
        if found is None:
            self.refuse(f"{clean_line(value.strip(), max_chars=30) or 'Nothing'} is not a grade here.")
        else:
            self.dismiss(found)


class RegradeScreen(Dialog[Wish]):
    """One row over the list: what was asked, the submission, the feedback, and its grades.

    A key of the scale only chooses: elsewhere digits go to screens, and one that is pressed by mistake must not change
    a grade.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(REGRADE)
    CSS = """
    RegradeScreen .dialog { max-width: 120; height: 90%; }
    RegradeScreen #row { height: 1fr; scrollbar-size-vertical: 1; }
    RegradeScreen .line { height: auto; }
    """

    def __init__(
        self, row: Row, dispute: Dispute | None, labels: Sequence[str], keymap: Keymap, *, read_only: bool
    ) -> None:
        super().__init__()
        self._row, self._dispute, self._labels, self._keymap = row, dispute, labels, keymap
        self._read_only = read_only
        self._keys = {} if read_only else grade_keys(labels, keymap)
        self._note = self._chosen = ""
        digits = _DIGITS if any(key in _DIGITS for key in self._keys) else ""
        for key in dict.fromkeys((*self._keys, *digits)):
            self._bindings.bind(key, f"choose('{key}')", self._keys.get(key, key))

    @property
    def _drafts(self) -> dict[str, str]:
        return cast("Shell", self.app).session.drafts

    def compose(self) -> ComposeResult:
        """Make the grades, the texts and the keys."""
        # a note waits for its grade, also where the row was left meanwhile
        self._note = self._drafts.get(note_about(self._row.key), "")
        with Vertical(classes="dialog") as box:
            box.border_title = Content(clean_line(f"{self._row.id or self._row.key} · {self._row.set}"))
            yield Static(self._grades(), markup=False, id="grades", classes="line")
            with VerticalScroll(id="row"):
                yield Static(row_text(self._row), markup=False)
            yield Static(Content.styled(_ABOUT, "$muted"), markup=False, id="chosen", classes="line")
            yield Static(self._key_line(), markup=False, id="keys", classes="line")

    def _grades(self) -> Content:
        row, dispute = self._row, self._dispute
        parts = [Content.styled(f"Grade {row.now}", "bold")]
        if row.settled:
            told = "confirmed by a person" if row.now == row.own else f"corrected, in your file {row.own}"
            by = f" by {row.rater}" if row.rater else ""
            parts.append(Content.styled(clean_line(told + by), "$text-success"))
        if dispute is not None:
            told = f"the head, fitted without it, gives {dispute.graded} (surprise {dispute.surprise:.2f})"
            parts.append(Content(clean_line(told)))
        note = self._note or row.note
        if note:
            parts.append(Content.styled(f"note: {clean_line(note)}", "$muted"))
        return Content(" · ").join(parts)

    def _key_line(self) -> Content:
        rows = {row.action: row for row in self._keymap.keys(REGRADE) if row.footer}
        close = key_part(rows["dismiss"])[0]
        if self._read_only:
            return Content("   ").join([Content.styled("read only: nothing is written", "$muted"), close])
        parts = [key_part(row)[0] for row in rows.values()]
        if self._keys:
            keys = list(self._keys)
            named = f"{keys[0]}-{keys[-1]}" if len(keys) > 2 else " ".join(keys)
            parts[0] = key_part(replace(rows["grade"], keys="", shown=named, label="Choose a grade"))[0]
        return Content("   ").join(parts)

    def _show_choice(self) -> None:
        """Say what Enter would do now."""
        row, chosen = self._row, clean_line(self._chosen)
        text = Content.styled(_ABOUT, "$muted")
        if self._chosen == row.now:
            text = self._asked(f"{chosen}, the grade that it has", "confirms")
        elif self._chosen:
            text = self._asked(f"{chosen} instead of {clean_line(row.now)}", "changes")
        self.query_one("#chosen", Static).update(text)

    def _asked(self, choice: str, does: str) -> Content:
        keys = self._keymap.text(f": {{regrade.grade}} {does} it, {{regrade.close}} leaves it as it is")
        return Content.styled(choice, "bold reverse") + Content.styled(keys, "bold")

    # --- keys

    def action_choose(self, key: str) -> None:
        """Choose the grade of a key; another key of the table gives it or drops it."""
        self._chosen = self._keys.get(key, "")
        if self._chosen:
            self._show_choice()
        else:
            words = f"{key} is no grade of the scale {clean_line(self._labels[0])} to {clean_line(self._labels[-1])}."
            self.query_one("#chosen", Static).update(Content.styled(words, "bold"))

    def action_grade(self) -> None:
        """Close with the chosen grade, or ask for one."""
        if self._read_only:
            return
        if self._chosen:
            self._give(self._chosen)
            return

        def take(grade: str | None) -> None:
            if grade is not None:
                self._give(grade)

        cast("Shell", self.app).push_screen(AskGrade(self._row, self._labels), take)

    def _give(self, grade: str) -> None:
        """Close with a grade and the note, whose draft goes once the correction is kept."""
        self.dismiss(Wish(grade, self._note))

    def action_note(self) -> None:
        """Ask for a note that goes with the correction."""
        if self._read_only:
            return

        def take(note: str | None) -> None:
            if note is not None:
                drafts.pop(typing, None)
                self._note = drafts[note_about(self._row.key)] = note.strip()
                self.query_one("#grades", Static).update(self._grades())

        drafts, typing = self._drafts, f"note being typed on row {self._row.key}"
        ask = AskText(
            "Note",
            "Why? It is kept with the correction, once you give a grade.",
            drafts.get(typing, self._note),
            keep_typed=lambda typed: drafts.update({typing: typed}),
        )
        cast("Shell", self.app).push_screen(ask, take)

    def action_undo(self) -> None:
        """Drop the choice, else close with the wish to undo the correction."""
        if self._chosen:
            self._drop_choice()
        elif not self._read_only:
            self.dismiss(Wish(undo=True))

    def _drop_choice(self) -> None:
        self._chosen = ""
        self._show_choice()

    def action_scroll(self, step: int) -> None:
        """Scroll by lines."""
        self.query_one("#row").scroll_relative(y=step, animate=False)

    def action_ends(self, way: int) -> None:
        """Scroll to the top (-1) or to the end (1)."""
        row = self.query_one("#row")
        row.scroll_to(y=0 if way < 0 else row.max_scroll_y, animate=False)

    async def action_dismiss(self, result: Wish | None = None) -> None:
        """Drop the choice, else close without a wish."""
        if self._chosen and result is None:
            self._drop_choice()
        else:
            self.dismiss(result)


def row_text(row: Row) -> Content:
    """Return what was asked with the submission in colours, and the answer."""
    asked = coloured(row.prompt, row.kind)
    parts = [Content.styled("Asked", "bold $primary"), asked]
    if row.submission and shown(row.submission).strip() not in shown(row.prompt):
        parts += [Content(""), Content.styled("Submission", "bold $primary"), coloured(row.submission, row.kind)]
    answer = coloured(row.completion, row.kind)
    return Content("\n").join([*parts, Content(""), Content.styled("Answer", "bold $primary"), answer])

"""Owns what the browser does with checkpoints: continue, verify, pin, note, try, score, export, delete.

Everything that deletes or loads a model asks first and says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from opeddev_tui.catalog import Entry
from opeddev_tui.control import StepRequest
from opeddev_tui.format import number, size
from opeddev_tui.pruning import Removal
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.quit import Answer, AskScreen
from opeddev_tui.ui.shelf import removal_words, short

if TYPE_CHECKING:
    from opeddev_tui.ui.screens.checkpoints import CheckpointsScreen

CANCEL: Answer = ("c", "", "Cancel")


class AskText(ModalScreen[str]):
    """A line of text; Esc gives nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, text: str, value: str = "") -> None:
        super().__init__()
        self._title, self._text, self._value = title, text, value

    def compose(self) -> ComposeResult:
        """Make the input."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "Enter takes it, Esc cancels"
            yield Static(Content(self._text), markup=False)
            yield Input(value=self._value, id="text", select_on_focus=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it."""
        event.stop()
        self.dismiss(event.value)


class CheckpointActions:
    """The actions of the browser, by one key each."""

    def _here(self) -> CheckpointsScreen:
        from opeddev_tui.ui.screens.checkpoints import CheckpointsScreen

        assert isinstance(self, CheckpointsScreen)
        return self

    def _tell(self, text: str, severity: str = "information") -> None:
        self._here().boss.tell(text, severity=severity)

    def _one(self) -> Entry | None:
        """Return the whole checkpoint under the cursor; say why not."""
        entry = self._here().current
        if entry is None:
            return None
        problems = self._here().verified.get(str(entry.folder))
        if not entry.published or problems:
            self._tell(f"{short(entry)} cannot be used: {'; '.join(problems or ['never finished'])}.", "warning")
            return None
        return entry

    def _may_write(self) -> bool:
        if self._here().boss.session.read_only:
            self._tell("This is read only: nothing can be changed here.", "warning")
            return False
        return True

    def _trains(self) -> bool:
        boss = self._here().boss
        return boss.live.running or boss.session.whose == "other"

    # --- continue

    def action_resume_from(self) -> None:
        """Ask, then train the next step or a branch from the selected checkpoint."""
        entry = self._one()
        if entry is None or not self._may_write():
            return
        if self._trains():
            self._tell("A training is running: nothing can be started now.", "warning")
            return
        answers = self._ways(entry)
        if len(answers) == 1:
            self._tell("There is no batch that a step could add to it.", "warning")
            return
        boss = self._here().boss

        def start(answer: str | None) -> None:
            if answer:
                boss.start_training(StepRequest(which=answer, new=True, start_from=str(entry.folder)))
                boss.action_go("monitor")

        words = f"A new run starts from the weights of {short(entry)} ({entry.name}). Nothing is overwritten."
        if self._here().shelf is not None and self._here().shelf.budget:  # type: ignore[union-attr]  # just tested
            words += f"\n! {self._here().shelf.budget}."  # type: ignore[union-attr]
        boss.push_screen(AskScreen("Train from this checkpoint?", clean_line(words), answers), start)

    def _ways(self, entry: Entry) -> tuple[Answer, ...]:
        """Return the steps that could be trained from ``entry``: the next one, and the one after its own again."""
        view = self._here().boss.session.view()
        following = view.next_batch
        answers: list[Answer] = []
        if following is not None:
            answers.append(("y", "next", f"Train the next step, {following.number} ({clean_line(following.name)})"))
        branch = next((batch for batch in view.batches if batch.number == entry.step + 1), None)
        if branch is not None and branch != following:
            words = f"Branch: train step {branch.number} ({clean_line(branch.name)}) again, as a new run"
            answers.append(("b", str(branch.number), words))
        return (*answers, CANCEL)

    # --- trust, pins, notes

    def action_verify(self) -> None:
        """Read every byte of the chosen ones."""
        self._verify(self._here().chosen())

    def action_verify_all(self) -> None:
        """Read every byte of all."""
        shelf = self._here().shelf
        self._verify(shelf.entries if shelf is not None else ())

    def _verify(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        left = [len(entries)]
        bad: list[str] = []

        def found(entry: Entry, problems: list[str]) -> None:
            self._here().verified[str(entry.folder)] = problems
            self._here().fill()
            left[0] -= 1
            if problems:
                bad.append(f"{short(entry)}: {'; '.join(problems)}")
            if not left[0]:
                words = "Damaged: " + " · ".join(bad) if bad else f"Verified: {len(entries)}, every byte as published."
                self._tell(words, "error" if bad else "information")

        self._tell(f"Reading {size(sum(entry.size for entry in entries))} …")
        self._here().work.verify(entries, found)

    def action_pin(self) -> None:
        """Pin the chosen ones, or take the pins away."""
        entries = [entry for entry in self._here().chosen() if entry.published]
        if not entries or not self._may_write():
            return
        pinned = not all("pinned" in entry.marks for entry in entries)
        for entry in entries:
            self._here().work.annotate(entry, self._here().reload, pinned=pinned)

    def action_note(self) -> None:
        """Write a note."""
        entry = self._here().current
        if entry is None or not self._may_write():
            return

        def written(note: str | None) -> None:
            if note is not None:
                self._here().work.annotate(entry, self._here().reload, note=note)

        screen = AskText(f"Note on {short(entry)}", "An empty note takes it away.", entry.note)
        self._here().boss.push_screen(screen, written)

    # --- using the model

    def _with_model(self, do: Callable[[], None]) -> None:
        """Do what loads a model; ask first where a training would share the machine with it."""
        if not self._trains():
            do()
            return
        words = "It loads another copy of the model beside the training: that may slow it down or run out of memory."
        answers = (("y", "yes", "Load it all the same"), CANCEL)
        self._here().boss.push_screen(
            AskScreen("A training is running", words, answers), lambda answer: do() if answer == "yes" else None
        )

    def action_try_it(self) -> None:
        """Answer prompts with the chosen ones."""
        from opeddev_tui.ui.screens.try_prompt import TryScreen

        entries = [entry for entry in self._here().chosen() if entry.published]
        if entries:
            work = self._here().work
            self._with_model(lambda: self._show_try(TryScreen(entries, work.settings)))

    def _show_try(self, screen: ModalScreen[None]) -> None:
        self._here().boss.push_screen(screen)

    def action_score(self) -> None:
        """Score the selected one on the hold-out."""
        entry = self._one()
        if entry is None:
            return

        def scored(loss: float) -> None:
            self._tell(f"{short(entry)}: hold-out loss {loss:.4f}, recorded {number(entry.val_loss, 4)}.")

        def score() -> None:
            self._tell(f"Scoring {short(entry)} on the hold-out …")
            self._here().work.score(entry, scored)

        self._with_model(score)

    def action_export(self) -> None:
        """Write a model folder."""
        entry = self._one()
        if entry is None:
            return
        here = self._here()

        def export(target: str | None) -> None:
            if target:
                place = here.work.workspace.path(target)
                self._tell(f"Exporting {short(entry)} …")
                here.work.export(entry, place, lambda path: self._tell(f"{short(entry)} is at {path}."))

        name = f"exports/{entry.run}-{entry.folder.name}"
        text = "A new folder: safetensors, tokenizer, chat template, model card. LoRA is merged."

        def ask() -> None:
            here.boss.push_screen(AskText(f"Export {short(entry)}", text, name), export)

        self._with_model(ask)

    # --- deleting

    def action_remove(self) -> None:
        """Show what deleting the chosen ones would do, then ask."""
        if self._may_write() and self._here().chosen():
            self._here().work.plan(self._here().chosen(), self._ask_removal)

    def action_prune(self) -> None:
        """Show what deleting everything unneeded would do, then ask."""
        if self._may_write():
            self._here().work.plan(None, self._ask_removal)

    def _ask_removal(self, removal: Removal) -> None:
        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._here().work.remove(removal, self._removed)

        verb: Answer = ("y", "yes", f"Delete {removal.count} and free {size(removal.freed)}")
        answers = (verb, CANCEL) if removal.count else (CANCEL,)
        room = max(4, self._here().size.height - 14)
        self._here().boss.push_screen(
            AskScreen("What would be deleted", removal_words(removal, room), answers), answered
        )

    def _removed(self, freed: int) -> None:
        self._tell(f"Deleted; {size(freed)} freed.")
        self._here().reload()

"""What keys of the browser do with checkpoints: train from one, verify, pin, note, try, score, export, delete.

Whatever deletes a checkpoint, or loads a model beside a training, asks first and says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.checkpoints.pruning import Removal
from opeddev_tui.format import number, size
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.checkpoints.listing import removal_text, short
from opeddev_tui.ui.tasks.checkpoints import CheckpointTasks
from opeddev_tui.ui.widgets.dialogs import CANCEL, Answer, AskScreen, AskText, LinesScreen

if TYPE_CHECKING:
    from opeddev_tui.ui.screens.checkpoints.screen import CheckpointsScreen
    from opeddev_tui.ui.screens.checkpoints.try_prompt import Tried


class CheckpointActions:
    """What can be done with the checkpoints that ``browser`` shows. A key's action names one of the public methods."""

    def __init__(self, browser: CheckpointsScreen, tasks: CheckpointTasks) -> None:
        self._shell, self._browser, self._tasks = browser.shell, browser, tasks
        # what was typed where a prompt was tried last
        self._tried: Tried | None = None

    def _tell(self, text: str, severity: str = "information") -> None:
        self._shell.tell(text, severity=severity)

    def _one(self) -> Entry | None:
        """Return the checkpoint under the cursor if a model can be loaded from it; say why where it cannot."""
        entry = self._browser.current
        if entry is None:
            return None
        problems = self._browser.verified.get(str(entry.folder))
        if not entry.published or problems:
            self._tell(f"{short(entry)} cannot be used: {'; '.join(problems or ['never finished'])}.", "warning")
            return None
        return entry

    def _may_write(self) -> bool:
        if self._shell.session.read_only:
            self._tell("This is read only: nothing can be changed here.", "warning")
            return False
        return True

    def _trains(self) -> bool:
        return self._shell.live.running or self._shell.session.trained_by == "other"

    # --- training from one

    def resume_from(self) -> None:
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

        def start(answer: str | None) -> None:
            if answer:
                self._shell.start_training(StepRequest(which=answer, new=True, start_from=str(entry.folder)))
                self._shell.action_go("monitor")

        text = f"A new run starts from the weights of {short(entry)} ({entry.name}). Nothing is overwritten."
        shelf = self._browser.shelf
        if shelf is not None and shelf.budget:
            text += f"\n! {shelf.budget}."
        self._shell.push_screen(AskScreen("Train from this checkpoint?", clean_line(text), answers), start)

    def _ways(self, entry: Entry) -> tuple[Answer, ...]:
        """Return the steps that can be trained from ``entry``: the next one, and the one after its own as a branch."""
        view = self._shell.session.shown
        following = view.next_batch
        answers: list[Answer] = []
        if following is not None:
            answers.append(("y", "next", f"Train the next step, {following.number} ({clean_line(following.name)})"))
        branch = next((batch for batch in view.batches if batch.number > entry.step and batch.there), None)
        if branch is not None and branch != following:
            label = f"Branch: train step {branch.number} ({clean_line(branch.name)}) again, as a new run"
            answers.append(("b", str(branch.number), label))
        return (*answers, CANCEL)

    # --- verifying, pins, notes

    def verify(self) -> None:
        """Read every byte of the marked ones, else of the one under the cursor."""
        self._verify(self._browser.chosen())

    def verify_all(self) -> None:
        """Read every byte of all checkpoints."""
        shelf = self._browser.shelf
        self._verify(shelf.entries if shelf is not None else ())

    def _verify(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        damaged: list[str] = []

        def verified(entry: Entry, problems: list[str]) -> None:
            self._browser.verified[str(entry.folder)] = problems
            self._browser.fill()
            if problems:
                damaged.append(f"{short(entry)}: {'; '.join(problems)}")

        def done() -> None:
            if damaged:
                self._tell("Damaged: " + " · ".join(damaged), "error")
            else:
                self._tell(f"Verified: {len(entries)}, every byte as published.")

        self._tell(f"Reading {size(sum(entry.size for entry in entries))} …")
        self._tasks.verify(entries, verified, done)

    def pin(self) -> None:
        """Pin the marked ones, else the one under the cursor; unpin them where all are pinned."""
        entries = [entry for entry in self._browser.chosen() if entry.published]
        if not entries or not self._may_write():
            return
        pinned = not all("pinned" in entry.marks for entry in entries)
        for entry in entries:
            self._tasks.annotate(entry, self._browser.reload, pinned=pinned)

    def note(self) -> None:
        """Write a note on the one under the cursor."""
        entry = self._browser.current
        if entry is None or not self._may_write():
            return

        drafts, about = self._shell.session.drafts, f"note on {entry.folder}"

        def kept() -> None:
            drafts.pop(about, None)
            self._browser.reload()

        def written(note: str | None) -> None:
            if note is not None:
                # there again where the disk does not take it
                drafts[about] = note
                self._tasks.annotate(entry, kept, note=note)

        screen = AskText(
            f"Note on {short(entry)}",
            "An empty text removes the note.",
            drafts.get(about, entry.note),
            keep_typed=lambda typed: drafts.update({about: typed}),
        )
        self._shell.push_screen(screen, written)

    # --- using the model

    def _with_model(self, do: Callable[[], None]) -> None:
        """Do what loads a model; ask first while a training uses the machine."""
        if not self._trains():
            do()
            return
        text = "It loads another copy of the model beside the training: that may slow it down or run out of memory."
        question = AskScreen("A training is running", text, (("y", "yes", "Load it all the same"), CANCEL))
        self._shell.push_screen(question, lambda answer: do() if answer == "yes" else None)

    def try_it(self) -> None:
        """Answer prompts with the marked ones, else with the one under the cursor."""
        from opeddev_tui.ui.screens.checkpoints.try_prompt import TryScreen

        entries = [entry for entry in self._browser.chosen() if entry.published]

        def show() -> None:
            screen = TryScreen(entries, self._tasks.settings, self._tasks.workspace.root, self._tried)
            self._shell.push_screen(screen, self._keep_tried)

        if entries:
            self._with_model(show)

    def _keep_tried(self, tried: Tried | None) -> None:
        self._tried = tried or self._tried

    def score(self) -> None:
        """Score the one under the cursor on the hold-out."""
        entry = self._one()
        if entry is None:
            return

        def scored(loss: float, holdout: str) -> None:
            other = "" if holdout == entry.holdout else " on another hold-out"
            self._tell(f"{short(entry)}: hold-out loss {loss:.4f}, recorded{other} {number(entry.val_loss, 4)}.")

        def score() -> None:
            self._tell(f"Scoring {short(entry)} on the hold-out …")
            self._tasks.score(entry, scored)

        self._with_model(score)

    def export(self) -> None:
        """Write the one under the cursor as a model folder."""
        entry = self._one()
        if entry is None:
            return

        def export(target: str | None) -> None:
            if target:
                folder = self._tasks.workspace.path(target)
                self._tell(f"Exporting {short(entry)} …")
                self._tasks.export(entry, folder, partial(self._exported, entry))

        name = f"exports/{entry.run}-{entry.folder.name}"
        text = "A new folder: weights, chat template as trained, grade head, grade.py, model card."

        def ask() -> None:
            self._shell.push_screen(AskText(f"Export {short(entry)}", text, name), export)

        self._with_model(ask)

    def _exported(self, entry: Entry, lines: Sequence[str]) -> None:
        """Show what was written and how to use it; on another screen the status line says that it is done."""
        if self._browser.is_current:
            self._shell.push_screen(LinesScreen(f"Exported {short(entry)}", lines))
        else:
            self._tell(f"{lines[0]} The log ({{everywhere.log}}) says how to use it.")

    # --- deleting

    def remove(self) -> None:
        """Show what would be deleted of the marked ones, else of the one under the cursor; then ask."""
        if self._may_write() and self._browser.chosen():
            self._ask_removal(self._browser.chosen())

    def prune(self) -> None:
        """Show which checkpoints nothing needs, then ask whether to delete them."""
        if self._may_write():
            self._ask_removal(None)

    def _ask_removal(self, entries: Sequence[Entry] | None) -> None:
        """Open the question at once, so that keys typed ahead go to it; fill it once the disk is counted."""
        question = AskScreen("What would be deleted", "Counting what is on the disk …", (CANCEL,))
        planned: list[Removal] = []

        def counted(removal: Removal) -> None:
            if not question.is_attached:
                return
            planned.append(removal)
            delete: Answer = ("y", "yes", f"Delete {removal.count} and free {size(removal.freed)}")
            answers = (delete, CANCEL) if removal.count else (CANCEL,)
            question.now_ask(removal_text(removal, max(4, self._browser.size.height - 14)), answers)

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._tasks.remove(planned[0], self._removed)

        self._shell.push_screen(question, answered)
        self._tasks.plan(entries, counted)

    def _removed(self, freed: int) -> None:
        self._tell(f"Deleted; {size(freed)} freed.")
        self._browser.reload()

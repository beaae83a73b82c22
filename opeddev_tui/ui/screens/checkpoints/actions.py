"""What the browser does with checkpoints: continue, verify, pin, note, try, score, export, delete.

Everything that deletes or loads a model asks first and says what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from textual.geometry import Size
from textual.screen import ModalScreen

from opeddev_tui.checkpoints.catalog import CheckpointList, Entry
from opeddev_tui.checkpoints.pruning import Removal
from opeddev_tui.format import number, size
from opeddev_tui.runs.control import StepRequest
from opeddev_tui.text import clean_line
from opeddev_tui.ui.screens.checkpoints.listing import removal_words, short
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.tasks.checkpoints import CheckpointTasks
from opeddev_tui.ui.widgets.dialogs import CANCEL, Answer, AskScreen, AskText


class Browser(Protocol):
    """The table of checkpoints, as far as the actions need it."""

    shelf: CheckpointList | None
    verified: dict[str, list[str]]

    @property
    def current(self) -> Entry | None:
        """The checkpoint under the cursor."""

    @property
    def size(self) -> Size:
        """Columns and lines of the screen."""

    def chosen(self) -> list[Entry]:
        """Return the marked ones, else the one under the cursor."""

    def fill(self) -> None:
        """Show the lines as they are now."""

    def reload(self) -> None:
        """Read what is on disk."""


class CheckpointActions:
    """What can be done with the checkpoints that ``browser`` shows, one method per key."""

    def __init__(self, shell: Shell, browser: Browser) -> None:
        self._shell, self._browser = shell, browser
        self._work = CheckpointTasks(shell)

    def _tell(self, text: str, severity: str = "information") -> None:
        self._shell.tell(text, severity=severity)

    def _one(self) -> Entry | None:
        """Return the whole checkpoint under the cursor; say why not."""
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

    # --- continue

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

        words = f"A new run starts from the weights of {short(entry)} ({entry.name}). Nothing is overwritten."
        shelf = self._browser.shelf
        if shelf is not None and shelf.budget:
            words += f"\n! {shelf.budget}."
        self._shell.push_screen(AskScreen("Train from this checkpoint?", clean_line(words), answers), start)

    def _ways(self, entry: Entry) -> tuple[Answer, ...]:
        """Return the steps that could be trained from ``entry``: the next one, and the one after its own again."""
        view = self._shell.session.shown
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

    def verify(self) -> None:
        """Read every byte of the chosen ones."""
        self._verify(self._browser.chosen())

    def verify_all(self) -> None:
        """Read every byte of all."""
        shelf = self._browser.shelf
        self._verify(shelf.entries if shelf is not None else ())

    def _verify(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        left = [len(entries)]
        bad: list[str] = []

        def found(entry: Entry, problems: list[str]) -> None:
            self._browser.verified[str(entry.folder)] = problems
            self._browser.fill()
            left[0] -= 1
            if problems:
                bad.append(f"{short(entry)}: {'; '.join(problems)}")
            if not left[0]:
                words = "Damaged: " + " · ".join(bad) if bad else f"Verified: {len(entries)}, every byte as published."
                self._tell(words, "error" if bad else "information")

        self._tell(f"Reading {size(sum(entry.size for entry in entries))} …")
        self._work.verify(entries, found)

    def pin(self) -> None:
        """Pin the chosen ones, or take the pins away."""
        entries = [entry for entry in self._browser.chosen() if entry.published]
        if not entries or not self._may_write():
            return
        pinned = not all("pinned" in entry.marks for entry in entries)
        for entry in entries:
            self._work.annotate(entry, self._browser.reload, pinned=pinned)

    def note(self) -> None:
        """Write a note."""
        entry = self._browser.current
        if entry is None or not self._may_write():
            return

        def written(note: str | None) -> None:
            if note is not None:
                self._work.annotate(entry, self._browser.reload, note=note)

        screen = AskText(f"Note on {short(entry)}", "An empty note takes it away.", entry.note)
        self._shell.push_screen(screen, written)

    # --- using the model

    def _with_model(self, do: Callable[[], None]) -> None:
        """Do what loads a model; ask first where a training would share the machine with it."""
        if not self._trains():
            do()
            return
        words = "It loads another copy of the model beside the training: that may slow it down or run out of memory."
        answers = (("y", "yes", "Load it all the same"), CANCEL)
        self._shell.push_screen(
            AskScreen("A training is running", words, answers), lambda answer: do() if answer == "yes" else None
        )

    def try_it(self) -> None:
        """Answer prompts with the chosen ones."""
        from opeddev_tui.ui.screens.checkpoints.try_prompt import TryScreen

        entries = [entry for entry in self._browser.chosen() if entry.published]
        if entries:
            self._with_model(lambda: self._show_try(TryScreen(entries, self._work.settings)))

    def _show_try(self, screen: ModalScreen[None]) -> None:
        self._shell.push_screen(screen)

    def score(self) -> None:
        """Score the selected one on the hold-out."""
        entry = self._one()
        if entry is None:
            return

        def scored(loss: float) -> None:
            self._tell(f"{short(entry)}: hold-out loss {loss:.4f}, recorded {number(entry.val_loss, 4)}.")

        def score() -> None:
            self._tell(f"Scoring {short(entry)} on the hold-out …")
            self._work.score(entry, scored)

        self._with_model(score)

    def export(self) -> None:
        """Write a model folder."""
        entry = self._one()
        if entry is None:
            return

        def export(target: str | None) -> None:
            if target:
                place = self._work.workspace.path(target)
                self._tell(f"Exporting {short(entry)} …")
                self._work.export(entry, place, lambda path: self._tell(f"{short(entry)} is at {path}."))

        name = f"exports/{entry.run}-{entry.folder.name}"
        text = "A new folder: safetensors, tokenizer, chat template, model card. LoRA is merged."

        def ask() -> None:
            self._shell.push_screen(AskText(f"Export {short(entry)}", text, name), export)

        self._with_model(ask)

    # --- deleting

    def remove(self) -> None:
        """Show what deleting the chosen ones would do, then ask."""
        if self._may_write() and self._browser.chosen():
            self._work.plan(self._browser.chosen(), self._ask_removal)

    def prune(self) -> None:
        """Show what deleting everything unneeded would do, then ask."""
        if self._may_write():
            self._work.plan(None, self._ask_removal)

    def _ask_removal(self, removal: Removal) -> None:
        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._work.remove(removal, self._removed)

        verb: Answer = ("y", "yes", f"Delete {removal.count} and free {size(removal.freed)}")
        answers = (verb, CANCEL) if removal.count else (CANCEL,)
        room = max(4, self._browser.size.height - 14)
        self._shell.push_screen(AskScreen("What would be deleted", removal_words(removal, room), answers), answered)

    def _removed(self, freed: int) -> None:
        self._tell(f"Deleted; {size(freed)} freed.")
        self._browser.reload()

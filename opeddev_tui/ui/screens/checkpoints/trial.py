"""Let checkpoints answer a prompt, one after the other, in a thread of their own; the screen reads what there is."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from opeddev_tui.checkpoints.catalog import Entry
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.trial_prompts import Messages
from opeddev_tui.errors import Problem
from opeddev_tui.format import duration
from opeddev_tui.ui.tasks import checkpoints


@dataclass
class TrialAnswer:
    """What one checkpoint has written so far. Filled by a thread, read by the screen."""

    text: str = ""
    state: str = ""
    # when the state began, monotonic seconds
    since: float = 0.0

    def enter(self, state: str) -> None:
        """Begin a state."""
        self.state, self.since = state, time.monotonic()

    def words(self, most_tokens: int) -> str:
        """Return the state in words, with the time that it has taken so far."""
        if self.state not in ("loading", "writing"):
            return self.state
        took = duration(time.monotonic() - self.since)
        limit = f" · at most {most_tokens} tokens" if self.state == "writing" else ""
        return f"{self.state} for {took}{limit}"


class Trial:
    """Asks its checkpoints; their models stay loaded."""

    def __init__(self, entries: Sequence[Entry], settings: Settings) -> None:
        self._entries, self._settings = entries, settings
        self._models: dict[str, checkpoints.Model] = {}
        self._thread: threading.Thread | None = None
        self._over = False
        self.answers = [TrialAnswer() for _ in entries]

    @property
    def busy(self) -> bool:
        """True while an answer is being written."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self, messages: Messages) -> None:
        """Begin to answer ``messages``; does nothing while an answer is being written."""
        if not self.busy:
            self._thread = threading.Thread(target=self._run, args=(messages,), daemon=True, name="try")
            self._thread.start()

    def end(self) -> None:
        """Ask the thread to end after the next piece of text."""
        self._over = True

    def _run(self, messages: Messages) -> None:
        for answer in self.answers:
            answer.text = ""
            answer.enter("waiting")
        for entry, answer in zip(self._entries, self.answers, strict=True):
            try:
                self._answer(entry, answer, messages)
            except (Problem, OSError, RuntimeError, ValueError) as error:
                answer.enter(f"failed: {error}")
            if self._over:
                return

    def _answer(self, entry: Entry, answer: TrialAnswer, messages: Messages) -> None:
        key = str(entry.folder)
        if key not in self._models:
            answer.enter("loading")
            self._models[key] = checkpoints.load_model(key, self._settings)
        answer.enter("writing")
        for piece in self._models[key].answer(messages):
            answer.text += piece
            if self._over:
                return
        answer.enter("done")

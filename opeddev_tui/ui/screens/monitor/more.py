"""What can be chosen at the question besides going on or stopping: the next step's learning rate, its data, the rule.

Only offers and checks: the training records a choice, and refuses what it cannot use.
"""

from __future__ import annotations

import math
from functools import partial

from opeddev_tui.format import rate
from opeddev_tui.runs.control import Adjust
from opeddev_tui.text import clean_line
from opeddev_tui.ui.shell import Shell
from opeddev_tui.ui.state.plan_text import chosen_words, next_rate
from opeddev_tui.ui.widgets.dialogs import CANCEL, Answer, AskScreen, AskText

_MOST_BATCHES = 9


def waiting_batches(shell: Shell) -> list[str]:
    """Return the names of the batches that no step has trained yet, in order."""
    return [row.name for row in shell.session.view().batches if row.state in ("next", "waiting") and row.there]


def rate_of(text: str) -> float | str:
    """Return a learning rate, or a sentence that says why ``text`` is none."""
    try:
        value = float(text.strip())
    except ValueError:
        return f"{clean_line(text.strip()) or 'Nothing'} is no number. Write it like 2e-5 or 0.00002."
    if not (math.isfinite(value) and 0 < value <= 1):
        return "A learning rate is above 0 and at most 1."
    return value


def open_more(shell: Shell) -> None:
    """Offer what can be chosen at the open question."""
    session = shell.session
    question, state = session.current.question, session.current
    if question is None or not session.shown.situation.offers_action("more"):
        shell.tell("There is more to choose while a training waits for your decision.")
        return
    best, epoch = state.best_epoch(), question.epoch
    answers: list[Answer] = []
    waiting = waiting_batches(shell)
    if waiting:
        chosen = state.next_step.learning_rate if state.next_step is not None else None
        now = next_rate(shell.loaded.settings, first=False, chosen=chosen)
        answers.append(("l", "rate", f"Learning rate of the next step, now {now}"))
        answers.append(("b", "batch", f"Data of the next step (now up to {clean_line(waiting[0])})"))
    if best is not None and best != epoch:
        losses = f"{state.epochs[best].val_loss:.4f} instead of {state.epochs[epoch].val_loss:.4f}"
        answers.append(("e", "best", f"End the step with epoch {best}, the best, as its result: {losses}"))
    answers.append(("r", "rule", "Let the rule decide from now on, here too: it says " + question.verdict.choice))
    text = "Nothing here changes the running step."
    if state.next_step is not None:
        text += f"\nChosen already: {chosen_words(state)}."
    shell.push_screen(AskScreen("More", text, (*answers, CANCEL)), partial(_chosen, shell, epoch, best or epoch))


def _chosen(shell: Shell, epoch: int, best: int, answer: str | None) -> None:
    if answer == "rate":
        shell.push_screen(RateScreen(_rate_now(shell)), lambda text: _take_rate(shell, epoch, text))
    elif answer == "batch":
        names = waiting_batches(shell)[:_MOST_BATCHES]
        answers = tuple((str(at), name, f"everything up to {name}") for at, name in enumerate(names, 1))
        ask = AskScreen("Data of the next step", "It trains all rows so far, and:", (*answers, CANCEL))
        shell.push_screen(ask, lambda name: shell.adjust(Adjust(epoch=epoch, batch=name)) if name else None)
    elif answer == "best":
        shell.session.decide("stop", result="best", words=f"Stop: the step's result is epoch {best}, the best")
        shell.show_now()
    elif answer == "rule":
        shell.adjust(Adjust(epoch=epoch, policy="rule"))


def _rate_now(shell: Shell) -> str:
    settings, chosen = shell.loaded.settings, shell.session.current.next_step
    if chosen is not None and chosen.learning_rate is not None:
        return rate(chosen.learning_rate)
    return rate(settings.lora.learning_rate if settings.lora.enabled else settings.training.resume_learning_rate)


def _take_rate(shell: Shell, epoch: int, text: str | None) -> None:
    value = rate_of(text) if text is not None else ""
    if isinstance(value, float):
        shell.adjust(Adjust(epoch=epoch, learning_rate=value))


class RateScreen(AskText):
    """Asks for a learning rate; what is none is refused with a sentence."""

    def __init__(self, now: str) -> None:
        about = "It is used in the next step only; the running step and your settings stay as they are."
        super().__init__("Learning rate of the next step", about, now, replaced=True)

    def accept(self, value: str) -> None:
        """Close with what was typed if it is a learning rate."""
        found = rate_of(value)
        if isinstance(found, str):
            self.refuse(found)
        else:
            self.dismiss(value)

"""The question of a training in a plain terminal: typed here or answered from elsewhere, and nothing sent is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_helpers import journal_of, last_run, states
from pty_tools import PYTHON, Terminal, end, until

from opeddev_tui import events as ev
from opeddev_tui.control import Decide, Record, SampleNow, send

PROMPT = "[c]ontinue or [s]top?"
SETTINGS = {"early_stop.policy": "ask", "early_stop.max_extra_epochs": 1}


@contextmanager
def training(root: Path) -> Iterator[Terminal]:
    """Train in a terminal; the block must end with the training at its end."""
    terminal = Terminal(100, 40)
    process = terminal.spawn([PYTHON, "-m", "opeddev_tui", "train", "-w", str(root)])
    try:
        yield terminal
        assert process.wait(60) == 0
    finally:
        end(process)
        terminal.close()


def asked(root: Path, terminal: Terminal, epoch: int) -> None:
    """Wait until the prompt of the question after ``epoch`` is the last line."""

    def open_now() -> bool:
        lines = [line for line in terminal.lines() if line.strip()]
        question = states(root)[-1].question if (root / "logs/runs").is_dir() and states(root) else None
        return question is not None and question.epoch == epoch and PROMPT in lines[-1]

    until(open_now, 120, f"the question after epoch {epoch}")


def made_on_demand(root: Path) -> int:
    return sum(isinstance(event, ev.SamplesGenerated) and event.on_demand for event in journal_of(root))


def test_another_process_answers_and_its_other_commands_are_carried_out(
    workspace_factory: Callable[..., Path],
) -> None:
    root = workspace_factory(rows=8, **SETTINGS)
    with training(root) as terminal:
        asked(root, terminal, 1)
        send(last_run(root), Record(ev.Annotated(epoch=1, note="said elsewhere")))
        send(last_run(root), SampleNow())
        until(lambda: made_on_demand(root) == 1, 30, "samples asked for elsewhere")
        asked(root, terminal, 1)
        send(last_run(root), Decide(epoch=1, choice="continue", note="from afar"))
        asked(root, terminal, 2)
        terminal.press("what\r")
        until(lambda: sum(PROMPT in line for line in terminal.lines()) >= 4, 10, "asked again after another word")
        terminal.press("c\r")
        asked(root, terminal, 3)
        send(last_run(root), Decide(epoch=2, choice="continue"))  # of the question before: no answer
        send(last_run(root), Decide(epoch=3, choice="stop"))
    decided = [(item.epoch, item.choice, item.by, item.note) for item in states(root)[-1].decisions]
    assert decided == [(1, "continue", "person", "from afar"), (2, "continue", "person", ""), (3, "stop", "person", "")]
    notes = [event.note for event in journal_of(root) if isinstance(event, ev.Annotated)]
    assert notes == ["said elsewhere", "from afar"]
    assert states(root)[-1].status == "finished"


def test_nobody_answers_until_the_deadline(workspace_factory: Callable[..., Path]) -> None:
    """The deadline of the settings counts here as well."""
    quick = {"early_stop.decision_timeout_minutes": 0.02, "training.num_train_epochs": 2}
    root = workspace_factory(rows=8, **{**SETTINGS, **quick, "early_stop.max_extra_epochs": 0})
    with training(root):
        pass
    assert [(item.epoch, item.by) for item in states(root)[-1].decisions] == [(1, "timeout"), (2, "limit")]


def test_what_was_typed_before_the_question_is_no_answer(workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory(rows=8, **SETTINGS)
    with training(root) as terminal:
        until(lambda: terminal.shows("step 0"), 60, "the run has begun")
        terminal.press("c\r\rc\r")
        asked(root, terminal, 1)
        terminal.press("s\r")
    assert [(item.epoch, item.choice) for item in states(root)[-1].decisions] == [(1, "stop")]

"""What was chosen at the question for a step, and which step that is. Pure."""

from collections.abc import Sequence

from opeddev_tui.analysis.trained_steps import Step, Steps
from opeddev_tui.runs.events import NextStepChosen
from opeddev_tui.runs.history import RunRecord
from opeddev_tui.runs.state import RunState

NOTHING = NextStepChosen(epoch=0)


def chosen_for(step: int, records: Sequence[RunRecord]) -> NextStepChosen:
    """Return what was chosen for ``step``: in the newest finished run of the step that was trained before it."""
    return chosen_in(step, [record.state for record in records])


def chosen_in(step: int, states: Sequence[RunState]) -> NextStepChosen:
    """Return the same from the states of all runs, oldest first."""
    done = {state.begun.step: state for state in states if state.status == "finished" and state.counts}
    before = max((number for number in done if number < step), default=None)
    return (done[before].next_step if before is not None else None) or NOTHING


def up_to_chosen(steps: Steps, following: Step, batch: str) -> Step:
    """Return the step that adds ``batch`` instead of ``following``, where that batch waits."""
    waiting = (item for item in steps.steps if item.word == "open" and item.place is not None)
    return next((item for item in waiting if item.name == batch and item.number >= following.number), following)

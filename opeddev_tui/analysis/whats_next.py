"""What a training would take up next, what keeps it from that, and the state of every step in a word. Pure.

The table of batches, the decision bar and ``status`` all ask here, so that one fact has one word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from opeddev_tui.analysis.trained_steps import Step, Steps, can_be_resumed
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.runs.state import RunState, Status

# what of a run tells how its step is; the others are of steps that no run has begun
StepWord = Literal["trained", "next", "waiting", "undecided", "problem", "unknown"] | Status
# a run and its present status, as far as it is known
Known = tuple[RunState, Status | Literal["unknown"]]


class Next(Struct, frozen=True):
    """What ``train`` does now: the step, the run that it resumes ("" for a new one), and what keeps it from that.

    ``seeds``: the step was trained with several, and they are to be trained on or one is to be chosen first.
    """

    step: Step | None = None
    resumes: str = ""
    problems: tuple[str, ...] = ()
    seeds: Undecided | None = None


def newest_runs(runs: Iterable[Known]) -> dict[int, Known]:
    """Return the newest run of each step, ``runs`` being oldest first; repetitions and seeds passed over do not count.

    Seeds that are not done yet do: one of them will be the step's run.
    """
    found: dict[int, Known] = {}
    for state, status in runs:
        undecided = bool(state.group) and not state.repeats and status != "finished"
        if state.started is not None and (state.counts or undecided):
            found[state.started.step] = state, status
    return found


def whats_next(
    steps: Steps,
    upcoming: Step | None,
    newest: Mapping[int, Known],
    broken: Mapping[int, Sequence[str]],
    general: Sequence[str] = (),
    seeds: Undecided | None = None,
) -> Next:
    """Return what a training would do; ``upcoming`` is its step, ``seeds`` are its seeds of which none is its run.

    ``broken`` are the problems of batches by their place, ``general`` those of no batch: a step needs the batches up to
    its own, and the hold-out.
    """
    if upcoming is None:
        return Next(problems=tuple(general))
    needed = (step.place for step in steps.up_to(upcoming.number))
    own = [text for place in needed if place is not None for text in broken.get(place, ())]
    state, status = newest.get(upcoming.number, (None, "finished"))
    goes_on = state is not None and status in ("interrupted", "failed") and can_be_resumed(state)
    resumes = state.begun.run if goes_on and state is not None and seeds is None else ""
    return Next(upcoming, resumes, (*own, *general), seeds)


def step_words(
    steps: Steps,
    upcoming: Step | None,
    newest: Mapping[int, Known],
    broken: Iterable[int],
    *,
    starting: bool = False,
    seeds: Undecided | None = None,
) -> dict[int, StepWord]:
    """Return the state of each step; ``starting``: a training has begun and has no run yet; ``seeds``: of ``upcoming``.

    ``broken`` are the places of batches that have problems. At most one step is next: none while a run is going on.
    """
    wrong, following = set(broken), upcoming.number if upcoming is not None else None
    words: dict[int, StepWord] = {}
    for step in steps.steps:
        _, status = newest.get(step.number, (None, None))
        begun = status is not None and status != "finished"
        if step.place is not None and step.place in wrong:
            words[step.number] = "problem"
        elif starting and step.number == following:
            words[step.number] = "starting"
        elif step.word != "open" and step.number != following:
            words[step.number] = "trained"
        elif begun and status is not None:
            words[step.number] = status
        elif step.number == following:
            words[step.number] = "next" if seeds is None else "interrupted" if seeds.left else "undecided"
        else:
            words[step.number] = "waiting" if step.word == "open" else "trained"
    return words

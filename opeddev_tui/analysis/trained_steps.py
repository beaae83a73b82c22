"""Match the batches in the data folders with the steps that trained them, by their rows and never by their place.

Everything that says which step is trained, which comes next and what it trains on asks ``match_steps``. A batch is the
one that a step trained if its rows are the same, whatever its name and number are now. A step keeps its number for
ever: batches that are put between trained ones, or whose rows have changed, get numbers after all others. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from opeddev_tui.data.batch_names import corrections_number
from opeddev_tui.format import plural
from opeddev_tui.runs.events import TrainedBatch
from opeddev_tui.runs.state import RunState
from opeddev_tui.text import clean_line

Word = Literal["trained", "within", "open"]


class Step(Struct, frozen=True):
    """One step: the batch it adds, and whether it is trained.

    ``place`` is the batch's position among those in the data folders, None if it is not there as it was trained.
    ``run`` is the newest finished run. ``word``: trained, trained within a later step, or open. ``was`` is the batch as
    the newest run of the step began with it; ``became`` the number of the step that trains its changed rows.
    """

    number: int
    name: str
    place: int | None
    word: Word
    run: str = ""
    was: TrainedBatch | None = None
    became: int | None = None
    # put before a batch that is trained already
    inserted: bool = False

    @property
    def change(self) -> str:
        """What has become of the batch since it was trained, in a few words; "" if nothing."""
        if self.was is None or self.word != "trained":
            return "put between trained batches" if self.inserted else ""
        if self.became is not None:
            return f"changed since it was trained; its rows are now step {self.became}"
        if self.place is None:
            return "not there any more"
        return f"the one that was called {clean_line(self.was.name)}" if self.name != self.was.name else ""


class Steps(Struct, frozen=True):
    """All steps of a workspace by number, and what has changed since they were trained, one sentence each."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    # the step of the newest run, if that was interrupted while an older run had finished the step
    branch: int | None = None

    @property
    def next(self) -> Step | None:
        """What a training does next: go on with an interrupted branch, else the first step that is not trained."""
        branch = self.numbered(self.branch) if self.branch is not None else None
        return branch or next((step for step in self.steps if step.word == "open"), None)

    def numbered(self, number: int) -> Step | None:
        """Return the step ``number`` if its batch is there, else None."""
        return next((step for step in self.steps if step.number == number and step.place is not None), None)

    def open_number(self, batch: str) -> int | None:
        """Return the number of the step that will train the batch ``batch``, None where no step will."""
        return next((step.number for step in self.steps if step.name == batch and step.word == "open"), None)

    def up_to(self, number: int) -> list[Step]:
        """Return the steps whose batches step ``number`` trains on, its own last."""
        return [step for step in self.steps if step.number <= number and step.place is not None]


def match_steps(present: Sequence[TrainedBatch], states: Iterable[RunState]) -> Steps:
    """Return the steps of the batches ``present``, in the order of the folders with the base set first.

    ``states`` are those of all runs, oldest first.
    """
    runs = [state for state in states if state.started is not None and state.counts]
    owners = _owners(runs)
    placed = _placed(present, owners)
    within = _within(present, owners, set(placed.values()))
    taken = {*owners, *within}
    rest = [place for place in range(len(present)) if place not in placed.values() and place not in within.values()]
    first = max(taken, default=-1) + 1
    new = {first + at: place for at, place in enumerate(rest)}
    # a batch of corrections lies behind all others, also behind those that are added after it
    trained_places = (place for step, place in placed.items() if _is_finished(owners[step]))
    last_trained = max((at for at in trained_places if corrections_number(present[at].name) is None), default=-1)
    steps = [_owned(step, state, present, placed.get(step), new) for step, state in owners.items()]
    steps += [Step(step, present[place].name, place, "within") for step, place in within.items()]
    steps += [
        Step(step, present[place].name, place, "open", inserted=place < last_trained) for step, place in new.items()
    ]
    # an unfinished run whose batch is gone has trained nothing that counts
    known = sorted((item for item in steps if item.place is not None or item.run), key=lambda item: item.number)
    return Steps(tuple(known), tuple(_notes(known)), _branch(runs, owners))


def can_be_resumed(state: RunState) -> bool:
    """True if ``state`` is that of a run that did not finish and that a training can go on with."""
    return state.status != "finished" and (state.failure is None or state.failure.resumable)


def _branch(runs: Sequence[RunState], owners: Mapping[int, RunState]) -> int | None:
    newest = runs[-1] if runs else None
    if newest is None or not can_be_resumed(newest) or (newest.failure is not None and not newest.failure.again):
        return None
    step = newest.begun.step
    return step if _is_finished(owners[step]) else None


def added(state: RunState) -> TrainedBatch:
    """Return the batch that a run adds to those before it."""
    started = state.begun
    named = (batch for batch in reversed(started.batches) if batch.name == started.batch)
    return next(named, TrainedBatch(started.batch))


def _is_finished(state: RunState) -> bool:
    return state.status == "finished"


def _owners(runs: Sequence[RunState]) -> dict[int, RunState]:
    """Return for each step its newest finished run, else its newest run."""
    owners: dict[int, RunState] = {}
    for state in runs:
        before = owners.get(state.begun.step)
        if before is None or _is_finished(state) or not _is_finished(before):
            owners[state.begun.step] = state
    return dict(sorted(owners.items()))


def same_rows(one: TrainedBatch, two: TrainedBatch) -> bool:
    """True if the two are of the same rows, as a person wrote them or as they are trained."""
    written = bool(one.identity) and one.identity == two.identity
    return written or (bool(one.fingerprint) and one.fingerprint == two.fingerprint)


def _placed(present: Sequence[TrainedBatch], owners: Mapping[int, RunState]) -> dict[int, int]:
    """Return the place of each step's batch; one batch belongs to one step, the one of its own name if there is one."""
    placed: dict[int, int] = {}
    for fits in (_same_rows_and_name, _same_rows_of_any_name, _same_name_at_least):
        for step, state in owners.items():
            if step in placed:
                continue
            free = (place for place in range(len(present)) if place not in placed.values())
            place = next((place for place in free if fits(state, present[place])), None)
            if place is not None:
                placed[step] = place
    return placed


def _same_rows_and_name(state: RunState, batch: TrainedBatch) -> bool:
    return added(state).name == batch.name and same_rows(added(state), batch)


def _same_rows_of_any_name(state: RunState, batch: TrainedBatch) -> bool:
    return same_rows(added(state), batch)


def _same_name_at_least(state: RunState, batch: TrainedBatch) -> bool:
    """True for the batch of an unfinished run, or of one that recorded no rows: its name alone identifies it."""
    was = added(state)
    return was.name == batch.name and not (_is_finished(state) and (was.fingerprint or was.identity))


def _within(present: Sequence[TrainedBatch], owners: Mapping[int, RunState], used: set[int]) -> dict[int, int]:
    """Return batches that a finished run trained on beside its own and that no step added: number to place."""
    found: dict[int, int] = {}
    for state in owners.values():
        if not _is_finished(state):
            continue
        for number, was in enumerate(state.begun.batches):
            fitting = (
                place
                for place, batch in enumerate(present)
                if place not in used and batch.name == was.name and same_rows(was, batch)
            )
            place = next(fitting, None)
            if place is not None and number not in owners and number not in found:
                found[number] = place
                used.add(place)
    return found


def _owned(
    step: int, state: RunState, present: Sequence[TrainedBatch], place: int | None, new: Mapping[int, int]
) -> Step:
    was, finished = added(state), _is_finished(state)
    became = None
    if place is None and finished:
        became = next((number for number, at in new.items() if present[at].name == was.name), None)
    return Step(
        number=step,
        name=present[place].name if place is not None else was.name,
        place=place,
        word="trained" if finished else "open",
        run=state.begun.run if finished else "",
        was=was,
        became=became,
    )


def _notes(steps: Sequence[Step]) -> Iterable[str]:
    for step in steps:
        name = clean_line(step.name)
        if step.inserted:
            yield f"Batch {name} was put between trained batches: it is step {step.number}, after all others."
        if step.word != "trained" or step.was is None or not step.change:
            continue
        rows = plural(step.was.rows, "row")
        if step.became is not None:
            yield (
                f"Batch {name} has changed since step {step.number} trained it ({rows} then): "
                f"its rows as they are now are step {step.became}."
            )
        elif step.place is None:
            yield (
                f"Batch {name} ({rows}), which step {step.number} trained, is not there any more: "
                "later steps do not train on it again."
            )
        else:
            yield f"Batch {name} was called {clean_line(step.was.name)} when step {step.number} trained it."


def begun_batches(states: Iterable[RunState]) -> frozenset[str]:
    """Return the names of all batches that some run trains on, or did: their rows must stay as they are."""
    return frozenset(batch.name for state in states if state.started is not None for batch in state.started.batches)

"""Plain data that the screens are handed: the workspace and the run on show. No paths to read, no trainer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from opeddev_tui.analysis.whats_next import StepWord
from opeddev_tui.runs.events import SamplesStreaming, TokenStats, TrainedBatch
from opeddev_tui.runs.groups import Undecided
from opeddev_tui.runs.state import RunState
from opeddev_tui.ui.keymap import Keymap
from opeddev_tui.ui.state.guard import Chosen
from opeddev_tui.ui.state.plan_text import Plan
from opeddev_tui.ui.state.situation import Situation
from opeddev_tui.workspace.typed_commands import for_here, within

TrainedBy = Literal["none", "mine", "other"]


class BatchRow(Struct, frozen=True):
    """One line of the inventory."""

    name: str
    number: int
    rows: int | None = None
    grades: tuple[tuple[int, int], ...] = ()
    # of the newest run that counted the batch's tokens
    tokens: TokenStats | None = None
    state: StepWord = "waiting"
    cumulative: int | None = None
    # the first thing that is wrong with it, and what else is
    problem: str = ""
    others: tuple[str, ...] = ()
    # what tells it from other batches
    rows_as: TrainedBatch | None = None
    # what has become of it since it was trained; ``there``: its rows are in the data folders
    change: str = ""
    there: bool = True
    # the step that a training takes up next, the run that it goes on with, and its seeds where none is chosen
    following: bool = False
    resumes: str = ""
    seeds: Undecided | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong with it."""
        return (self.problem, *self.others) if self.problem else ()


class RunRow(Struct, frozen=True):
    """One line of the list of runs."""

    run: str
    state: RunState
    status: str


class Refused(Struct, frozen=True):
    """Why a training would not go on with ``run``, "" where it would, and whether it would begin the step ``anew``."""

    run: str = ""
    why: str = ""
    anew: bool = False


class Watched(Struct, frozen=True):
    """What is known of a training from outside: who trains, and what its journal does not say (yet)."""

    trained_by: TrainedBy = "none"
    # it holds the lock, and its run has recorded nothing yet
    starting: bool = False
    preparing: str = ""
    streaming: SamplesStreaming | None = None


class View(Struct, frozen=True):
    """Everything the screens show. ``state`` belongs to the UI thread; ``clock`` is monotonic, ``now`` wall time."""

    state: RunState = field(default_factory=RunState)
    # filled in by ``AppState.view`` from everything else
    situation: Situation = Situation("reading", "Reading the workspace")
    run: str = ""
    workspace: str = ""
    has_workspace: bool = True
    # it is a demo
    demo: bool = False
    # where there is none: the names of workspaces right in the folder of now
    near: tuple[str, ...] = ()
    trained_by: TrainedBy = "none"
    starting: bool = False
    preparing: str = ""
    preparing_at: float = 0.0
    # of the base set, the hold-out and the increments, as the settings name them
    folders: tuple[str, str, str] = ("", "", "")
    # a row that the settings accept, as a person could write it
    example_row: str = ""
    # what this process still does after the end of the training
    afterwards: str = ""
    replay: bool = False
    read_only: bool = False
    trouble: str = ""
    previous: tuple[RunState, ...] = ()
    batches: tuple[BatchRow, ...] = ()
    # which checkpoint the next step starts from, and how to choose another
    comes_next: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    # what is known of the run that a training would go on with
    refused: Refused = Refused()
    holdout: str = ""
    scanned: bool = True
    stall_seconds: float = 120.0
    smoothing: float = 0.8
    grades: tuple[int, int] = (1, 5)
    chosen: Chosen | None = None
    requested: tuple[str, ...] = ()
    # the keys as they are now
    keymap: Keymap = Keymap()
    # what the next training would be
    plan: Plan = Plan()
    # what went well just now, for the status line
    told: str = ""
    now: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)

    def typed(self, text: str) -> str:
        """Return ``text`` with paths relative to the workspace and commands complete for where the app was started."""
        root = Path(self.workspace)
        return for_here(within(text, root), root) if self.workspace else text

    @property
    def alive(self) -> bool:
        """True while some process trains the run on show."""
        return self.trained_by != "none" and not self.replay

    @property
    def next_batch(self) -> BatchRow | None:
        """The batch that the next step adds; None where none can be trained."""
        return None if self.blocked else self.following

    @property
    def following(self) -> BatchRow | None:
        """The batch of the step that a training takes up next, whether it can or not; None where all are trained."""
        return next((batch for batch in self.batches if batch.following), None)

    @property
    def undecided(self) -> Undecided | None:
        """The seeds of the next step, to be trained on or to be chosen from; None where it has none."""
        return self.following.seeds if self.following is not None else None

    @property
    def blocked(self) -> tuple[str, ...]:
        """Everything that keeps the next step from being trained: its data, else that its run is not gone on with."""
        after = self.following
        own = [
            text for batch in self.batches for text in batch.problems if after is None or batch.number <= after.number
        ]
        return (*own, *self.problems) or ((self.refused.why,) if self._is_refused else ())

    @property
    def begins_anew(self) -> BatchRow | None:
        """The batch of the step that can be begun again where its run is not gone on with; None where none can."""
        wrong = self.problems or any(batch.problem for batch in self.batches)
        return self.following if self._is_refused and self.refused.anew and not wrong else None

    @property
    def _is_refused(self) -> bool:
        after, refused = self.following, self.refused
        return after is not None and bool(refused.why) and after.resumes == refused.run

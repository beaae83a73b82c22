"""Owns what the screens are handed: plain data about the workspace and the run on show. No paths, no trainer."""

from __future__ import annotations

import time
from typing import Literal

from msgspec import Struct, field

from opeddev_tui.state import RunState
from opeddev_tui.ui.guard import Chosen

Whose = Literal["none", "mine", "other"]


class BatchRow(Struct, frozen=True):
    """One line of the inventory."""

    name: str
    number: int
    rows: int | None = None
    grades: tuple[tuple[int, int], ...] = ()
    tokens: int | None = None
    loss_tokens: int | None = None
    median: int | None = None
    percentile_95: int | None = None
    longest: int | None = None
    state: str = "waiting"
    cumulative: int | None = None
    problem: str = ""


class RunRow(Struct, frozen=True):
    """One line of the list of runs."""

    run: str
    state: RunState
    status: str


class View(Struct, frozen=True):
    """Everything the screens show. ``state`` belongs to the UI thread; ``clock`` is monotonic, ``now`` wall time."""

    state: RunState = field(default_factory=RunState)
    run: str = ""
    workspace: str = ""
    has_workspace: bool = True
    whose: Whose = "none"
    starting: bool = False
    preparing: str = ""
    # what this process still does after the end of the training, in words
    afterwards: str = ""
    replay: bool = False
    read_only: bool = False
    # read only because another process had the screen of the training when this one was opened
    viewing: bool = False
    trouble: str = ""
    previous: tuple[RunState, ...] = ()
    batches: tuple[BatchRow, ...] = ()
    # which checkpoint the next step starts from, and how to choose another
    comes_next: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    holdout: str = ""
    scanned: bool = True
    stall_seconds: float = 120.0
    smoothing: float = 0.8
    grades: tuple[int, int] = (1, 5)
    chosen: Chosen | None = None
    requested: tuple[str, ...] = ()
    now: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        """True while some process trains the run on show."""
        return self.whose != "none" and not self.replay

    @property
    def next_batch(self) -> BatchRow | None:
        """The batch that the next step adds."""
        return next((batch for batch in self.batches if batch.state == "next"), None)

"""Fit the head on the step's own model: its training rows are read, the hold-out's states come from the loss's pass.

Must not decide when. What a head claims of rows that its model remembers is compared with the hold-out, and said.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from opeddev_tui.config import settings as st
from opeddev_tui.grading import store
from opeddev_tui.grading.features import Readings, layers_of
from opeddev_tui.grading.honesty import check_claim
from opeddev_tui.grading.reader import prompt_hash
from opeddev_tui.grading.records import recorded
from opeddev_tui.grading.scores import Predictions, figures
from opeddev_tui.grading.step_head import Reading, StepHead, fit_step, read
from opeddev_tui.ranks.words import GradedSet
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training import shares
from opeddev_tui.training.graded_step import GradedStep
from opeddev_tui.training.model_in_use import ModelRunner


class FittedStep(Struct, frozen=True):
    """The head on the step's model after ``epoch``, its reading of the hold-out, and what it took."""

    epoch: int
    heads: StepHead
    reading: Reading
    layers: tuple[int, ...]
    read_seconds: float
    steady_seconds: float
    fit_seconds: float

    @property
    def seconds(self) -> float:
        """What the head took: reading, reading the changed copies, fitting."""
        return self.read_seconds + self.steady_seconds + self.fit_seconds


class StepHeadMaker(Struct, frozen=True):
    """Makes heads on the model of ``runner``. ``raise_if_stopped`` raises where a person asked the run to end."""

    settings: st.Settings
    bus: Bus
    runner: ModelRunner
    graded: GradedStep
    raise_if_stopped: Callable[[], None]

    def fit(self, epoch: int, passed: Readings) -> FittedStep:
        """Return the head on the model in memory; ``passed`` is what the loss's pass read of all hold-out rows."""
        began = time.perf_counter()
        rows = self.graded.rows
        train = self._states(range(len(self.graded.train)), "training rows on the step's model", of="train")
        held = self._held_states(passed)
        read_seconds = time.perf_counter() - began
        moves = self._moves(train)
        steady_seconds = time.perf_counter() - began - read_seconds if len(moves) else 0.0
        heads = fit_step(train, rows.train, rows.scale, rows.areas, differences=moves)
        reading = read(heads, held, rows.held.kinds, rows.held.prompts)
        fit_seconds = time.perf_counter() - began - read_seconds - steady_seconds
        layers = tuple(layers_of(self.runner.loaded.model))
        return FittedStep(epoch, heads, reading, layers, read_seconds, steady_seconds, fit_seconds)

    def _moves(self, train: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how the states of ``train`` move in this model when a comment is added; none for a plain head."""
        copies = self.graded.copies
        if not copies.rows:
            return train[:0]
        unit = "training rows with a comment added, on the step's model"
        return copies.moves(train, self._states(range(len(copies.rows)), unit, of="copies"))

    def _states(self, numbers: Sequence[int], unit: str, *, of: GradedSet) -> NDArray[np.float32]:
        """Return the states of the graded rows ``numbers`` among those that ``of`` names."""
        self.runner.phase("reading", f"{len(numbers)} {unit}, for its grade head")
        pulse = self.runner.pulse("reading", unit)

        def on_batch(done: int, total: int) -> None:
            self.raise_if_stopped()
            pulse(done, total)

        return shares.states(self.runner, self.graded.rows_of(of), numbers, on_batch, of=of)

    def _held_states(self, passed: Readings) -> NDArray[np.float32]:
        """Return the features of the graded hold-out rows.

        A prompt that was cut to make room for its completion is read again without, as the head reads every row.
        """
        states = passed.states[list(self.graded.places)].copy()
        cut = [number for number, place in enumerate(self.graded.places) if self.graded.passed[place].cut]
        if cut:
            states[cut] = self._states(cut, "long hold-out rows", of="held")
        return states

    def event(self, fitted: FittedStep) -> ev.HeadFitted:
        """Return the event of ``fitted``."""
        started = self.bus.state.begun
        seen = figures(Predictions.of(fitted.reading.grades), self.graded.reference)
        remembered = fitted.epoch > 0 or bool(started.parent)
        return ev.HeadFitted(
            head=store.STEP,
            epoch=fitted.epoch,
            rows=fitted.heads.head.rows,
            read=len(self.graded.train),
            read_seconds=fitted.read_seconds,
            fit_seconds=fitted.fit_seconds,
            model=f"step {started.step} after epoch {fitted.epoch}",
            out_of_fold=recorded(fitted.heads.measured),
            claim=check_claim(fitted.heads.measured, seen, len(self.graded.places), remembered=remembered).words,
            steadied=len(self.graded.copies.rows),
            steady_read=len(self.graded.copies.rows),
            steady_seconds=fitted.steady_seconds,
        )

    def save(self, folder: Path, fitted: FittedStep, digest: str) -> list[Path]:
        """Write ``fitted`` into the checkpoint ``folder`` whose weights have ``digest``; raises ``StorageProblem``."""
        loaded, heads = self.runner.loaded, fitted.heads
        prompt = prompt_hash(loaded.tokenizer, self.settings, loaded.precision.name)
        origin = store.Origin(base=digest, prompt=prompt, layers=fitted.layers, model=store.STEP)
        return store.save_head(folder, store.StoredHead(origin, heads.head, heads.criteria, heads.measured))

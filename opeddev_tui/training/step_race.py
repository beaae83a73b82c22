"""Hold the race of all ways to a grade at a step's end, on the model in memory, and keep it with the run.

What was read during the step is taken from the run's records; written grades are generated here, once. Whatever goes
wrong is recorded in the race's place: the step is trained all the same.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from opeddev_tui.checkpoints.base_model import shown
from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem
from opeddev_tui.files import write_atomic
from opeddev_tui.grading.conformal import COVERAGE
from opeddev_tui.grading.contest import forecast_of
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.race import Way
from opeddev_tui.grading.race_report import HeadEntry, Report, report_of
from opeddev_tui.grading.records import figure, recorded
from opeddev_tui.grading.scores import MISSING, Predictions
from opeddev_tui.grading.step_head import StepHead, fit_step
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.grade_records import (
    BASE_HEAD,
    BASE_TOKENS,
    STEP_HEAD,
    STEP_TEXT,
    STEP_TOKENS,
    WORDS,
    RacedWay,
    WayGrades,
)
from opeddev_tui.training import kept_n_grams
from opeddev_tui.training.base_head import BaseFeatures, BaseHead, BaseHeadMaker
from opeddev_tui.training.deciders import StopRequested
from opeddev_tui.training.graded_step import GradedStep
from opeddev_tui.training.scorer import Scorer
from opeddev_tui.workspace.paths import Workspace

_LOG = logging.getLogger(__name__)


class RaceFile(Struct, frozen=True):
    """What the run's folder keeps of its race: on which model it was held, and its report."""

    run: str
    step: int
    epoch: int
    checkpoint: str
    report: Report


class _BaseFit(Struct, frozen=True):
    """The base head fitted again on cached features, with those features: its claims about the training rows."""

    heads: StepHead
    features: BaseFeatures


class StepRace(Struct, frozen=True):
    """Holds the race of one run.

    ``cheap`` returns the ways that need no language model; ``raise_if_stopped`` raises ``StopRequested`` where a person
    wants the end.
    """

    workspace: Workspace
    settings: st.Settings
    bus: Bus
    graded: GradedStep
    base: BaseHead | None
    maker: BaseHeadMaker | None
    cheap: Callable[[], Sequence[Way]]
    raise_if_stopped: Callable[[], None]

    def hold(self, scorer: Scorer, epoch: int) -> None:
        """Hold the race on the model of ``epoch``, which ``scorer`` has in memory, and record it."""
        began = time.perf_counter()
        name = ev.checkpoint_name(self.bus.state.epochs[epoch].checkpoint)
        try:
            written = self._written(scorer)
            scorer.runner.phase("evaluating", "the race of all ways to a grade")
            event = self._held(epoch, name, written, began)
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - the step is trained, with a race or without
            _LOG.exception("no race is held")
            reason = str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
            self.bus.emit(ev.RaceHeld(epoch=epoch, checkpoint=name, problem=reason))
            self.bus.emit(ev.Warned(message=f"no race of the ways to a grade is held: {reason}"))
            return
        self.bus.emit(event)

    def _written(self, scorer: Scorer) -> Way:
        found = scorer.written_grades(self.graded.rows.held.examples, self.raise_if_stopped)
        predictions = Predictions.written(found.grades, self.graded.rows.scale)
        return Way(STEP_TEXT, WORDS[STEP_TEXT], predictions, found.seconds, mode="text", tuned=True)

    def _held(self, epoch: int, checkpoint: str, written: Way, began: float) -> ev.RaceHeld:
        rows, base = self.graded.rows, self._base_fit()
        ways = [*self.cheap(), written, *self._token_ways(epoch)]
        heads = [*self._base_entry(base), *self._step_entry(epoch)]
        known = base.features if base is not None else None
        forecast = forecast_of(rows, known.train, known.held, known.moves) if known is not None else None
        mode = self.settings.grading.mode
        report = report_of(rows, ways, heads, mode=mode, forecast=forecast)
        started = self.bus.state.begun
        every = [*ways, *(head.way for head in heads)]
        if kept_n_grams.wanted(report.race, every, mode, report.holdout_rows):
            folder = self.workspace.checkpoints(started.run) / Path(checkpoint).name
            kept_n_grams.keep(folder, rows, self.bus, epoch, self.graded.ids)
        kept = RaceFile(started.run, started.step, epoch, checkpoint, report)
        # before the event: where the journal knows of a race, its file is there
        write_race(self.workspace.race_file(started.run), kept)
        return self._event(kept, every, time.perf_counter() - began)

    # --- what enters

    def _token_ways(self, epoch: int) -> list[Way]:
        readings = self.bus.state.readings
        found = []
        # before a step from the base model its first reading is that of the base model
        if epoch and 0 in readings and not self.bus.state.begun.parent:
            known = readings[0].by(STEP_TOKENS)
            words = "the grade tokens of the base model"
            found += [self._way(known, BASE_TOKENS, words, "tokens")] if known is not None else []
        known = readings[epoch].by(STEP_TOKENS) if epoch in readings else None
        if known is not None:
            found.append(self._way(known, STEP_TOKENS, known.words, "tokens", tuned=True))
        return found

    def _base_fit(self) -> _BaseFit | None:
        """Return the base head fitted again; None where a feature is not cached any more."""
        features = self.maker.known_features() if self.maker is not None and self.base is not None else None
        if features is None or cannot_fit(self.graded.rows.train.labels):
            return None
        rows = self.graded.rows
        heads = fit_step(features.train, rows.train, rows.scale, rows.areas, differences=features.moves)
        return _BaseFit(heads, features)

    def _base_entry(self, fit: _BaseFit | None) -> list[HeadEntry]:
        if self.base is None:
            return []
        told = self.bus.state.heads.get(("base", 0))
        seconds = told.seconds if told is not None else 0.0
        predictions = Predictions.of(self.base.reading.grades)
        return [
            HeadEntry(
                Way(BASE_HEAD, WORDS[BASE_HEAD], predictions, seconds, mode="head"),
                self.base.reading.sets,
                self.base.stored.head.coverage,
                told.claim if told is not None else "",
                fit.heads.out_of_fold if fit is not None else None,
                self.base.stored.criteria,
                fit.heads.from_sum if fit is not None else False,
            )
        ]

    def _step_entry(self, epoch: int) -> list[HeadEntry]:
        read = self.bus.state.readings.get(epoch)
        known = read.by(STEP_HEAD) if read is not None else None
        if known is None:
            return []
        told = self.bus.state.heads.get(("step", epoch))
        labels = self.graded.rows.scale.labels
        sets = np.array([[label in row for label in labels] for row in known.sets], dtype=bool)
        way = self._way(known, STEP_HEAD, known.words, "head", tuned=True)
        return [HeadEntry(way, sets, COVERAGE, told.claim if told is not None else "")]

    def _way(self, known: WayGrades, name: str, words: str, mode: str, *, tuned: bool = False) -> Way:
        labels = self.graded.rows.scale.labels
        grades = np.array([labels.index(label) if label else MISSING for label in known.grades], dtype=np.int64)
        chances = np.array(known.probabilities) if known.probabilities else None
        return Way(name, words, Predictions(grades, chances), known.seconds, mode=mode, tuned=tuned)

    # --- what is recorded

    def _event(self, kept: RaceFile, ways: Sequence[Way], seconds: float) -> ev.RaceHeld:
        report, labels = kept.report, self.graded.rows.scale.labels
        by_name = {way.name: way for way in ways}
        chosen = by_name.get(report.race.chosen)
        base = shown(self.settings.model.name)
        return ev.RaceHeld(
            epoch=kept.epoch,
            rows=report.rows,
            holdout_rows=report.holdout_rows,
            ways=tuple(
                RacedWay(
                    row.name,
                    row.words,
                    recorded(row.figures),
                    row.answered,
                    row.seconds,
                    figure(row.to_cheap) if row.to_cheap is not None else None,
                    by_name[row.name].mode,
                    by_name[row.name].cheap,
                    by_name[row.name].tuned,
                    tuple("" if at == MISSING else labels[at] for at in by_name[row.name].predictions.grades.tolist()),
                    report.claims.get(row.name, ""),
                )
                for row in report.race.rows
            ),
            chosen=report.race.chosen,
            verdict=report.race.verdict,
            tuning=report.race.tuning,
            labels=labels,
            ids=self.graded.ids,
            reference=tuple(labels[at] for at in self.graded.reference.grades.tolist()),
            checkpoint=kept.checkpoint,
            needs=base if chosen and not chosen.tuned and not chosen.cheap and not self.bus.state.begun.lora else "",
            seconds=seconds,
            groups=tuple(self.graded.reference.groups),
        )


def write_race(path: Path, kept: RaceFile) -> None:
    """Write the race of a run for its owner alone; raises ``StorageProblem``."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n", mode=0o600)

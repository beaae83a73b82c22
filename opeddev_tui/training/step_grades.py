"""Read grades of the hold-out after each epoch by every way that costs nothing more, and fit the step's own head.

The pass that gives the loss also gives the probabilities of the grades' tokens and the features of the step's model. A
failure here is told and costs the training nothing. Must not change the random state.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem, ran_out_of_memory
from opeddev_tui.grading import store
from opeddev_tui.grading.features import Readings
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.race import Way
from opeddev_tui.grading.records import recorded, way_grades
from opeddev_tui.grading.scores import figures
from opeddev_tui.grading.step_head import Reading
from opeddev_tui.models.reading_batches import OnBatch
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, STEP_TOKENS, WORDS, Figure, WayGrades
from opeddev_tui.training import shares
from opeddev_tui.training.base_head import BaseHead
from opeddev_tui.training.deciders import StopRequested
from opeddev_tui.training.graded_step import GradedStep, step_head_when
from opeddev_tui.training.model_in_use import ModelRunner
from opeddev_tui.training.step_heads import FittedStep, StepHeadMaker

_LOG = logging.getLogger(__name__)
# the figures of the n-gram grader that stand beside those of the step's model
_BESIDE = ("kappa", "exact", "within_one", "mae")


class StepGrades:
    """Grades of one attempt at a run. ``runner`` has the step's model; ``base`` is None without a base head.

    ``cheap`` returns the ways that need no language model, and grade the same rows; ``raise_if_stopped`` raises
    ``StopRequested`` where a person asked the run to end.
    """

    def __init__(
        self,
        settings: st.Settings,
        bus: Bus,
        runner: ModelRunner,
        graded: GradedStep,
        base: BaseHead | None,
        *,
        cheap: Callable[[], Sequence[Way]],
        raise_if_stopped: Callable[[], None],
    ) -> None:
        self.runner = runner
        self.graded = graded
        self.base = base
        self.step: FittedStep | None = None
        self._settings = settings
        self._bus = bus
        self._cheap = cheap
        self._maker = StepHeadMaker(settings, bus, runner, graded, raise_if_stopped)
        self._passed: tuple[int, Readings] | None = None
        self._broken = False

    # --- after every epoch

    def losses(self, epoch: int, on_batch: OnBatch) -> tuple[list[float], list[int]] | None:
        """Return what ``models.losses.example_losses`` does of the hold-out, and keep what the pass tells of grades.

        None where this model's states cannot be read, which is told once.
        """
        if self._broken:
            return None
        try:
            readings = self._pass(on_batch)
        except Exception as error:  # the loss is found without
            if ran_out_of_memory(error):
                raise
            self._broken = True
            self._tell("grades cannot be read", error)
            return None
        self._passed = (epoch, readings)
        return readings.sums, readings.tokens

    def _pass(self, on_batch: OnBatch) -> Readings:
        return shares.grades(self.runner, self.graded.passed, self.graded.tokens, on_batch)

    def record(self, epoch: int) -> None:
        """Record the grades that the pass after ``epoch`` found, and those of the heads."""
        if self._passed is None or self._passed[0] != epoch:
            return
        began = time.perf_counter()
        try:
            ways = [*self._base_way(), *self._token_way(self._passed[1]), *self._step_way(epoch)]
            if not ways:
                return
            events: list[ev.AnyEvent] = [self._grades_read(epoch, ways, time.perf_counter() - began)]
            own = next((way for way in reversed(ways) if way.way in (STEP_HEAD, STEP_TOKENS)), None)
            if own is not None:
                events.append(self._measured(epoch, own, began))
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - an epoch without grades is still an epoch
            self._tell(f"the grades after epoch {epoch} cannot be told", error)
            return
        for event in events:
            self._bus.emit(event)

    def _base_way(self) -> list[WayGrades]:
        return [] if self.base is None else [self._of_reading(BASE_HEAD, self.base.reading)]

    def _token_way(self, readings: Readings) -> list[WayGrades]:
        if readings.grade_probabilities is None:
            return []
        grades = Grades(readings.grade_probabilities[list(self.graded.places)])
        return [way_grades(STEP_TOKENS, WORDS[STEP_TOKENS], grades, self.graded.rows.scale, self.graded.reference)]

    def _step_way(self, epoch: int) -> list[WayGrades]:
        """Return the grades of the step's own head where it is read after every epoch."""
        if self._when != "epoch" or self.graded.no_head:
            return []
        if epoch == 0 and self.base is not None and not self._bus.state.begun.parent:
            # nothing is trained yet: the step's model is the base model
            return [self._of_reading(STEP_HEAD, self.base.reading)]
        try:
            fitted = self._fit(epoch)
            event, way = self._maker.event(fitted), self._of_step(fitted)
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - the other ways are told all the same
            self._tell("no grade head is fitted on the step's model", error)
            return []
        self._bus.emit(event)
        return [way]

    def _of_step(self, fitted: FittedStep) -> WayGrades:
        return self._of_reading(STEP_HEAD, fitted.reading, fitted.seconds)

    def _of_reading(self, way: str, reading: Reading, seconds: float = 0.0) -> WayGrades:
        scale, reference = self.graded.rows.scale, self.graded.reference
        return way_grades(way, WORDS[way], reading.grades, scale, reference, sets=reading.sets, seconds=seconds)

    def _grades_read(self, epoch: int, ways: Sequence[WayGrades], seconds: float) -> ev.GradesRead:
        labels = self.graded.rows.scale.labels
        return ev.GradesRead(
            epoch=epoch,
            labels=labels,
            ids=self.graded.ids,
            reference=tuple(labels[place] for place in self.graded.reference.grades.tolist()),
            ways=tuple(ways),
            ungraded=self.graded.rows.ungraded[1],
            seconds=seconds,
            groups=tuple(self.graded.reference.groups),
        )

    def _measured(self, epoch: int, way: WayGrades, began: float) -> ev.GradesMeasured:
        """Return the grades of the step's model as version 0.1 recorded them, for tables and curves."""
        scale, reference = self.graded.rows.scale, self.graded.reference
        cheap = {item.name: recorded(figures(item.predictions, reference)) for item in self._cheap()}
        kappa = way.figures["kappa"]
        return ev.GradesMeasured(
            epoch=epoch,
            predicted=tuple(scale.labels.index(label) + scale.minimum for label in way.grades),
            reference=tuple(place + scale.minimum for place in reference.grades.tolist()),
            parsed=1.0,
            exact=_share(way.figures, "exact"),
            within_one=_share(way.figures, "within_one"),
            mean_absolute_error=way.figures["mae"].value,
            kappa=kappa.value,
            kappa_interval=None if kappa.low is None or kappa.high is None else (kappa.low, kappa.high),
            majority_exact=_share(cheap.get("commonest", {}), "exact"),
            middle_within_one=_share(cheap.get("middle", {}), "within_one"),
            n_grams={name: found for name, found in cheap.get("n-grams", {}).items() if name in _BESIDE},
            seconds=time.perf_counter() - began,
            ids=self.graded.ids,
            unread="farthest",
            way=way.way,
        )

    # --- the head on the step's model

    def finish(self, checkpoint: Path, epoch: int) -> None:
        """Fit the head on the model of ``epoch``, unless it is there, and add it to its ``checkpoint``."""
        if self._when == "never" or self.graded.no_head or self._broken:
            return
        told = (store.STEP, epoch) in self._bus.state.heads
        if told and store.has_head(checkpoint, store.STEP):
            return
        try:
            fitted = self._fit(epoch)
            folders.add(checkpoint, lambda digest: self._maker.save(checkpoint, fitted, digest))
            event, way = self._maker.event(fitted), self._of_step(fitted)
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - the step is trained, with this head or without
            self._tell("no grade head is fitted on the step's model", error)
            return
        if not told:
            # the head last: once it is recorded nothing is left to do
            self._bus.emit(self._with_way(epoch, way))
            self._bus.emit(event)

    def _with_way(self, epoch: int, way: WayGrades) -> ev.GradesRead:
        """Return what was read after ``epoch`` with ``way`` beside it."""
        earlier = self._bus.state.readings.get(epoch)
        if earlier is None:
            return self._grades_read(epoch, [*self._base_way(), way], way.seconds)
        ways = (*(item for item in earlier.ways if item.way != way.way), way)
        return replace(earlier, ways=ways, seconds=earlier.seconds + way.seconds, at=time.time())

    def _fit(self, epoch: int) -> FittedStep:
        """Return the head on the model in memory, which is that of ``epoch``."""
        if self.step is None or self.step.epoch != epoch:
            if self._passed is None or self._passed[0] != epoch:
                # the process that scored this epoch has ended: the same pass gives the same states
                self.runner.phase("evaluating", f"{len(self.graded.passed)} hold-out rows, for their states")
                self._passed = (epoch, self._pass(self.runner.pulse("evaluating", "hold-out rows")))
            self.step = self._maker.fit(epoch, self._passed[1])
        return self.step

    # --- beside a checkpoint's weights

    def beside(self, folder: Path, epoch: float) -> folders.Writer:
        """Return what writes the heads of the model after ``epoch`` into its checkpoint ``folder``."""

        def write(digest: str) -> list[Path]:
            paths = [] if self.base is None else store.save_head(folder, self.base.stored)
            if self.step is not None and self.step.epoch == epoch:
                paths += self._maker.save(folder, self.step, digest)
            return paths

        return write

    # --- small parts

    @property
    def _when(self) -> str:
        return step_head_when(self._settings, self._bus.state.begun.metric)

    def _tell(self, what: str, error: Exception) -> None:
        _LOG.exception(what)
        reason = str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
        self._bus.emit(ev.Warned(message=f"{what}; the training goes on: {reason}"))


def _share(found: Mapping[str, Figure], name: str) -> float:
    """Return the share ``name``; 0 where nothing has it."""
    return (found[name].value if name in found else None) or 0.0

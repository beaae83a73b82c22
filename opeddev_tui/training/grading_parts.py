"""Prepare a run's grading: the graded rows, the head on the base model, and both for the model in memory.

Everything is prepared on first use; a run without grades pays nothing. Must not load the step's model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import StepData
from opeddev_tui.data.rows import Example
from opeddev_tui.models.causal_lm import CausalLM
from opeddev_tui.models.precision import resolve_precision
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.training.inputs import StepTokens
from opeddev_tui.training.model_in_use import ModelRunner
from opeddev_tui.workspace.paths import Workspace

if TYPE_CHECKING:
    from opeddev_tui.grading.race import Way
    from opeddev_tui.training.base_head import BaseHead, BaseHeadMaker
    from opeddev_tui.training.graded_step import GradedStep
    from opeddev_tui.training.scorer import Scorer
    from opeddev_tui.training.step_grades import StepGrades

_LOG = logging.getLogger(__name__)
# figures of fewer rows are no figures
FEWEST_HELD = 2


def wants_grades(settings: st.Settings, metric: str) -> bool:
    """Return whether a run by ``metric`` reads grades of its hold-out, if it has some."""
    return settings.grading.evaluate or metric == "grade"


def nothing_graded(holdout: Sequence[Example]) -> str:
    """Return why no grade of ``holdout`` can be read, empty where some can."""
    count = sum(example.grade is not None for example in holdout)
    if count >= FEWEST_HELD:
        return ""
    return "the hold-out has no grades." if not count else f"only {count} row of the hold-out has a grade."


class GradingParts:
    """What all attempts at a run share. ``raise_if_stopped`` raises where a person asked the run to end."""

    def __init__(
        self,
        workspace: Workspace,
        settings: st.Settings,
        bus: Bus,
        data: StepData,
        tokens: StepTokens,
        raise_if_stopped: Callable[[], None],
    ) -> None:
        self._workspace = workspace
        self._settings = settings
        self._bus = bus
        self._data = data
        self._tokens = tokens
        self._raise_if_stopped = raise_if_stopped
        self._graded: GradedStep | None = None
        self._base: BaseHead | None = None
        self._maker: BaseHeadMaker | None = None
        self._cheap: Sequence[Way] | None = None

    def prepare(self, base_model: CausalLM | None) -> None:
        """Find what is graded and make the base head, with ``base_model`` where it is in memory.

        Raises ``StopRequested``; whatever else goes wrong is told, and costs the training nothing.
        """
        self._find()
        if self._graded is not None and self._base is None:
            from opeddev_tui.training.base_head import BaseHeadMaker

            tokens = self._tokens
            self._maker = BaseHeadMaker(
                self._workspace,
                self._settings,
                self._bus,
                self._graded,
                tokens.tokenizer,
                tokens.encoder,
                resolve_precision(self._settings.model.precision),
                self._raise_if_stopped,
            )
            self._base = self._maker.make(self._bus.state.begun.run, base_model)

    def _find(self) -> None:
        if self._graded is not None or not wants_grades(self._settings, self._bus.state.begun.metric):
            return
        holdout = self._tokens.holdout
        if reason := nothing_graded(holdout.examples):
            if ("base", 0) not in self._bus.state.heads:
                self._bus.emit(ev.HeadFitted(head="base", epoch=0, problem=reason))
            return
        from opeddev_tui.training.graded_step import graded_step

        try:
            self._graded = graded_step(self._settings, self._data.examples, self._tokens.encoder, holdout)
        except Exception as error:  # noqa: BLE001 - the training goes on without grades
            _LOG.exception("the graded rows cannot be prepared")
            self._bus.emit(ev.Warned(message=f"no grades are read: {type(error).__name__}: {error}"))
            return
        if self._graded.no_tokens and not self._bus.state.readings:
            self._bus.emit(
                ev.Warned(message=f"the model's own grades are not read per epoch: {self._graded.no_tokens}")
            )
        if self._graded.copies.missing and not self._bus.state.heads:
            self._bus.emit(
                ev.Warned(message=f"grade heads are not held steady (grading.steady): {self._graded.copies.missing}")
            )

    def step_grades(self, runner: ModelRunner) -> StepGrades | None:
        """Return what reads grades with the model of ``runner``; None where nothing is graded."""
        if self._graded is None:
            return None
        from opeddev_tui.training.step_grades import StepGrades

        return StepGrades(
            self._settings,
            self._bus,
            runner,
            self._graded,
            self._base,
            cheap=self._cheap_ways,
            raise_if_stopped=self._raise_if_stopped,
        )

    def _cheap_ways(self) -> Sequence[Way]:
        """Return what every epoch and the race compare the step's grades with; fitted once per step."""
        if self._cheap is None and self._graded is not None:
            from opeddev_tui.grading.contest import cheap_ways

            self._cheap = cheap_ways(self._graded.rows)
        return self._cheap or []

    def hold_race(self, scorer: Scorer, epoch: int) -> None:
        """Hold the race on the model of ``epoch``, which ``scorer`` has in memory, then write the probes' feedback.

        What the run has done already is not done again. Raises ``StopRequested``; whatever else goes wrong is recorded,
        and costs the training nothing.
        """
        if self._graded is None:
            return
        from opeddev_tui.training.step_feedback import StepFeedback
        from opeddev_tui.training.step_race import StepRace

        if epoch not in self._bus.state.races:
            StepRace(
                self._workspace,
                self._settings,
                self._bus,
                self._graded,
                self._base,
                self._maker,
                self._cheap_ways,
                self._raise_if_stopped,
            ).hold(scorer, epoch)
        if epoch not in self._bus.state.feedbacks:
            StepFeedback(self._settings, self._bus, self._graded, self._base, self._raise_if_stopped).write(
                scorer, epoch
            )

    def lacks_race(self, epoch: int) -> bool:
        """Return whether something of ``hold_race`` is still to be done on the model of ``epoch``."""
        state = self._bus.state
        return self._graded is not None and (epoch not in state.races or epoch not in state.feedbacks)

    def lacks_step_head(self, checkpoint: Path, epoch: int) -> bool:
        """Return whether the checkpoint of ``epoch`` is to have a head on its own model and has none."""
        if self._graded is None or self._graded.no_head:
            return False
        from opeddev_tui.grading import store
        from opeddev_tui.training.graded_step import step_head_when

        if step_head_when(self._settings, self._bus.state.begun.metric) == "never":
            return False

        return not store.has_head(checkpoint, store.STEP) or (store.STEP, epoch) not in self._bus.state.heads

"""Write the feedback of the probe prompts with a forced structure: the heads decide, the step's model explains.

The grade and the names of the areas that the criteria heads find are given; the model continues each. Beside them
stands what it wrote freely. Must not end a training.
"""

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.errors import Problem
from opeddev_tui.grading.areas import asked_areas, named_areas
from opeddev_tui.grading.criteria import CriteriaHeads, f1
from opeddev_tui.grading.feedback import Segment, feedback_plan, follow, sentences
from opeddev_tui.grading.grade_tokens import grade_stem
from opeddev_tui.grading.graded_rows import failed_areas, feedback_of
from opeddev_tui.grading.step_head import Reading
from opeddev_tui.models import memory
from opeddev_tui.models.forced_text import Beginning, Continued, continue_texts
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import Bus
from opeddev_tui.runs.grade_records import BASE_HEAD, STEP_HEAD, FeedbackText
from opeddev_tui.training.base_head import BaseHead
from opeddev_tui.training.deciders import StopRequested
from opeddev_tui.training.graded_step import GradedStep
from opeddev_tui.training.scorer import Scorer

_LOG = logging.getLogger(__name__)
# an area gets at least so many tokens
_LEAST = 24


class _Heads(Struct, frozen=True):
    """The heads that decide, by the name of their way, with their reading of the hold-out."""

    name: str
    criteria: CriteriaHeads
    reading: Reading


class _Probe(Struct, frozen=True):
    """A graded probe prompt: its place among the probes, in the hold-out, and among the graded hold-out rows."""

    number: int
    place: int
    row: int


class StepFeedback(Struct, frozen=True):
    """Writes the forced feedback of one run. ``raise_if_stopped`` raises ``StopRequested``."""

    settings: st.Settings
    bus: Bus
    graded: GradedStep
    base: BaseHead | None
    raise_if_stopped: Callable[[], None]

    def write(self, scorer: Scorer, epoch: int) -> None:
        """Write feedback with the model of ``epoch``, which ``scorer`` has in memory, and record it or why not."""
        try:
            event = self._written(scorer, epoch)
        except StopRequested:
            raise
        except Exception as error:  # noqa: BLE001 - the step is trained, with these texts or without
            _LOG.exception("no feedback is forced")
            reason = str(error) if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
            event = ev.FeedbackWritten(epoch=epoch, problem=reason)
        self.bus.emit(event)

    def _written(self, scorer: Scorer, epoch: int) -> ev.FeedbackWritten:
        began = time.perf_counter()
        heads = self._heads(scorer, epoch)
        completions = [example.completion for example in self.graded.rows.train.examples]
        stem = grade_stem(completions, self.settings.grading.pattern)
        probes = self._probes(scorer)
        if heads is None or stem is None or not probes:
            problem = "no probe prompt is a graded row."
            if heads is None:
                problem = "no head names areas of the rubric."
            elif stem is None:
                problem = "the completions do not begin with the grade in the same words."
            return ev.FeedbackWritten(epoch=epoch, problem=problem)
        scorer.runner.phase("generating", f"feedback of {len(probes)} probe prompts, with the heads' areas")
        forced = self._forced(scorer, heads, stem, probes)
        texts = [
            self._text(heads, stem, scorer, probe, text, epoch) for probe, text in zip(probes, forced, strict=True)
        ]
        return ev.FeedbackWritten(
            epoch=epoch,
            head=heads.name,
            texts=tuple(texts),
            f1=self._f1(heads.criteria, texts, probes, stem),
            seconds=time.perf_counter() - began,
        )

    # --- what decides

    def _heads(self, scorer: Scorer, epoch: int) -> _Heads | None:
        """Return the head that the race chose, else that on the base model; None where it knows no areas."""
        race, grades = self.bus.state.races.get(epoch), scorer.step_grades
        step = grades.step if grades is not None and grades.step is not None and grades.step.epoch == epoch else None
        if race is not None and race.chosen == STEP_HEAD and step is not None and step.heads.criteria is not None:
            return _Heads(STEP_HEAD, step.heads.criteria, step.reading)
        if self.base is not None and self.base.stored.criteria is not None:
            return _Heads(BASE_HEAD, self.base.stored.criteria, self.base.reading)
        return None

    def _probes(self, scorer: Scorer) -> list[_Probe]:
        rows = {place: row for row, place in enumerate(self.graded.places)}
        probes = enumerate(scorer.holdout.probes)
        return [_Probe(number, place, rows[place]) for number, place in probes if place in rows]

    # --- what is written

    def _forced(self, scorer: Scorer, heads: _Heads, stem: tuple[str, str], probes: Sequence[_Probe]) -> list[str]:
        areas, labels = heads.criteria.areas, self.graded.rows.scale.labels
        medians = heads.reading.grades.median.tolist()
        plans = [
            feedback_plan(labels[medians[probe.row]], heads.reading.named[probe.row], areas.names, stem, areas.style)
            for probe in probes
        ]
        examples = [scorer.holdout.examples[probe.place] for probe in probes]
        most = self.settings.generation.max_new_tokens
        prompts = scorer.prompts(examples, most)
        shares = [max(_LEAST, most // max(1, sum(segment.writes for segment in plan))) for plan in plans]

        def write(rows: list[int], texts: list[str], segments: list[Segment]) -> list[str]:
            self.raise_if_stopped()
            found = self._continued(
                scorer,
                [
                    Beginning(prompts[row], text, segment.stops, shares[row])
                    for row, text, segment in zip(rows, texts, segments, strict=True)
                ],
            )
            return [sentences(item.text) if item.cut else item.text for item in found]

        return follow(plans, write, self.settings.grading.area_pattern)

    def _continued(self, scorer: Scorer, beginnings: Sequence[Beginning]) -> list[Continued]:
        loaded = scorer.runner.loaded
        return scorer.runner.within_memory(
            lambda batch: continue_texts(
                loaded.model,
                loaded.encoder,
                beginnings,
                pad_id=loaded.tokenizer.pad_token_id,
                batch_size=memory.generation_batch(self.settings, batch),
                sampling=self.settings.generation,
                on_tokens=lambda *_: self.raise_if_stopped(),
            )
        )

    # --- what is recorded

    def _text(
        self, heads: _Heads, stem: tuple[str, str], scorer: Scorer, probe: _Probe, forced: str, epoch: int
    ) -> FeedbackText:
        grading, rows = self.settings.grading, self.graded.rows
        example, right = scorer.holdout.examples[probe.place], int(rows.held.labels.grades[probe.row])
        names = heads.criteria.areas.names
        failed = failed_areas(example, names, grading, stem[1], best=right == rows.scale.size - 1)
        free = self._free(epoch, probe.number)
        return FeedbackText(
            id=example.id,
            kind=example.kind,
            reference=example.completion,
            reference_grade=rows.scale.labels[right],
            failed=None if failed is None else tuple(failed),
            grade=rows.scale.labels[int(heads.reading.grades.median[probe.row])],
            named=tuple(heads.reading.named[probe.row]),
            forced=forced,
            free=free,
            free_named=tuple(self._named(free, names, stem)),
        )

    def _free(self, epoch: int, number: int) -> str:
        """Return what the model wrote after ``epoch`` for the same probe prompt."""
        sampled = [item for item in self.bus.state.samples if item.epoch == epoch and not item.on_demand]
        return sampled[-1].samples[number].text if sampled and number < len(sampled[-1].samples) else ""

    def _named(self, text: str, names: Sequence[str], stem: tuple[str, str]) -> list[str]:
        grading = self.settings.grading
        found = named_areas(feedback_of(text, grading.pattern, stem[1]), grading.area_pattern)
        return [name for name in names if name in found]

    def _f1(
        self, criteria: CriteriaHeads, texts: Sequence[FeedbackText], probes: Sequence[_Probe], stem: tuple[str, str]
    ) -> dict[str, float]:
        names = criteria.areas.names
        telling = [(text, probe) for text, probe in zip(texts, probes, strict=True) if text.failed is not None]
        if not telling:
            return {}
        held = self.graded.rows.held
        asked = [
            [name for name, is_asked in zip(names, row, strict=True) if is_asked]
            for row in asked_areas(
                criteria.areas,
                [held.kinds[probe.row] for _, probe in telling],
                [held.prompts[probe.row] for _, probe in telling],
            ).tolist()
        ]
        failed = _table([text.failed or () for text, _ in telling], names)
        ways: dict[str, Sequence[Sequence[str]]] = {
            "forced": [self._named(text.forced, names, stem) for text, _ in telling],
            "heads": [text.named for text, _ in telling],
            "free": [text.free_named for text, _ in telling],
            "all": asked,
        }
        return {way: f1(_table(rows, names), failed) for way, rows in ways.items()}


def _table(rows: Sequence[Sequence[str]], names: Sequence[str]) -> np.ndarray:
    return np.array([[name in row for name in names] for row in rows], dtype=bool)

"""The grader at work: open a checkpoint once, grade submissions in batches, with a text where one is asked for.

One thread may use a ``Grader`` at a time; whoever calls forms the batches. Must not read files nor train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints.base_model import shown
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem
from opeddev_tui.format import size
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.runs.grade_records import WORDS
from opeddev_tui.serving.ask_rule import AskRule, ask_rule
from opeddev_tui.serving.asked import Asked, Criterion, Filling, Graded, asked, filling, number_of
from opeddev_tui.serving.choice import Choice, choose
from opeddev_tui.serving.loaded import Answers, LoadedModels, OnBatch
from opeddev_tui.serving.training_rows import stem_of, usual_of
from opeddev_tui.serving.writing import write_feedback
from opeddev_tui.workspace.paths import Workspace

# submissions whose features are in memory together
_TOGETHER = 256


class Ready(Struct, frozen=True):
    """A submission that can be asked, as tokens, and its number among those asked together."""

    index: int
    asked: Asked
    example: Example
    row: GradeRow


class Grader:
    """A choice in memory. ``open`` makes one; ``notes`` say what a person should know of it, one sentence each."""

    def __init__(self, choice: Choice, models: LoadedModels, fill: Filling, rule: AskRule) -> None:
        self.choice, self.models, self.fill, self.rule = choice, models, fill, rule
        self.settings = choice.settings
        self.notes = [*choice.notes, *models.notes, *_costs(choice, models)]

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        settings: Settings,
        source: str = "",
        *,
        given: Mapping[str, str] | None = None,
        texts: bool = False,
    ) -> Grader:
        """Load what grades: ``source`` as ``choice.choose`` takes it; ``given`` are task, rubric and kind to assume.

        ``texts``: feedback will be asked for, or texts. Raises ``Problem``; takes seconds to minutes.
        """
        choice = choose(workspace, settings, source)
        needs_stem = texts or choice.head_folder is None
        stem = stem_of(workspace, choice) if needs_stem else None
        models = LoadedModels(workspace, choice, stem, texts=texts)
        fill = filling(settings, given, usual_of(workspace, settings))
        rule = ask_rule(choice.state, choice.epoch, choice.way, settings.grade, models.scale.labels)
        return cls(choice, models, fill, rule)

    @property
    def words(self) -> str:
        """What grades, in words."""
        return WORDS.get(self.choice.way, self.choice.way)

    @property
    def model_name(self) -> str:
        """The name of the base model."""
        return shown(self.settings.model.name)

    def ask(self, fields: Mapping[str, object], where: str = "", *, file: str = "", guess: str = "") -> Asked:
        """Return the submission in ``fields`` (of a grading row) as this grader is asked it; see ``asked.asked``."""
        return asked(fields, where, self.settings, self.fill, file=file, guess=guess)

    def grade(
        self,
        submissions: Sequence[Asked],
        *,
        feedback: bool = False,
        on_batch: OnBatch | None = None,
        raise_if_stopped: Callable[[], None] = lambda: None,
    ) -> list[Graded]:
        """Return the grades of ``submissions`` in their order; one that cannot be graded says why and stops no other.

        Rows of like length go through the model together. ``on_batch(done, total)`` is told after each batch; both it
        and ``raise_if_stopped`` may raise, which ends the call. With ``feedback`` a text is written for each.
        """
        found: dict[int, Graded] = {}
        ready: list[Ready] = []
        for index, item in enumerate(submissions):
            prepared = self._prepared(index, item)
            if isinstance(prepared, Graded):
                found[index] = prepared
            else:
                ready.append(prepared)
        ready.sort(key=lambda item: len(item.row.prompt))
        done = 0
        for start in range(0, len(ready), _TOGETHER):
            part = ready[start : start + _TOGETHER]
            told = _after(on_batch, done, len(ready))
            for graded in self._graded(part, feedback, told, raise_if_stopped):
                found[graded.index] = graded
            done += len(part)
        return [found[index] for index in range(len(submissions))]

    def _prepared(self, index: int, item: Asked) -> Ready | Graded:
        if item.example is None:
            return self._ungraded(index, item, item.problem)
        try:
            return Ready(index, item, item.example, self.models.row(item.example))
        except DataProblem as problem:
            return self._ungraded(index, item, problem.message)

    def _ungraded(self, index: int, item: Asked, why: str) -> Graded:
        return self._signed(Graded(index=index, ask=True, why=(why, *item.doubts)), item)

    def _signed(self, graded: Graded, item: Asked) -> Graded:
        """Return ``graded`` with what was asked and what answered."""
        return replace(
            graded,
            id=item.id,
            file=item.file,
            assumed=item.assumed,
            reference=item.reference,
            checkpoint=self.choice.checkpoint,
            model=self.model_name,
            way=self.choice.way,
            prompt_hash=self.models.prompt,
        )

    def _graded(
        self, part: Sequence[Ready], feedback: bool, on_batch: OnBatch | None, raise_if_stopped: Callable[[], None]
    ) -> list[Graded]:
        raise_if_stopped()
        examples = [item.example for item in part]
        answers = self.models.answers(examples, [item.row for item in part], on_batch)
        texts: list[str | None] = [None] * len(part)
        if feedback:
            named = [
                [name for name, (_, told) in areas.items() if told] for areas in answers.areas or [{} for _ in part]
            ]
            texts[:] = write_feedback(self.models, examples, answers.places.tolist(), named, raise_if_stopped)
        return [self._answer(item, answers, row, texts[row]) for row, item in enumerate(part)]

    def _answer(self, item: Ready, answers: Answers, row: int, text: str | None) -> Graded:
        scale, place = self.models.scale, int(answers.places[row])
        label = scale.labels[place] if place >= 0 else None
        grades = answers.grades
        confidence = float(grades.within(self.rule.tolerance)[row]) if grades is not None else None
        areas = answers.areas[row] if answers.areas is not None else {}
        why = self._why(item, label, confidence)
        graded = Graded(
            index=item.index,
            grade=label,
            expected=number_of(float(grades.expected[row]), scale) if grades is not None else None,
            median=label,
            probabilities=dict(zip(scale.labels, grades.probabilities[row].tolist(), strict=True)) if grades else {},
            set=tuple(name for name, inside in zip(scale.labels, answers.sets[row], strict=True) if inside)
            if answers.sets is not None
            else (),
            confidence=confidence,
            ask=bool(why),
            why=why,
            criteria={name: Criterion(chance, not told) for name, (chance, told) in areas.items()},
            feedback=text,
            truncated=item.row.cut,
        )
        return self._signed(graded, item.asked)

    def _why(self, item: Ready, label: str | None, confidence: float | None) -> tuple[str, ...]:
        """Return why a person should look."""
        why = list(item.asked.doubts)
        if item.row.cut:
            why.append(
                f"it is longer than the {self.models.encoder.prompt_room()} tokens that a prompt may have: its middle "
                "was not read."
            )
        if (kind := item.example.kind) and self._kinds and kind not in self._kinds:
            why.append(f"no training row was of the kind {kind}.")
        if label is None:
            why.append("the model wrote no grade.")
        elif self.rule.asks(confidence):
            why.append(self.rule.words(confidence))
        return tuple(why)

    @property
    def _kinds(self) -> tuple[str, ...]:
        head = self.models.head
        return head.head.linear.kinds if head is not None else ()


def _after(on_batch: OnBatch | None, before: int, total: int) -> OnBatch | None:
    """Return a callback that counts all rows, of which ``before`` are done."""
    if on_batch is None:
        return None
    told = on_batch
    return lambda done, _part: told(before + done, total)


def _costs(choice: Choice, models: LoadedModels) -> list[str]:
    """Return what the base model costs where it is read beside, or instead of, the checkpoint's own weights."""
    entry = choice.entry
    if entry is None or not choice.reads_base or entry.lora:
        return []
    weights = sum(parameter.numel() * parameter.element_size() for parameter in models.base.parameters())
    if models.tuned is None:
        return [
            f"the head on the base model grades, so {shown(choice.settings.model.name)} is read ({size(weights)}) "
            "instead of the checkpoint's own weights."
        ]
    return [
        f"the head on the base model grades and the checkpoint writes, so both are in memory: {size(weights)} more."
    ]

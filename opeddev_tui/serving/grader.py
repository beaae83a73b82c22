"""The grader at work: open a checkpoint once, grade submissions in batches, with a text where one is asked for.

One thread may use a ``Grader`` at a time; whoever calls forms the batches. Must not read files nor train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.checkpoints.base_model import shown
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem
from opeddev_tui.format import size
from opeddev_tui.grading.spans import GradeRow
from opeddev_tui.runs.grade_records import N_GRAMS
from opeddev_tui.serving.ask_rule import AskRule, ask_rule
from opeddev_tui.serving.asked import Asked, Criterion, Filling, Graded, asked, filling, identity_of, number_of
from opeddev_tui.serving.choice import Choice, choose
from opeddev_tui.serving.items import Item
from opeddev_tui.serving.loaded import Answers, LoadedModels
from opeddev_tui.serving.training_rows import stem_of, usual_of
from opeddev_tui.serving.writing import write_feedback
from opeddev_tui.workspace.paths import Workspace

OnBatch = Callable[[int, int], None]


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
        choice: Choice | None = None,
    ) -> Grader:
        """Load what grades: ``source`` as ``choice.choose`` takes it, or a ``choice`` that was made already.

        ``given`` are task, rubric and kind to assume; ``texts``: feedback will be asked for, or texts. Raises
        ``Problem``; takes seconds to minutes.
        """
        choice = choice or choose(workspace, settings, source)
        needs_stem = texts or choice.head_folder is None
        stem = stem_of(workspace, choice) if needs_stem else None
        models = LoadedModels(workspace, choice, stem, texts=texts)
        fill = filling(settings, given, usual_of(workspace, settings))
        rule = ask_rule(choice.state, choice.epoch, choice.way, settings.grade, models.scale.labels)
        return cls(choice, models, fill, rule)

    @property
    def model_name(self) -> str:
        """The name of the base model."""
        return shown(self.settings.model.name)

    def ask(self, fields: Mapping[str, object], where: str = "", *, name: str = "") -> Asked:
        """Return the submission in ``fields`` (of a grading row) as this grader is asked it; see ``asked.asked``."""
        return self._asked(fields, where, name)

    def ask_item(self, item: Item) -> Asked:
        """Return a submission from a file as this grader is asked it."""
        if item.problem:
            return Asked(None, identity_of(item.fields), item.file, item.problem, item.doubts)
        return self._asked(item.fields, item.file, item.name, item.doubts)

    def _asked(self, fields: Mapping[str, object], where: str, name: str, doubts: tuple[str, ...] = ()) -> Asked:
        found = asked(fields, where, self.settings, self.fill, name=name, doubts=doubts)
        # n-grams read no prompt, so what is not known for one is no reason to doubt their grade
        return replace(found, doubts=doubts) if self.choice.way == N_GRAMS else found

    def ask_items(self, items: Iterable[Item | None]) -> Iterator[Asked | None]:
        """Yield submissions from files as this grader is asked them; a None, where one may be waited for, stays."""
        return (None if item is None else self.ask_item(item) for item in items)

    def grade(
        self,
        submissions: Sequence[Asked],
        *,
        feedback: bool = False,
        on_batch: OnBatch | None = None,
        raise_if_stopped: Callable[[], None] = lambda: None,
    ) -> list[Graded]:
        """Return the grades of ``submissions`` in their order; one that cannot be graded says why and stops no other.

        ``on_batch(done, total)`` is told after each batch; both it and ``raise_if_stopped`` may raise, which ends the
        call. With ``feedback`` a text is written for each.
        """
        found: dict[int, Graded] = {}
        for batch in self.batches(submissions, feedback=feedback, raise_if_stopped=raise_if_stopped):
            found.update((graded.index, graded) for graded in batch)
            if on_batch is not None:
                on_batch(len(found), len(submissions))
        return [found[index] for index in range(len(submissions))]

    def batches(
        self,
        submissions: Sequence[Asked],
        *,
        feedback: bool = False,
        raise_if_stopped: Callable[[], None] = lambda: None,
    ) -> Iterator[list[Graded]]:
        """Yield the grades of ``submissions`` batch by batch, the shortest first; ``Graded.index`` is their place.

        Those that cannot be graded come first, together. Rows of like length go through the model together.
        """
        prepared = [self._prepared(index, item) for index, item in enumerate(submissions)]
        if refused := [item for item in prepared if isinstance(item, Graded)]:
            yield refused
        ready = sorted((item for item in prepared if isinstance(item, Ready)), key=lambda item: len(item.row.prompt))
        start = 0
        while start < len(ready):
            raise_if_stopped()
            # what did not fit into memory once is not tried again, so a batch may be smaller than the one before
            part = ready[start : start + self.models.batch]
            yield self._graded(part, feedback, raise_if_stopped)
            start += len(part)

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
            grader=self.choice.grader,
            model=self.model_name,
            way=self.choice.way,
            prompt_hash=self.models.prompt,
            measured=self.rule.measured,
        )

    def _graded(self, part: Sequence[Ready], feedback: bool, raise_if_stopped: Callable[[], None]) -> list[Graded]:
        examples = [item.example for item in part]
        answers = self.models.answers(examples, [item.row for item in part])
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
        limit = head.criteria.threshold if (head := self.models.head) is not None and head.criteria else None
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
            tolerance=self.rule.tolerance,
            ask=bool(why),
            why=why,
            criteria={name: Criterion(chance, not told, limit) for name, (chance, told) in areas.items()},
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
        if self._kinds and (kind := item.example.kind) not in self._kinds:
            known = ", ".join(self._kinds)
            why.append(
                f"no training row was of the kind {kind} (there are {known})."
                if kind
                else f"its kind is not known: name it with --kind ({known})."
            )
        if label is None:
            why.append("the model wrote no grade.")
        elif self.rule.asks(confidence):
            why.append(self.rule.words(confidence))
        return tuple(why)

    @property
    def _kinds(self) -> tuple[str, ...]:
        head = self.models.head
        return head.head.linear.kinds if head is not None else ()


def _costs(choice: Choice, models: LoadedModels) -> list[str]:
    """Return what the base model costs where it is read beside, or instead of, the checkpoint's own weights."""
    entry = choice.entry
    if entry is None or not choice.reads_base or entry.lora:
        return []
    weights = sum(parameter.numel() * parameter.element_size() for parameter in models.base.parameters())
    base = f"the base model {shown(choice.settings.model.name)}"
    if models.tuned is None:
        return [f"{base} is read ({size(weights)}) instead of the checkpoint's own weights."]
    return [f"{base} grades and the checkpoint writes, so both are in memory: {size(weights)} more."]

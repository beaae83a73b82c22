"""Examples as the grader needs them: graded rows with kinds, weights, groups, texts and areas.

Rows without a grade are left out here, so everything after this may rely on grades.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from opeddev_tui.config.settings import Grading
from opeddev_tui.data.rows import Example
from opeddev_tui.grading.areas import AreaRow, Areas, areas_of, named_areas
from opeddev_tui.grading.grade_tokens import grade_stem
from opeddev_tui.grading.head import Labels, labels_of
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import with_submission


class GradedRows(Struct, frozen=True):
    """n graded ``examples``, their ``labels``, and the prompts without the submission (rubric and task)."""

    examples: tuple[Example, ...]
    labels: Labels
    prompts: tuple[str, ...]

    @property
    def kinds(self) -> list[str]:
        """The kind of each row, empty where it has none."""
        return [example.kind for example in self.examples]

    @property
    def texts(self) -> list[str]:
        """The submission of each row."""
        return [example.submission for example in self.examples]


def graded_rows(examples: Sequence[Example], scale: Scale) -> GradedRows:
    """Return the examples that have a grade."""
    graded = [example for example in examples if example.grade is not None]
    labels = labels_of(
        scale.positions([example.grade for example in graded if example.grade is not None]),
        [example.kind for example in graded],
        [example.weight for example in graded],
        [example.group for example in graded],
    )
    return GradedRows(tuple(graded), labels, tuple(prompt_frame(example) for example in graded))


def prompt_frame(example: Example) -> str:
    """Return the prompt without its submission, in which the rubric's areas are looked for."""
    return "\n".join(message.content for message in with_submission(example, ""))


def areas_of_rows(rows: GradedRows, scale: Scale, grading: Grading) -> Areas:
    """Return the areas of ``rows``; the settings' patterns tell the grade from the feedback, and areas in it."""
    stem = grade_stem([example.completion for example in rows.examples], grading.pattern)
    best = scale.size - 1
    found = [
        AreaRow(
            example.kind,
            prompt,
            feedback_of(example.completion, grading.pattern, stem[1] if stem else ""),
            bool(grade == best),
            example.criteria,
        )
        for example, prompt, grade in zip(rows.examples, rows.prompts, rows.labels.grades, strict=True)
    ]
    return areas_of(found, grading.area_pattern)


def feedback_of(completion: str, pattern: str, after: str = "") -> str:
    """Return the completion without its grade and the text ``after`` that always follows it."""
    match = re.search(pattern, completion)
    if match is None or match.group(1) is None:
        return completion
    if completion[: match.start()].strip():
        # the grade stands last: the feedback is what is before
        return completion[: match.start()]
    return completion[match.end(1) :].removeprefix(after)


def failed_areas(
    example: Example, names: Sequence[str], grading: Grading, after: str, *, best: bool
) -> list[str] | None:
    """Return which areas of ``names`` failed by the row's own record; None where it has none.

    ``after`` is the text between grade and feedback, ``best``: the row has the best grade.
    """
    if example.criteria:
        return [name for name in names if name in example.criteria and not int(example.criteria[name])]
    found = named_areas(feedback_of(example.completion, grading.pattern, after), grading.area_pattern)
    return [name for name in names if name in found] if found or best else None

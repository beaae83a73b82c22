"""Say what of a step is graded: rows to fit heads on and to compare on, as tokens, and the tokens that write grades.

Takes rows that are read and encoded; reads no model. Where there is nothing to read, it says why in one sentence.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.data.rows import Example
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_stem, grade_tokens
from opeddev_tui.grading.graded_rows import areas_of_rows, graded_rows
from opeddev_tui.grading.head import cannot_fit
from opeddev_tui.grading.race_report import RaceRows
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Reference
from opeddev_tui.grading.spans import GradeRow, grade_rows, with_span
from opeddev_tui.grading.steady_rows import Copies, steadying_copies
from opeddev_tui.models.chat import ChatEncoder
from opeddev_tui.ranks.words import GradedSet
from opeddev_tui.training.scorer import Holdout


class GradedStep(Struct, frozen=True):
    """The graded ``rows``; ``places``: where ``rows.held`` are in the hold-out; ``train`` and ``held`` as tokens.

    ``passed`` are all hold-out rows with their completions, as the loss takes them. ``tokens`` is None where grades
    cannot be read before the text; ``no_tokens`` and ``no_head`` say why there are none. ``copies`` are what heads are
    held steady with.
    """

    rows: RaceRows
    places: tuple[int, ...]
    train: list[GradeRow]
    held: list[GradeRow]
    passed: list[GradeRow]
    tokens: GradeTokens | None
    no_tokens: str = ""
    no_head: str = ""
    copies: Copies = Copies()

    def rows_of(self, name: GradedSet) -> Sequence[GradeRow]:
        """Return the rows of which heads need features, by the ``name`` that all ranks know."""
        return {"train": self.train, "held": self.held, "copies": self.copies.rows}[name]

    @property
    def reference(self) -> Reference:
        """The right grades of the hold-out."""
        labels = self.rows.held.labels
        return Reference(labels.grades, self.rows.scale.size, labels.groups)

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the graded hold-out rows."""
        return tuple(example.id for example in self.rows.held.examples)


def step_head_when(settings: st.Settings, metric: str) -> str:
    """Return when the head on the step's model is fitted in a run by ``metric``: end, epoch or never."""
    return "epoch" if metric == "grade" else settings.grading.step_head


def graded_step(
    settings: st.Settings, examples: Sequence[Example], encoder: ChatEncoder, holdout: Holdout
) -> GradedStep:
    """Return what is graded of the training ``examples`` and of ``holdout``, which has graded rows."""
    scale = Scale.of(settings.grading)
    train, held = graded_rows(examples, scale), graded_rows(holdout.examples, scale)
    ungraded = (len(examples) - len(train.examples), len(holdout.examples) - len(held.examples))
    rows = RaceRows(train, held, scale, areas_of_rows(train, scale, settings.grading), ungraded)
    places = tuple(place for place, example in enumerate(holdout.examples) if example.grade is not None)
    tokens, no_tokens = _grade_tokens(settings, encoder, rows)
    length = encoder.max_length
    no_head = "no training row has a grade." if not train.examples else cannot_fit(train.labels)
    return GradedStep(
        rows,
        places,
        grade_rows(encoder, train.examples, max_length=length),
        grade_rows(encoder, held.examples, max_length=length),
        [
            # the tokens are those of the loss to the last one, however a prompt was cut
            replace(with_span(encoder, example, row.prompt, row.completion), prompt=row.prompt)
            for example, row in zip(holdout.examples, holdout.rows, strict=True)
        ],
        tokens,
        no_tokens,
        no_head,
        Copies() if no_head else steadying_copies(train, scale, settings.grading, encoder, length),
    )


def _grade_tokens(settings: st.Settings, encoder: ChatEncoder, rows: RaceRows) -> tuple[GradeTokens | None, str]:
    stem = grade_stem([example.completion for example in rows.train.examples], settings.grading.pattern)
    if stem is None:
        return None, "the completions do not begin with the grade in the same words."
    tokens = grade_tokens(encoder, stem, rows.scale.labels)
    return tokens, "" if tokens is not None else "two grades are written with the same tokens."

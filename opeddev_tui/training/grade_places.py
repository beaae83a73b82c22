"""Find where each completion writes its grade, for the losses that are trained for it.

Rows without a grade, or whose grade is not found, are trained as text alone. Must not change any token.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from opeddev_tui.config import settings as st
from opeddev_tui.data import grade_scale
from opeddev_tui.data.batches import DataReport
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.errors import Problem, Problems, SettingsProblem
from opeddev_tui.format import plural
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_stem, grade_tokens
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.spans import Encoder
from opeddev_tui.models import loading, token_check
from opeddev_tui.models.grade_losses import is_ordered
from opeddev_tui.models.token_rows import EncodedRows, GradePlace, TokenRow


def has_distribution_loss(grading: st.Grading) -> bool:
    """Return True where a loss on the distribution over grades is trained."""
    return grading.loss != "cross-entropy" and grading.loss_weight > 0


def has_grade_loss(grading: st.Grading) -> bool:
    """Return True where the grade's tokens are trained otherwise than all tokens."""
    return has_distribution_loss(grading) or grading.token_weight != 1


def place_grades(
    encoder: Encoder, grading: st.Grading, encoded: EncodedRows, examples: Sequence[Example]
) -> tuple[EncodedRows, list[str]]:
    """Return ``encoded`` with the places of its grades, and what a person should know; unchanged where none are needed.

    Raises ``SettingsProblem`` where no row has a place, and for a scale whose tokens do not keep its order.
    """
    if not has_grade_loss(grading):
        return encoded, []
    finder = _Finder(encoder, grading, [examples[row.row] for row in encoded.rows])
    rows = [replace(row, grade=finder.place(row, examples[row.row])) for row in encoded.rows]
    placed = [row.grade for row in rows if row.grade is not None]
    if not placed:
        raise SettingsProblem(
            f"no row's completion states its grade as grading.pattern reads it: {_name(grading)} has nothing to train.",
            where="grading",
            cure=f"Give the rows grades, correct grading.pattern, or set {_off(grading)}.",
        )
    if has_distribution_loss(grading):
        _refuse_disorder(placed, grading)
    return replace(encoded, rows=rows), _notes(rows, examples, grading)


def check(root: Path, settings: st.Settings, data: DataReport) -> tuple[list[Problem], list[str]]:
    """Return what is wrong, and what a person should know, of a workspace's rows for the losses of grades.

    Says nothing of rows or a tokenizer that cannot be used at all: ``token_check.check`` does.
    """
    examples = [example for batch in data.batches for example in batch.examples]
    if not examples or not has_grade_loss(settings.grading):
        return [], []
    try:
        encoder = token_check.fit(loading.source_of(root, settings.model.name), settings).encoder
        encoded = encoder.encode_all(examples, weighted=True)
    except (Problem, Problems):
        return [], []
    try:
        return [], place_grades(encoder, settings.grading, encoded, examples)[1]
    except SettingsProblem as problem:
        return [problem], []


def _name(grading: st.Grading) -> str:
    return f"grading.loss = {grading.loss}" if has_distribution_loss(grading) else "grading.token_weight"


def _off(grading: st.Grading) -> str:
    return 'grading.loss = "cross-entropy"' if has_distribution_loss(grading) else "grading.token_weight = 1"


def _refuse_disorder(placed: Sequence[GradePlace], grading: st.Grading) -> None:
    if all(is_ordered(tails) for tails in {place.tails for place in placed}):
        return
    labels = Scale.of(grading).labels
    width = max(map(len, labels))
    padded = [label.rjust(width, "0") for label in labels]
    cure = 'Set grading.loss = "cross-entropy"; grading.token_weight works with every scale.'
    if all(label.isdecimal() for label in labels):
        scale = f'["{padded[0]}", "{padded[1]}", …, "{padded[-1]}"]'
        cure = f"Write all grades with equally many digits: grading.grades = {scale}. Or {cure[0].lower()}{cure[1:]}"
    raise SettingsProblem(
        f"grading.loss = {grading.loss} needs grades whose tokens keep their order: with this tokenizer, grades "
        "that are far apart begin alike, as 1 and 10 do.",
        where="grading",
        cure=cure,
    )


def _notes(rows: Sequence[TokenRow], examples: Sequence[Example], grading: st.Grading) -> list[str]:
    notes = []
    graded = [(examples[row.row].where, row) for row in rows if examples[row.row].grade is not None]
    lost = [where for where, row in graded if row.grade is None]
    if lost:
        notes.append(
            f"{lost[0]}: the completion does not state the row's grade as the scale writes it "
            f"({plural(len(lost), 'such row')}): trained as text, without {_name(grading)}."
        )
    return notes


class _Finder:
    """Finds the places of the grades of rows that mostly write it alike."""

    def __init__(self, encoder: Encoder, grading: st.Grading, examples: Sequence[Example]) -> None:
        self._encoder = encoder
        self._grading = grading
        self._labels = Scale.of(grading).labels
        graded = [example.completion for example in examples if example.grade is not None]
        stem = grade_stem(graded, grading.pattern)
        self._usual = grade_tokens(encoder, stem, self._labels) if stem else None
        self._before = stem[0] if stem else None

    def place(self, row: TokenRow, example: Example) -> GradePlace | None:
        """Return where ``row`` writes the grade of ``example``, None where it does not as the scale does."""
        if example.grade is None or parse_grade(example.completion, self._grading) != example.grade:
            return None
        match = re.search(self._grading.pattern, example.completion)
        if match is None or match.group(1) != grade_scale.written(example.grade, self._grading):
            return None
        target = example.grade - self._grading.minimum
        before, after = example.completion[: match.start(1)], example.completion[match.end(1) :]
        if self._usual is not None and before == self._before:
            found = _locate(row.completion, self._usual, target)
            if found is not None:
                return found
        own = grade_tokens(self._encoder, (before, after), self._labels)
        return _locate(row.completion, own, target) if own is not None else None


def _locate(completion: Sequence[int], tokens: GradeTokens, target: int) -> GradePlace | None:
    """Return the place of the stem and the tail of ``target`` in ``completion``, None where they are not there once.

    A thought may stand before them.
    """
    wanted = [*tokens.stem, *tokens.tails[target]]
    starts = [
        at for at in range(len(completion) - len(wanted) + 1) if list(completion[at : at + len(wanted)]) == wanted
    ]
    if not starts or (starts[0] != 0 and len(starts) > 1):
        return None
    return GradePlace(starts[0] + len(tokens.stem), target, tokens.tails)
